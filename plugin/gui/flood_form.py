"""The form of a flood run: what it asks, in what order, and the parameters that it fills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox, QgsFieldComboBox, QgsFileWidget, QgsMapCanvas
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from ..engine_client.settings import plugin_root
from ..processing.flood_parameters import METHODS, model_names
from .area_picker import AreaPicker
from .flood_options import FloodOptions
from .form_page import Form
from .layer_picker import POLYGON, RASTER, LayerPicker, polygon_layer
from .suggest import suggest_folder

_SETTINGS = "samescene/dock"


class FloodForm(Form):
    """Fills the parameters of ``samescene:flood``; nothing here computes.

    :attr:`changed` follows every change. :meth:`fault` is the first thing that keeps the run from starting.
    """

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._suggested = ""
        self._zones_layer = None
        self.scene = LayerPicker(RASTER, title=self.tr("Scene after the event"), optional=False, parent=self)
        self.before = LayerPicker(RASTER, title=self.tr("Scene before the event"), parent=self)
        self.water = LayerPicker(RASTER, title=self.tr("Reference water"), parent=self)
        self.dem = LayerPicker(RASTER, title=self.tr("Elevation (DEM)"), parent=self)
        self.hand = LayerPicker(RASTER, title=self.tr("Height above drainage"), parent=self)
        self.s2 = LayerPicker(RASTER, title=self.tr("Sentinel-2 image"), parent=self)
        self.scl = LayerPicker(RASTER, title=self.tr("Scene classification (SCL)"), parent=self)
        self.area = AreaPicker(canvas, self)
        self.zones = LayerPicker(POLYGON, title=self.tr("Zones"), parent=self)
        self.zone_field = QgsFieldComboBox(self)
        self.zone_field.setAllowEmptyFieldName(True)
        self.method = QComboBox(self)
        self.method.setEditable(True)
        self.method.addItems([*METHODS, *model_names(plugin_root())])
        self.options = FloodOptions(self)
        self.out = QgsFileWidget(self)
        self.out.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.out.setDialogTitle(self.tr("Folder for the results"))
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
            (self.zones, self.tr("Polygons, for example districts, to report flooded area by.")),
            (self.zone_field, self.tr("Field that names a zone; without one the feature id does.")),
            (self.method, self.tr("auto takes what measured best; threshold needs no model; or a model by name.")),
            (self.out, self.tr("Folder for the results; made if absent.")),
        )
        for widget, text in tips:
            widget.setToolTip(text)
        scenes = self._form()
        scenes.addRow(self._label(self.tr("Scene &after"), self.scene), self.scene)
        scenes.addRow(self._label(self.tr("Scene &before"), self.before), self.before)
        scenes.addRow(self._label(self.tr("Reference &water"), self.water), self.water)
        terrain = QgsCollapsibleGroupBox(self.tr("Terrain"), self)
        rows = self._form(terrain)
        rows.addRow(self._label(self.tr("&DEM"), self.dem), self.dem)
        rows.addRow(self._label(self.tr("&HAND"), self.hand), self.hand)
        self.terrain_box = terrain
        optical = QgsCollapsibleGroupBox(self.tr("Sentinel-2"), self)
        rows = self._form(optical)
        rows.addRow(self._label(self.tr("&Image"), self.s2), self.s2)
        rows.addRow(self._label(self.tr("&Clouds (SCL)"), self.scl), self.scl)
        self.optical_box = optical
        zones = QgsCollapsibleGroupBox(self.tr("Zones to report"), self)
        rows = self._form(zones)
        rows.addRow(self._label(self.tr("&Zones"), self.zones), self.zones)
        rows.addRow(self._label(self.tr("Name &field"), self.zone_field), self.zone_field)
        self.zones_box = zones
        area = self._form()
        area.addRow(self._label(self.tr("A&rea"), self.area), self.area)
        area.addRow(self._label(self.tr("&Method"), self.method), self.method)
        result = self._form()
        result.addRow(self._label(self.tr("&Output folder"), self.out), self.out)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 9, 9, 9)
        column.setSpacing(9)
        column.addLayout(scenes)
        column.addLayout(area)
        for box in (terrain, optical, zones, self.options):
            box.setCollapsed(True)
            box.setSaveCollapsedState(False)
            column.addWidget(box)
        column.addLayout(result)
        column.addStretch(1)
        order = (self.scene, self.before, self.water, self.area, self.method, self.dem, self.hand)
        order = (*order, self.s2, self.scl, self.zones)
        for first, second in zip(order, (*order[1:], self.zone_field)):
            QWidget.setTabOrder(first, second)

    @staticmethod
    def _form(parent: QWidget | None = None) -> QFormLayout:
        form = QFormLayout(parent) if parent is not None else QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        form.setHorizontalSpacing(9)
        form.setVerticalSpacing(6)
        if parent is None:
            form.setContentsMargins(0, 0, 0, 0)
        return form

    def _label(self, text: str, buddy: QWidget) -> QLabel:
        label = QLabel(text, self)
        label.setBuddy(buddy)
        label.setMinimumWidth(self.fontMetrics().horizontalAdvance("Reference water") + 4)
        return label

    def _connect(self) -> None:
        self.scene.changed.connect(self._scene_changed)
        self.zones.changed.connect(self._zones_changed)
        for picker in (self.before, self.s2, self.scl, self.water, self.dem, self.hand, self.area, self.options):
            picker.changed.connect(self.changed)
        self.zone_field.fieldChanged.connect(self.changed)
        self.method.currentTextChanged.connect(self.changed)
        self.out.fileChanged.connect(self.changed)

    def _scene_changed(self) -> None:
        if self.out.filePath() in ("", self._suggested):
            self.suggest_output()
        self.changed.emit()

    def suggest_output(self) -> None:
        """Fill in an output folder beside the scene (or where the user can write) that does not exist yet."""
        self._suggested = suggest_folder(self.scene.source())
        self.out.setFilePath(self._suggested)

    def _zones_changed(self) -> None:
        self._zones_layer = polygon_layer(self.zones)  # kept: the field box does not own it
        self.zone_field.setLayer(self._zones_layer)
        self.changed.emit()

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self.suggest_output()

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
            "ZONES": self.zones.value(),
            "ZONE_FIELD": self.zone_field.currentField() if self.zones.value() else None,
            "METHOD": self.method.currentText().strip() or "auto",
            "OUTPUT": self.out.filePath().strip(),
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
        out = self.out.filePath().strip()
        if not out:
            return self.tr("Choose a folder for the results."), self.out
        folder = Path(out)
        if not folder.is_absolute():
            return self.tr("The output folder needs a full path: {}").format(out), self.out
        if folder.is_file():
            return self.tr("The output folder is a file: {}").format(out), self.out
        if folder.is_dir() and any(folder.iterdir()) and not self.options.overwrite.isChecked():
            return self.tr(
                "The output folder is not empty: choose another, or tick “Replace results” in Advanced."
            ), self.out
        return "", None

    def save(self) -> None:
        """Remember the form for the next session."""
        settings = QgsSettings()
        for name, picker in self._pickers():
            settings.setValue(f"{_SETTINGS}/{name}", picker.source())
        settings.setValue(f"{_SETTINGS}/zone_field", self.zone_field.currentField())
        settings.setValue(f"{_SETTINGS}/method", self.method.currentText())
        settings.setValue(f"{_SETTINGS}/terrain_open", not self.terrain_box.isCollapsed())
        settings.setValue(f"{_SETTINGS}/zones_open", not self.zones_box.isCollapsed())
        settings.setValue(f"{_SETTINGS}/optical_open", not self.optical_box.isCollapsed())
        self.area.save(settings, _SETTINGS)
        self.options.save(settings, _SETTINGS)

    def restore(self) -> None:
        """Fill in what :meth:`save` remembered, as far as it still exists."""
        settings = QgsSettings()
        for name, picker in self._pickers():
            picker.restore(settings.value(f"{_SETTINGS}/{name}", "", type=str))
        self.zone_field.setField(settings.value(f"{_SETTINGS}/zone_field", "", type=str))
        self.method.setCurrentText(settings.value(f"{_SETTINGS}/method", "auto", type=str))
        self.terrain_box.setCollapsed(not settings.value(f"{_SETTINGS}/terrain_open", False, type=bool))
        self.zones_box.setCollapsed(not settings.value(f"{_SETTINGS}/zones_open", False, type=bool))
        self.optical_box.setCollapsed(not settings.value(f"{_SETTINGS}/optical_open", False, type=bool))
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
            ("zones", self.zones),
        )
