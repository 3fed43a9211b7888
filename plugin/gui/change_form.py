"""The form of a land-cover change: two maps and what is reported of their difference."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtWidgets import QCheckBox, QWidget

from .area_picker import AreaPicker
from .form_page import Form
from .form_parts import OutputFolder, ZonesBox, add_row, hint, number, rows, stack
from .layer_picker import RASTER, LayerPicker
from .legend_choice import LegendChoice

_SETTINGS = "samescene/dock/change"
_WIDEST = "Smallest change"


class ChangeForm(Form):
    """Fills the parameters of ``samescene:landcover_change``."""

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.map_a = LayerPicker(RASTER, title=self.tr("Earlier map"), optional=False, parent=self)
        self.map_b = LayerPicker(RASTER, title=self.tr("Later map"), optional=False, parent=self)
        self.area = AreaPicker(canvas, self)
        self.area.setToolTip(self.tr("Only this area is compared."))
        self.legend = LegendChoice(self.tr("that of the maps"), self)
        self.min_area = number(self, 0, 1e9, 0, 0, " m²")
        self.zones_box = ZonesBox(self.tr("Polygons, for example districts, to report change by."), self)
        self.out = OutputFolder(self)
        self.overwrite = QCheckBox(self.tr("Replace results in the output folder"), self)
        note = hint(self.tr("Maps are compared, not images: a change of class may also be an error of either map."))
        tr = self.tr
        form = rows()
        tip = tr("Land-cover map of the earlier date: landcover.tif, or any raster of class codes.")
        add_row(form, tr("&Earlier map"), self.map_a, tip, as_wide_as=_WIDEST)
        tip = tr("Land-cover map of the later date; any grid that overlaps the earlier one.")
        add_row(form, tr("&Later map"), self.map_b, tip, as_wide_as=_WIDEST)
        add_row(form, tr("A&rea"), self.area, as_wide_as=_WIDEST)
        tip = tr("Legend that both maps are brought to before they are compared.")
        add_row(form, tr("Le&gend"), self.legend, tip, as_wide_as=_WIDEST)
        tip = tr("Patches of change smaller than this count as no change; 0: every pixel counts.")
        add_row(form, tr("&Smallest change"), self.min_area, tip, as_wide_as=_WIDEST)
        lower = rows()
        add_row(lower, tr("&Output folder"), self.out, as_wide_as=_WIDEST)
        lower.addRow(self.overwrite)
        stack(self, form, note, self.zones_box, lower)
        self.map_b.changed.connect(self._map_changed)
        for part in (self.map_a, self.area, self.legend, self.zones_box):
            part.changed.connect(self.changed)
        self.min_area.valueChanged.connect(self.changed)
        self.out.fileChanged.connect(self.changed)
        self.overwrite.toggled.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:landcover_change``; what is not used is left out."""
        values = {
            "MAP_A": self.map_a.value(),
            "MAP_B": self.map_b.value(),
            **self.area.parameters(),
            **self.zones_box.parameters(),
            "LEGEND": self.legend.value(),
            "MIN_AREA": self.min_area.value(),
            "OVERWRITE": self.overwrite.isChecked(),
            "OUTPUT": self.out.folder(),
            "LOAD_RESULTS": False,
        }
        return {name: value for name, value in values.items() if value not in (None, "")}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in."""
        if not self.map_a.value():
            return self.tr("Choose the map of the earlier date."), self.map_a
        if not self.map_b.value():
            return self.tr("Choose the map of the later date."), self.map_b
        if self.map_a.source() == self.map_b.source():
            return self.tr("Both maps are the same."), self.map_b
        fault = self.area.fault()
        if fault:
            return fault, self.area
        fault = self.out.fault(replace=self.overwrite.isChecked())
        return (fault, self.out) if fault else ("", None)

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self.out.suggest(self.map_b.source(), "change", anew=True)

    def shut_down(self) -> None:
        """Give the map its tool back."""
        self.area.close_tool()

    def save(self) -> None:
        """Remember the form for the next session."""
        settings = QgsSettings()
        settings.setValue(f"{_SETTINGS}/map_a", self.map_a.source())
        settings.setValue(f"{_SETTINGS}/map_b", self.map_b.source())
        settings.setValue(f"{_SETTINGS}/min_area", self.min_area.value())
        for part in (self.area, self.legend, self.zones_box):
            part.save(settings, _SETTINGS)

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""
        settings = QgsSettings()
        self.map_a.restore(settings.value(f"{_SETTINGS}/map_a", "", type=str))
        self.map_b.restore(settings.value(f"{_SETTINGS}/map_b", "", type=str))
        self.min_area.setValue(settings.value(f"{_SETTINGS}/min_area", 0, type=float))
        for part in (self.area, self.legend, self.zones_box):
            part.restore(settings, _SETTINGS)

    def _map_changed(self) -> None:
        self.out.suggest(self.map_b.source(), "change")
        self.changed.emit()
