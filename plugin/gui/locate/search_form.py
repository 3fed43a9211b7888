"""The form of a search: which photos, in which index, and what is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QSpinBox,
    QWidget,
)

from ..form_page import Form
from ..form_parts import OutputFolder, add_row, hint, number, rows, stack
from .index_choice import IndexChoice
from .index_library import IndexLibrary
from .method_choice import AUTO, MethodChoice
from .photo_choice import PhotoChoice

_SETTINGS = "samescene/dock/locate-search"
_WIDEST = "Output folder"


class SearchForm(Form):
    """Fills the parameters of ``samescene:locate_search``."""

    def __init__(self, photos, library: IndexLibrary, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.photos = PhotoChoice(photos, self)
        self.index = IndexChoice(library, self)
        self.knows_heading = QCheckBox(self.tr("I know it:"), self)
        self.heading = number(self, 0, 360, 0, 0, "°")
        self.heading.setWrapping(True)
        self.heading.setAccessibleName(self.tr("Heading"))
        self.of_heading = hint("", self)
        self.sequence = QCheckBox(self.tr("One drive: search jointly"), self)
        self.inside = QCheckBox(self.tr("Taken in this region for certain"), self)
        self.top = QSpinBox(self)
        self.top.setRange(1, 1000)
        self.top.setValue(20)
        self.method = MethodChoice(self)
        self.overwrite = QCheckBox(self.tr("Replace results in the output folder"), self)
        self.out = OutputFolder(self)
        self._lay_out()
        self._connect()
        self._show()

    def _lay_out(self) -> None:
        tr = self.tr
        turned = QWidget(self)
        line = QHBoxLayout(turned)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self.knows_heading)
        line.addWidget(self.heading, 1)
        upper = rows()
        add_row(upper, tr("&Photos"), self.photos, as_wide_as=_WIDEST)
        add_row(upper, tr("&Index"), self.index, tr("The described region that is searched"), as_wide_as=_WIDEST)
        tip = tr("Compass direction of the middle of the photos, where it is known: the search is surer for it")
        add_row(upper, tr("&Heading"), turned, tip, as_wide_as=_WIDEST)
        upper.addRow("", self.of_heading)
        upper.addRow("", self.sequence)
        self.sequence.setToolTip(
            tr("Only where the photos were taken apart is used, from the positions in their files; not the places")
        )
        upper.addRow("", self.inside)
        self.inside.setToolTip(
            tr("Without it half of such photos are reckoned to be from elsewhere, and a place is believed less easily")
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
        stack(self, upper, self.advanced, lower)

    def _connect(self) -> None:
        self.photos.changed.connect(self._photos_changed)
        self.index.changed.connect(self.changed)
        self.knows_heading.toggled.connect(self._show)
        self.method.changed.connect(self.changed)
        self.out.fileChanged.connect(self.changed)
        self.heading.valueChanged.connect(self.changed)
        self.top.valueChanged.connect(self.changed)
        for box in (self.sequence, self.inside, self.overwrite):
            box.toggled.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:locate_search``; what is not used is left out."""
        values = {
            "INDEX": self.index.folder(),
            "PHOTOS": self.photos.paths(),
            "HEADING": self.heading.value() % 360 if self.knows_heading.isChecked() else None,
            "SEQUENCE": True if self.sequence.isChecked() and self.sequence.isEnabled() else None,
            "INSIDE": 1.0 if self.inside.isChecked() else None,
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
        if self.index.fault():
            return self.index.fault(), self.index
        fault = self.out.fault(replace=self.overwrite.isChecked())
        return (fault, self.out) if fault else ("", None)

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self._suggest(anew=True)

    def shut_down(self) -> None:
        """Follow photos and indexes no longer."""
        self.index.shut_down()
        self.photos.shut_down()

    def save(self) -> None:
        """Remember the form for the next session; photos and heading are of this one."""
        settings = QgsSettings()
        settings.setValue(f"{_SETTINGS}/index", self.index.folder())
        settings.setValue(f"{_SETTINGS}/top", self.top.value())

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""
        settings = QgsSettings()
        self.index.prefer(settings.value(f"{_SETTINGS}/index", "", type=str))
        self.top.setValue(settings.value(f"{_SETTINGS}/top", 20, type=int))

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
