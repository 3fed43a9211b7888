"""The form of a search: which photos, in which index, and what is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QSignalBlocker
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..form_page import Form
from ..form_parts import OutputFolder, add_row, hint, number, rows
from ..icons import theme_icon
from .index_library import IndexLibrary
from .method_choice import AUTO, MethodChoice
from .photo_choice import PhotoChoice

_SETTINGS = "samescene/dock/locate-search"
_WIDEST = "Output folder"


class SearchForm(Form):
    """Fills the parameters of ``samescene:locate_search``."""

    def __init__(self, photos, library: IndexLibrary, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._library = library
        self.photos = PhotoChoice(photos, self)
        self.index = QComboBox(self)
        self.index.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.index.setMinimumContentsLength(8)
        self.browse = QToolButton(self)
        self.browse.setIcon(theme_icon("mActionFileOpen.svg"))
        self.browse.setToolTip(self.tr("Take the folder of an index that is not on the list"))
        self.browse.setAccessibleName(self.browse.toolTip())
        self.of_index = hint("", self)
        self.knows_heading = QCheckBox(self.tr("I know it:"), self)
        self.heading = number(self, 0, 360, 0, 0, "°")
        self.heading.setWrapping(True)
        self.heading.setAccessibleName(self.tr("Heading"))
        self.of_heading = hint("", self)
        self.sequence = QCheckBox(self.tr("One drive: search jointly"), self)
        self.top = QSpinBox(self)
        self.top.setRange(1, 1000)
        self.top.setValue(20)
        self.method = MethodChoice(self)
        self.overwrite = QCheckBox(self.tr("Replace results in the output folder"), self)
        self.out = OutputFolder(self)
        self._lay_out()
        self._connect()
        self._list_indexes()

    def _lay_out(self) -> None:
        tr = self.tr
        where = QWidget(self)
        line = QHBoxLayout(where)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.index, 1)
        line.addWidget(self.browse)
        where.setFocusProxy(self.index)
        turned = QWidget(self)
        line = QHBoxLayout(turned)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.knows_heading)
        line.addWidget(self.heading, 1)
        upper = rows()
        add_row(upper, tr("&Photos"), self.photos, as_wide_as=_WIDEST)
        add_row(upper, tr("&Index"), where, tr("The described region that is searched"), as_wide_as=_WIDEST)
        upper.addRow("", self.of_index)
        tip = tr("Compass direction of the middle of the photos, where it is known: the search is surer for it")
        add_row(upper, tr("&Heading"), turned, tip, as_wide_as=_WIDEST)
        upper.addRow("", self.of_heading)
        upper.addRow("", self.sequence)
        self.sequence.setToolTip(
            tr("Only where the photos were taken apart is used, from the positions in their files; not the places")
        )
        self.advanced = QgsCollapsibleGroupBox(tr("Advanced"), self)
        self.advanced.setSaveCollapsedState(False)
        more = rows(self.advanced)
        add_row(more, tr("&Candidates"), self.top, tr("How many places are kept of each photo"))
        add_row(more, tr("&Method"), self.method, tr("auto: what the index was made with"))
        more.addRow(self.overwrite)
        self.advanced.setCollapsed(True)
        lower = rows()
        add_row(lower, tr("&Output folder"), self.out, as_wide_as=_WIDEST)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 9, 9, 9)
        column.setSpacing(9)
        column.addLayout(upper)
        column.addWidget(self.advanced)
        column.addLayout(lower)
        column.addStretch(1)

    def _connect(self) -> None:
        self.photos.changed.connect(self._photos_changed)
        self._library.changed.connect(self._list_indexes)
        self.index.currentIndexChanged.connect(self._index_changed)
        self.browse.clicked.connect(self._browse)
        self.knows_heading.toggled.connect(self._show)
        self.method.changed.connect(self.changed)
        self.out.fileChanged.connect(self.changed)
        self.heading.valueChanged.connect(self.changed)
        self.top.valueChanged.connect(self.changed)
        for box in (self.sequence, self.overwrite):
            box.toggled.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:locate_search``; what is not used is left out."""
        values = {
            "INDEX": self.index_folder(),
            "PHOTOS": self.photos.paths(),
            "HEADING": self.heading.value() % 360 if self.knows_heading.isChecked() else None,
            "SEQUENCE": True if self.sequence.isChecked() and self.sequence.isEnabled() else None,
            "TOP": self.top.value(),
            **(self.method.parameters() if self.method.value() != AUTO else {}),
            "OVERWRITE": True if self.overwrite.isChecked() else None,
            "OUTPUT": self.out.folder(),
            "LOAD_RESULTS": False,
        }
        return {name: value for name, value in values.items() if value not in (None, "", [])}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in."""
        if not self.photos.paths():
            return self.tr("Tick the photos to search; add some on the page of photos first."), self.photos
        if not self.index_folder():
            return self.tr("Choose the index of the region; build one on the page before."), self.index
        fault = self.out.fault(replace=self.overwrite.isChecked())
        return (fault, self.out) if fault else ("", None)

    def index_folder(self) -> str:
        """The folder of the chosen index; empty where there is none."""
        return str(self.index.currentData() or "")

    def use_index(self, folder: str) -> None:
        """Choose an index, now or as soon as the library has read it."""
        folder = str(Path(folder).absolute())
        self._wanted = folder
        if self.index.findData(folder) >= 0:
            self.index.setCurrentIndex(self.index.findData(folder))
        else:
            self._library.add(folder)

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self._suggest(anew=True)

    def shut_down(self) -> None:
        """Follow photos and indexes no longer."""
        self._library.changed.disconnect(self._list_indexes)
        self.photos.shut_down()

    def save(self) -> None:
        """Remember the form for the next session; photos and heading are of this one."""
        settings = QgsSettings()
        settings.setValue(f"{_SETTINGS}/index", self.index_folder())
        settings.setValue(f"{_SETTINGS}/top", self.top.value())

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""
        settings = QgsSettings()
        self._wanted = settings.value(f"{_SETTINGS}/index", "", type=str)
        self.top.setValue(settings.value(f"{_SETTINGS}/top", 20, type=int))
        self._list_indexes()

    _wanted = ""

    def _list_indexes(self) -> None:
        chosen = self.index_folder()
        with QSignalBlocker(self.index):
            self.index.clear()
            for facts in self._library.usable():
                self.index.addItem(facts.name, facts.folder)
            wanted = self.index.findData(self._wanted) if self._wanted else -1
            if wanted >= 0:
                self._wanted = ""
            kept = wanted if wanted >= 0 else self.index.findData(chosen)
            self.index.setCurrentIndex(kept if kept >= 0 else min(0, self.index.count() - 1))
        self._index_changed()

    def _index_changed(self, *_) -> None:
        facts = self._library.find(self.index_folder()) if self.index_folder() else None
        if facts is None:
            text = self.tr("There is no index yet: build one on the page “Region”.")
        else:
            text = self.tr("{}, {:,} cells of {:g} m").format(facts.model or facts.method, facts.cells, facts.cell_m)
            if facts.imagery_date:
                text += self.tr(", imagery of {}").format(facts.imagery_date[:10])
            text += "."
        self.of_index.setText(text)
        self.index.setToolTip(self.index_folder())
        self.index.setEnabled(self.index.count() > 0)
        self.changed.emit()

    def _photos_changed(self) -> None:
        self._suggest()
        self._show()

    def _suggest(self, *, anew: bool = False) -> None:
        paths = self.photos.paths()
        first = paths[0] if len(paths) == 1 else str(Path(paths[0]).parent) if paths else ""
        self.out.suggest(first, "located", anew=anew)

    def _show(self, *_) -> None:
        chosen = self.photos.chosen()
        told = sum(1 for photo in chosen if photo.heading_deg is not None)
        self.heading.setEnabled(self.knows_heading.isChecked())
        if self.knows_heading.isChecked():
            text = self.tr("Used for all ticked photos, whatever their files say.")
        elif told:
            text = self.tr("The files of {} of {} photos tell it; it is used.").format(told, len(chosen))
        else:
            text = self.tr("Not known: it is found with the place.")
        self.of_heading.setText(text)
        self.sequence.setEnabled(len(chosen) > 1)
        self.changed.emit()

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder of an index"))
        if folder:
            self.use_index(folder)
