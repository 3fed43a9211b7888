"""Photos to work on by the dozen: those of the session that are ticked, or all of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsSettings
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from ..form_parts import narrow_combo
from ..icons import theme_icon
from .photo_choice import PhotoChoice

if TYPE_CHECKING:
    from ...photos.facts import PhotoSet

SESSION, FOLDER = range(2)


class PhotoSource(QWidget):
    """:meth:`parameters` are ``PHOTOS`` (files) or ``PHOTOS_FOLDER``."""

    changed = pyqtSignal()

    def __init__(self, photos: PhotoSet, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = narrow_combo(self)
        self.kind.addItem(theme_icon("mIconRaster.svg"), self.tr("Photos of this session"))
        self.kind.addItem(theme_icon("mIconFolder.svg"), self.tr("All photos of a folder"))
        self.kind.setAccessibleName(self.tr("Which photos"))
        self.choice = PhotoChoice(photos, self)
        self.folder = QgsFileWidget(self)
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.setDialogTitle(self.tr("Folder of photos"))
        self.folder.setAccessibleName(self.tr("Folder of photos"))
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self.choice)
        self._stack.addWidget(self.folder)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.kind)
        column.addWidget(self._stack)
        self.setFocusProxy(self.kind)
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.choice.changed.connect(self.changed)
        self.folder.fileChanged.connect(self.changed)
        self._kind_changed()

    def parameters(self) -> dict[str, Any]:
        """The algorithm's parameters; empty where nothing is chosen."""
        if self.kind.currentIndex() == FOLDER:
            folder = self.folder.filePath().strip()
            return {"PHOTOS_FOLDER": folder} if folder else {}
        return {"PHOTOS": self.choice.paths()} if self.choice.paths() else {}

    def count(self) -> int | None:
        """How many photos are ticked; None for a folder, which is not looked into here."""
        return None if self.kind.currentIndex() == FOLDER else len(self.choice.paths())

    def source(self) -> str:
        """The folder that the photos lie in, to suggest another beside it; empty where none is chosen."""
        if self.kind.currentIndex() == FOLDER:
            return self.folder.filePath().strip()
        paths = self.choice.paths()
        return str(Path(paths[0]).parent) if paths else ""

    def fault(self, *, fewest: int = 1) -> str:
        """What is missing, or the empty string; ``fewest`` photos are needed."""
        if self.kind.currentIndex() == FOLDER:
            folder = self.folder.filePath().strip()
            if not folder:
                return self.tr("Choose the folder of the photos.")
            return "" if Path(folder).is_dir() else self.tr("The folder of photos does not exist: {}").format(folder)
        count = len(self.choice.paths())
        if count == 0:
            return self.tr("Tick photos, add some on the page “Photos” first, or choose a folder of them.")
        if count < fewest:
            return self.tr("{} photos are ticked; at least {} are needed.").format(count, fewest)
        return ""

    def shut_down(self) -> None:
        """Follow the photos no longer."""
        self.choice.shut_down()

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember which kind was used, and the folder."""
        settings.setValue(f"{prefix}/photos_kind", self.kind.currentIndex())
        settings.setValue(f"{prefix}/photos_folder", self.folder.filePath())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered, as far as it still exists."""
        folder = settings.value(f"{prefix}/photos_folder", "", type=str)
        if folder and Path(folder).is_dir():
            self.folder.setFilePath(folder)
            self.kind.setCurrentIndex(settings.value(f"{prefix}/photos_kind", SESSION, type=int))

    def _kind_changed(self, *_) -> None:
        current = self.kind.currentIndex()
        self._stack.setCurrentIndex(current)
        # The list is as high as it is long: behind it a folder must not stand in an empty field.
        self.choice.setVisible(current == SESSION)
        self.changed.emit()
