"""Which of the session's photos are searched: a list with ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.PyQt.QtCore import QSignalBlocker, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...photos.sight import spoken_azimuth
from ..form_parts import hint

if TYPE_CHECKING:
    from ...photos.facts import Photo, PhotoSet

_PATH = Qt.ItemDataRole.UserRole
_ICON = QSize(56, 28)
_ROWS = 5


class PhotoChoice(QWidget):
    """:meth:`paths` are the files that are ticked; new photos are ticked, broken ones cannot be."""

    changed = pyqtSignal()
    add_asked = pyqtSignal()
    """There are no photos yet and the user wants to add some."""

    def __init__(self, photos: PhotoSet, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._photos = photos
        self._off: set[str] = set()
        self._known: set[str] = set()
        self.list = QListWidget(self)
        self.list.setIconSize(_ICON)
        self.list.setAccessibleName(self.tr("Photos to search"))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.count = QLabel(self)
        self.count.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # a dock may be narrow
        self.all = self._button(self.tr("All"), self.tr("Tick all photos"))
        self.none = self._button(self.tr("None"), self.tr("Tick no photo"))
        self.empty = hint(self.tr("No photos yet."), self)
        self.add = self._button(self.tr("Add photos…"), self.tr("Go to the page of photos"))
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.count, 1)
        for button in (self.all, self.none):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.list)
        column.addLayout(row)
        column.addWidget(self.empty)
        column.addWidget(self.add)
        self.all.clicked.connect(lambda: self._tick_all(True))
        self.none.clicked.connect(lambda: self._tick_all(False))
        self.add.clicked.connect(self.add_asked)
        self.list.itemChanged.connect(self._ticked)
        photos.changed.connect(self.refresh)
        self.refresh()

    def paths(self) -> list[str]:
        """The files that are ticked, in the order of the photos."""
        return [photo.path for photo in self._photos.usable() if photo.path not in self._off]

    def chosen(self) -> list[Photo]:
        """The photos that are ticked."""
        return [photo for photo in self._photos.usable() if photo.path not in self._off]

    def tick_only(self, paths: list[str]) -> None:
        """Tick these photos and no others."""
        self._off = {photo.path for photo in self._photos.photos() if photo.path not in paths}
        self.refresh()

    def refresh(self) -> None:
        """Show the photos as they are now."""
        photos = self._photos.photos()
        with QSignalBlocker(self.list):
            self.list.clear()
            for photo in photos:
                self.list.addItem(self._item(photo))
        there = bool(photos)
        for part in (self.list, self.count, self.all, self.none):
            part.setVisible(there)
        for part in (self.empty, self.add):
            part.setVisible(not there)
        self.list.setFixedHeight(min(len(photos), _ROWS) * (_ICON.height() + 8) + 6)
        self._off &= {photo.path for photo in photos}
        self._tell()

    def shut_down(self) -> None:
        """Follow the photos no longer."""
        self._photos.changed.disconnect(self.refresh)

    def _item(self, photo: Photo) -> QListWidgetItem:
        item = QListWidgetItem(f"{photo.name}\n{photo.fault or said_of(photo)}")
        if photo.thumbnail:
            item.setIcon(QIcon(photo.thumbnail))
        item.setData(_PATH, photo.path)
        item.setToolTip("\n".join([photo.path, *([photo.fault] if photo.fault else []), *photo.notes]))
        if photo.fault:
            item.setFlags(Qt.ItemFlag.NoItemFlags)
        else:
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsSelectable)
            on = photo.path not in self._off
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        return item

    def _ticked(self, item: QListWidgetItem) -> None:
        path = item.data(_PATH)
        if item.checkState() == Qt.CheckState.Checked:
            self._off.discard(path)
        else:
            self._off.add(path)
        self._tell()

    def _tick_all(self, on: bool) -> None:
        self._off = set() if on else {photo.path for photo in self._photos.photos()}
        self.refresh()

    def _tell(self) -> None:
        usable = self._photos.usable()
        self.count.setText(self.tr("{} of {}").format(len(self.paths()), len(usable)))
        self.changed.emit()

    def _button(self, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button


def said_of(photo: Photo) -> str:
    """What matters of a photo for a search, in a few words."""
    kinds = {"panorama": "360°", "strip": f"panorama, {photo.hfov_deg:.0f}° across"}
    parts = [kinds.get(photo.kind, f"flat photo, {photo.hfov_deg:.0f}° across")]
    if photo.heading_deg is not None:
        parts.append(f"heading {spoken_azimuth(photo.heading_deg)}")
    return ", ".join(parts)
