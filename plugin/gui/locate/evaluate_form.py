"""The form of a test: an index, photos whose places are known, and where those are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtWidgets import QCheckBox, QSpinBox, QWidget

from ..form_page import Form
from ..form_parts import OutputFolder, add_row, hint, rows, stack
from .index_choice import IndexChoice
from .index_library import IndexLibrary
from .method_choice import AUTO, MethodChoice
from .photo_source import PhotoSource
from .position_source import PositionSource

if TYPE_CHECKING:
    from ...photos.facts import PhotoSet

_SETTINGS = "samescene/dock/locate-evaluate"
_WIDEST = "Output folder"


class EvaluateForm(Form):
    """Fills the parameters of ``samescene:locate_evaluate``."""

    def __init__(self, photos: PhotoSet, library: IndexLibrary, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._photos = photos
        self.index = IndexChoice(library, self)
        self.photos = PhotoSource(photos, self)
        self.positions = PositionSource(self)
        self.told = hint("", self)
        self.method = MethodChoice(self)
        self.seed = QSpinBox(self)
        self.seed.setRange(0, 2**31 - 1)
        self.overwrite = QCheckBox(self.tr("Replace results in the output folder"), self)
        self.advanced = QgsCollapsibleGroupBox(self.tr("Advanced"), self)
        self.out = OutputFolder(self)
        self._lay_out()
        self._connect()
        self._show()

    def _lay_out(self) -> None:
        tr = self.tr
        upper = rows()
        add_row(upper, tr("&Index"), self.index, tr("The described region that is searched"), as_wide_as=_WIDEST)
        tip = tr("Photos whose places are known, some from outside of the region too: is “not here” told?")
        add_row(upper, tr("&Photos"), self.photos, tip, as_wide_as=_WIDEST)
        tip = tr("Used only to score; the search never sees them")
        add_row(upper, tr("P&ositions"), self.positions, tip, as_wide_as=_WIDEST)
        upper.addRow("", self.told)
        self.advanced.setCollapsed(True)
        self.advanced.setSaveCollapsedState(False)
        more = rows(self.advanced)
        add_row(more, tr("&Method"), self.method, tr("auto: what the index was made with"))
        tip = tr("Every 360° panorama is first turned by an angle drawn from it: no heading gives anything away")
        add_row(more, tr("&Seed"), self.seed, tip)
        more.addRow(self.overwrite)
        lower = rows()
        add_row(lower, tr("Output &folder"), self.out, as_wide_as=_WIDEST)
        stack(self, upper, self.advanced, lower)

    def _connect(self) -> None:
        self.index.changed.connect(self.changed)
        self.photos.changed.connect(self._photos_changed)
        self._photos.changed.connect(self._show)
        self.positions.changed.connect(self._show)
        self.method.changed.connect(self.changed)
        self.seed.valueChanged.connect(self.changed)
        self.overwrite.toggled.connect(self.changed)
        self.out.fileChanged.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:locate_evaluate``; what is not used is left out."""
        method = self.method.parameters()
        values = {
            "INDEX": self.index.folder(),
            **self.photos.parameters(),
            **self.positions.parameters(),
            **({} if method == {"METHOD": AUTO} else method),
            "SEED": self.seed.value() or None,
            "OVERWRITE": True if self.overwrite.isChecked() else None,
            "OUTPUT": self.out.folder(),
        }
        return {name: value for name, value in values.items() if value not in (None, "", [])}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in."""
        for part in (self.index, self.photos, self.positions):
            if part.fault():
                return part.fault(), part
        if not self.positions.parameters() and self._known() == 0:
            text = self.tr("None of the ticked photos' files tells a position: choose a layer or table of positions.")
            return text, self.positions
        fault = self.out.fault(replace=self.overwrite.isChecked())
        return (fault, self.out) if fault else ("", None)

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self.out.suggest(self.photos.source(), "tested", anew=True)

    def shut_down(self) -> None:
        """Follow photos and indexes no longer."""
        self._photos.changed.disconnect(self._show)
        self.photos.shut_down()
        self.index.shut_down()

    def save(self) -> None:
        """Remember the form for the next session."""
        settings = QgsSettings()
        self.photos.save(settings, _SETTINGS)
        self.positions.save(settings, _SETTINGS)
        settings.setValue(f"{_SETTINGS}/index", self.index.folder())

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""
        settings = QgsSettings()
        self.photos.restore(settings, _SETTINGS)
        self.positions.restore(settings, _SETTINGS)
        self.index.prefer(settings.value(f"{_SETTINGS}/index", "", type=str))

    def _known(self) -> int | None:
        """How many ticked photos' files tell a position; None where that is not known here."""
        if self.photos.count() is None or self._photos.hide_positions:
            return None
        return sum(photo.has_position for photo in self.photos.choice.chosen())

    def _photos_changed(self) -> None:
        self.out.suggest(self.photos.source(), "tested")
        self._show()

    def _show(self, *_) -> None:
        known, text = self._known(), self.tr("Photos whose position is not known are skipped and listed.")
        if self.positions.parameters():
            text = self.tr("Found by file name. Photos without a position are skipped and listed.")
        elif self._photos.hide_positions:
            text = self.tr("Hidden on the page “Photos”, and read here to score only: the search never sees them.")
        elif known is not None:
            text = self.tr("The files of {} of {} photos tell one; the others are skipped.").format(
                known, self.photos.count()
            )
        self.told.setText(text)
        self.changed.emit()
