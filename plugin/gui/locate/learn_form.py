"""The form of a training on one's own area: photos, imagery, area, and what the model is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qgis.core import QgsSettings
from qgis.PyQt.QtWidgets import QLineEdit, QWidget

from ...processing.locate_learn_parameters import FEWEST_PHOTOS
from ...processing.locate_learn_request import TAKEN
from ..form_page import Form
from ..form_parts import OutputFolder, add_row, hint, rows, stack
from .learn_options import LearnOptions
from .photo_source import PhotoSource
from .position_source import PositionSource
from .reference_picker import ReferencePicker
from .region_picker import RegionPicker

if TYPE_CHECKING:
    from qgis.gui import QgsMapCanvas

    from ...photos.facts import PhotoSet

_SETTINGS = "samescene/dock/locate-learn"
_WIDEST = "Output folder"
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
FEWEST_MEASURED = 5
"""Of fewer the engine tells no share."""
FEW = 2000
"""400 made the starter model a little better (docs/cross-view-training.md); of more nothing was measured."""


class LearnForm(Form):
    """Fills the parameters of ``samescene:locate_learn``."""

    def __init__(self, canvas: QgsMapCanvas, photos: PhotoSet, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._photos = photos
        self.photos = PhotoSource(photos, self)
        self.expect = hint("", self)
        self.reference = ReferencePicker(self)
        self.region = RegionPicker(canvas, photos, self)
        self.region.setToolTip(self.tr("The area that the photos were taken in; tiles of its imagery are learned from"))
        self.positions = PositionSource(self)
        self.measured = hint("", self)
        self.name = QLineEdit("my-area", self)
        self.options = LearnOptions(self)
        self.out = OutputFolder(self)
        self._lay_out()
        self._connect()
        self._show()

    def _lay_out(self) -> None:
        tr = self.tr
        upper = rows()
        tip = tr("Full 360° panoramas of the area; where they were taken need not be known")
        add_row(upper, tr("&Photos"), self.photos, tip, as_wide_as=_WIDEST)
        upper.addRow("", self.expect)
        tip = tr("Imagery seen from above, of the area")
        add_row(upper, tr("Reference"), self.reference, tip, as_wide_as=_WIDEST)
        upper.addRow("", self.reference.note)
        add_row(upper, tr("A&rea"), self.region, as_wide_as=_WIDEST)
        tip = tr("Only to measure what the training was worth; positions are never learned from")
        add_row(upper, tr("P&ositions"), self.positions, tip, as_wide_as=_WIDEST)
        upper.addRow("", self.measured)
        lower = rows()
        tip = tr("Small letters, digits, '-', '_' and '.'; the lists of methods show it.")
        add_row(lower, tr("Model &name"), self.name, tip, as_wide_as=_WIDEST)
        add_row(lower, tr("Output &folder"), self.out, as_wide_as=_WIDEST)
        stack(self, upper, self.options, lower)

    def _connect(self) -> None:
        self.photos.changed.connect(self._photos_changed)
        self.positions.changed.connect(self._show)
        self._photos.changed.connect(self._show)
        for part in (self.reference, self.region):
            part.changed.connect(self.changed)
        self.options.changed.connect(self._show)
        self.name.textChanged.connect(self.changed)
        self.out.fileChanged.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:locate_learn``; what is not used is left out."""
        hidden = self._photos.hide_positions
        values = {
            **self.photos.parameters(),
            "REFERENCE": self.reference.value(),
            **self.region.parameters(),
            "MODEL_NAME": self.name.text().strip(),
            **self.positions.parameters(),
            "IGNORE_POSITIONS": True if hidden else None,
            "ATTRIBUTION": self.reference.attribution(),
            **self.options.parameters(),
            "OUTPUT": self.out.folder(),
        }
        return {name: value for name, value in values.items() if value not in (None, "", [])}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in."""
        fault = self.photos.fault(fewest=FEWEST_PHOTOS)
        if fault:
            return fault, self.photos
        for part in (self.reference, self.region, self.positions):
            if part.fault():
                return part.fault(), part
        name = self.name.text().strip()
        if not _NAME.match(name):
            return self.tr("Name the model with small letters, digits, '-', '_' and '.'."), self.name
        if name in TAKEN:
            return self.tr("“{}” means something else where a method is named: choose another.").format(name), self.name
        fault = self.out.fault(replace=self.options.overwrite.isChecked())
        return (fault, self.out) if fault else ("", None)

    def run_ended(self) -> None:
        """The folder of the run may be full now: suggest another if it is."""
        if self.out.fault(replace=False):
            self.out.suggest(self.photos.source(), "learned", anew=True)

    def shut_down(self) -> None:
        """Give the map its tool back and follow the photos no longer."""
        self._photos.changed.disconnect(self._show)
        self.photos.shut_down()
        self.region.close_tool()

    def save(self) -> None:
        """Remember the form for the next session."""
        settings = QgsSettings()
        for part in (self.photos, self.reference, self.region, self.positions, self.options):
            part.save(settings, _SETTINGS)
        settings.setValue(f"{_SETTINGS}/name", self.name.text())

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""
        settings = QgsSettings()
        for part in (self.photos, self.reference, self.region, self.positions, self.options):
            part.restore(settings, _SETTINGS)
        self.name.setText(settings.value(f"{_SETTINGS}/name", self.name.text(), type=str))

    def _photos_changed(self) -> None:
        self.out.suggest(self.photos.source(), "learned")
        self._show()

    def _show(self, *_) -> None:
        self.expect.setText(self._expectation())
        self.measured.setText(self._measurement())
        self.changed.emit()

    def _expectation(self) -> str:
        count = self.photos.count()
        if count is None:
            return self.tr(
                "At least {} panoramas; of fewer than some hundreds expect little. The report tells what it was worth."
            ).format(FEWEST_PHOTOS)
        if count < FEWEST_PHOTOS:
            return self.tr("At least {} full panoramas are needed, better many hundreds.").format(FEWEST_PHOTOS)
        narrow = sum(1 for photo in self.photos.choice.chosen() if photo.kind != "panorama")
        text = (
            self.tr("{} of the ticked photos are no full panoramas and are left out. ").format(narrow) if narrow else ""
        )
        if count < FEW:
            return text + self.tr("{} photos are few: expect little. The report tells what it was worth.").format(count)
        return text + self.tr("The report tells whether it was worth it.")

    def _measurement(self) -> str:
        share = self.options.apart.value()
        apart = self.tr("{:g} % of these photos are kept apart to measure the model.").format(share)
        if self.positions.parameters():
            return (
                apart if share else self.tr("No photo is kept apart: only those that were learned from are measured.")
            )
        if self._photos.hide_positions:
            return self.tr("Positions are hidden on the page “Photos”: nothing will be measured.")
        count = self.photos.count()
        if count is None:
            return self.tr("Where the files tell positions, they measure the model and are never learned from.")
        known = sum(photo.has_position for photo in self.photos.choice.chosen())
        if not known:
            return self.tr("The files tell no position: nothing will be measured.")
        if known < FEWEST_MEASURED:
            return self.tr("Few files tell a position ({}): nothing will be measured.").format(known)
        aside = min(round(known * share / 100), (count or 0) - FEWEST_PHOTOS)
        if aside < FEWEST_MEASURED:
            text = self.tr(
                "The files of {} photos tell one: too few to keep some apart; those learned from are measured."
            )
            return text.format(known)
        text = self.tr("The files of {} photos tell one; {} of these are kept apart to measure the model.")
        return text.format(known, aside)
