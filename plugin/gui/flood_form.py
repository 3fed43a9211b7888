"""The form of a flood run: what it asks, in what order, and the parameters that it fills."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox, QgsMapCanvas
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QWidget

from ..engine_client.settings import plugin_root
from ..processing.flood_parameters import METHODS
from ..processing.model_names import model_names
from .area_picker import AreaPicker
from .flood_options import FloodOptions
from .form_page import Form
from .form_parts import OutputFolder, ZonesBox, label, rows, stack
from .layer_picker import RASTER, LayerPicker

_SETTINGS = "samescene/dock"


class FloodForm(Form):
    """Fills the parameters of ``samescene:flood``; nothing here computes.

    :attr:`changed` follows every change. :meth:`fault` is the first thing that keeps the run from starting.
    """

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scene = LayerPicker(RASTER, title=self.tr("Scene after the event"), optional=False, parent=self)
        self.before = LayerPicker(RASTER, title=self.tr("Scene before the event"), parent=self)
        self.water = LayerPicker(RASTER, title=self.tr("Reference water"), parent=self)
        self.dem = LayerPicker(RASTER, title=self.tr("Elevation (DEM)"), parent=self)
        self.hand = LayerPicker(RASTER, title=self.tr("Height above drainage"), parent=self)
        self.s2 = LayerPicker(RASTER, title=self.tr("Sentinel-2 image"), parent=self)
        self.scl = LayerPicker(RASTER, title=self.tr("Scene classification (SCL)"), parent=self)
        self.area = AreaPicker(canvas, self)
        self.zones_box = ZonesBox(self.tr("Polygons, for example districts, to report flooded area by."), self)
        self.zones, self.zone_field = self.zones_box.zones, self.zones_box.field
        self.method = QComboBox(self)
        self.method.setEditable(True)
        self.method.addItems([*METHODS, *model_names(plugin_root(), "flood")])
        self.options = FloodOptions(self)
        self.out = OutputFolder(self)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        tips = (
            (
                self.scene,
                self.tr(
                    "Sentinel-1 scene during or after the event: VV and VH, or either alone; with a model for it, "
                    "Sentinel-2."
                ),
            ),
            (
                self.before,
                self.tr("Scene before the event, of the same sensor and orbit: tells flood from water."),
            ),
            (self.s2, self.tr("Beside a Sentinel-1 scene, for models that map from both sensors.")),
            (self.scl, self.tr("SCL of the Sentinel-2 image: clouds and their shadows are not mapped from it.")),
            (self.water, self.tr("Permanent water: 1 water, 0 land, or per cent occurrence (50 and more is water).")),
            (self.dem, self.tr("Elevation in metres: sets water on steep slopes and high above drainage aside.")),
            (self.hand, self.tr("Height above nearest drainage in metres; saves deriving it from the DEM.")),
            (self.method, self.tr("auto takes what measured best; threshold needs no model; or a model by name.")),
        )
        for widget, text in tips:
            widget.setToolTip(text)
        scenes = rows()
        scenes.addRow(self._label(self.tr("Scene &after"), self.scene), self.scene)
        scenes.addRow(self._label(self.tr("Scene &before"), self.before), self.before)
        scenes.addRow(self._label(self.tr("Reference &water"), self.water), self.water)
        terrain = QgsCollapsibleGroupBox(self.tr("Terrain"), self)
        lines = rows(terrain)
        lines.addRow(self._label(self.tr("&DEM"), self.dem), self.dem)
        lines.addRow(self._label(self.tr("&HAND"), self.hand), self.hand)
        self.terrain_box = terrain
        optical = QgsCollapsibleGroupBox(self.tr("Sentinel-2"), self)
        lines = rows(optical)
        lines.addRow(self._label(self.tr("&Image"), self.s2), self.s2)
        lines.addRow(self._label(self.tr("&Clouds (SCL)"), self.scl), self.scl)
        self.optical_box = optical
        area = rows()
        area.addRow(self._label(self.tr("A&rea"), self.area), self.area)
        area.addRow(self._label(self.tr("&Method"), self.method), self.method)
        result = rows()
        result.addRow(self._label(self.tr("&Output folder"), self.out), self.out)
        boxes = (terrain, optical, self.zones_box, self.options)
        for box in boxes:
            box.setCollapsed(True)
            box.setSaveCollapsedState(False)
        stack(self, scenes, area, *boxes, result)
        order = (self.scene, self.before, self.water, self.area, self.method, self.dem, self.hand)
        order = (*order, self.s2, self.scl, self.zones)
        for first, second in zip(order, (*order[1:], self.zone_field)):
            QWidget.setTabOrder(first, second)

    def _label(self, text: str, buddy: QWidget) -> QLabel:
        return label(text, buddy, as_wide_as="Reference water")

    def _connect(self) -> None:
        self.scene.changed.connect(self._scene_changed)
        self.zones_box.changed.connect(self.changed)
        for picker in (self.before, self.s2, self.scl, self.water, self.dem, self.hand, self.area, self.options):
            picker.changed.connect(self.changed)
        self.method.currentTextChanged.connect(self.changed)
        self.out.fileChanged.connect(self.changed)

    def _scene_changed(self) -> None:
        self.out.suggest(self.scene.source(), "flood")
        self.changed.emit()

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self.out.suggest(self.scene.source(), "flood", anew=True)

    def shut_down(self) -> None:
        """Give the map its tool back."""
        self.area.close_tool()

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:flood``; what is not used is left out."""
        values = {
            "POST": self.scene.value(),
            "BEFORE": self.before.value(),
            "S2": self.s2.value(),
            "SCL": self.scl.value(),
            "REFERENCE_WATER": self.water.value(),
            "DEM": self.dem.value(),
            "HAND": self.hand.value(),
            **self.zones_box.parameters(),
            "METHOD": self.method.currentText().strip() or "auto",
            "OUTPUT": self.out.folder(),
            **self.area.parameters(),
            **self.options.parameters(),
            "LOAD_RESULTS": False,  # the dock loads them one by one, so that the window never waits
        }
        return {name: value for name, value in values.items() if value not in (None, "")}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in; ``("", None)`` when it can start."""
        if not self.scene.value():
            return self.tr("Choose the scene after the event."), self.scene
        if self.scene.value() == self.before.value():
            return self.tr("The scenes after and before the event are the same."), self.before
        fault = self.area.fault()
        if fault:
            return fault, self.area
        fault = self.out.fault(replace=self.options.overwrite.isChecked())
        if fault:
            return fault, self.out
        return "", None

    def save(self) -> None:
        """Remember the form for the next session."""
        settings = QgsSettings()
        for name, picker in self._pickers():
            settings.setValue(f"{_SETTINGS}/{name}", picker.source())
        settings.setValue(f"{_SETTINGS}/method", self.method.currentText())
        settings.setValue(f"{_SETTINGS}/terrain_open", not self.terrain_box.isCollapsed())
        settings.setValue(f"{_SETTINGS}/optical_open", not self.optical_box.isCollapsed())
        self.zones_box.save(settings, _SETTINGS)
        self.area.save(settings, _SETTINGS)
        self.options.save(settings, _SETTINGS)

    def restore(self) -> None:
        """Fill in what :meth:`save` remembered, as far as it still exists."""
        settings = QgsSettings()
        for name, picker in self._pickers():
            picker.restore(settings.value(f"{_SETTINGS}/{name}", "", type=str))
        self.method.setCurrentText(settings.value(f"{_SETTINGS}/method", "auto", type=str))
        self.terrain_box.setCollapsed(not settings.value(f"{_SETTINGS}/terrain_open", False, type=bool))
        self.optical_box.setCollapsed(not settings.value(f"{_SETTINGS}/optical_open", False, type=bool))
        self.zones_box.restore(settings, _SETTINGS)
        self.area.restore(settings, _SETTINGS)
        self.options.restore(settings, _SETTINGS)

    def _pickers(self) -> tuple[tuple[str, LayerPicker], ...]:
        return (
            ("scene", self.scene),
            ("before", self.before),
            ("s2", self.s2),
            ("scl", self.scl),
            ("reference_water", self.water),
            ("dem", self.dem),
            ("hand", self.hand),
        )
