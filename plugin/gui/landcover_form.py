"""The form of a land-cover map: scenes, area, model, and the classes that the map will have."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox, QgsMapCanvas
from qgis.PyQt.QtWidgets import QSpinBox, QVBoxLayout, QWidget

from ..layers.legends import legend_of_card
from .area_picker import AreaPicker
from .form_page import Form
from .form_parts import OutputFolder, ZonesBox, add_row, number, rows, stack
from .layer_picker import RASTER, LayerPicker
from .legend_choice import LegendChoice
from .legend_view import LegendView
from .model_choice import AUTO, ModelChoice
from .scene_list import SceneList
from .scene_options import SceneOptions

_SETTINGS = "samescene/dock/landcover"
_WIDEST = "Unknown below"


class LandcoverForm(Form):
    """Fills the parameters of ``samescene:landcover``."""

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.scenes = SceneList(
            self.tr(
                "Sentinel-2 (L1C or L2A) or Sentinel-1, or both of one place; bands by name. What a model does not "
                "need is passed over."
            ),
            self,
        )
        self.scl = LayerPicker(RASTER, title=self.tr("Scene classification (SCL)"), parent=self)
        self.area = AreaPicker(canvas, self)
        self.model = ModelChoice(self)
        self.legend = LegendChoice(self.tr("the model's own"), self)
        self.view = LegendView(self)
        self.min_area = number(self, 0, 1e9, 1000, 0, " m²")
        self.unknown = QSpinBox(self)
        self.unknown.setRange(-1, 99)
        self.unknown.setValue(-1)
        self.unknown.setSuffix(" %")
        self.zones_box = ZonesBox(self.tr("Polygons, for example districts, to report areas of classes by."), self)
        self.options = SceneOptions(bands="B02=1,B03=2", parent=self)
        self.out = OutputFolder(self)
        self._lay_out()
        self._connect()
        self._show_legend()

    def _lay_out(self) -> None:
        tr = self.tr
        upper = rows()
        add_row(upper, tr("&Scenes"), self.scenes, as_wide_as=_WIDEST)
        tip = tr("SCL band of the Sentinel-2 image: clouds and their shadows become unknown.")
        add_row(upper, tr("&Clouds (SCL)"), self.scl, tip, as_wide_as=_WIDEST)
        add_row(upper, tr("A&rea"), self.area, as_wide_as=_WIDEST)
        tip = tr("auto takes the model that comes with the plugin; or one by name, or a model folder.")
        add_row(upper, tr("&Model"), self.model, tip, as_wide_as=_WIDEST)
        tip = tr("Legend that the map is written in; classes are brought to it by a written mapping.")
        add_row(upper, tr("&Legend"), self.legend, tip, as_wide_as=_WIDEST)
        tip = tr("Minimum mapping unit: smaller patches go to their neighbours; 0 keeps every pixel.")
        add_row(upper, tr("Smallest &patch"), self.min_area, tip, as_wide_as=_WIDEST)
        tip = tr("Pixels less certain than this become “unknown”; all the way down: the model's own threshold.")
        add_row(upper, tr("&Unknown below"), self.unknown, tip, as_wide_as=_WIDEST)
        self.classes_box = QgsCollapsibleGroupBox(tr("Classes of the map"), self)
        self.classes_box.setSaveCollapsedState(False)
        inside = QVBoxLayout(self.classes_box)
        inside.addWidget(self.view)
        lower = rows()
        add_row(lower, tr("&Output folder"), self.out, as_wide_as=_WIDEST)
        for box in (self.zones_box, self.options):
            box.setCollapsed(True)
            box.setSaveCollapsedState(False)
        stack(self, upper, self.classes_box, self.zones_box, self.options, lower)

    def _connect(self) -> None:
        self.scenes.changed.connect(self._scenes_changed)
        self.model.changed.connect(self._show_legend)
        self.legend.changed.connect(self._show_legend)
        for part in (self.scl, self.area, self.zones_box, self.options, self.model, self.legend):
            part.changed.connect(self.changed)
        for box in (self.min_area, self.unknown):
            box.valueChanged.connect(self.changed)
        self.out.fileChanged.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:landcover``; what is not used is left out."""
        values = {
            "SCENES": self.scenes.values(),
            "SCL": self.scl.value(),
            **self.area.parameters(),
            **self.zones_box.parameters(),
            **self.model.parameters(),
            "LEGEND": self.legend.value(),
            "MIN_AREA": self.min_area.value(),
            "UNKNOWN_BELOW": self.unknown.value() if self.unknown.value() >= 0 else None,
            "OUTPUT": self.out.folder(),
            **self.options.parameters(),
            "LOAD_RESULTS": False,  # the dock loads them one by one, so that the window never waits
        }
        return {name: value for name, value in values.items() if value not in (None, "", [])}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in."""
        if not self.scenes.values():
            return self.tr("Choose a scene: Sentinel-2, Sentinel-1, or both."), self.scenes
        if self.scenes.duplicate():
            return self.tr("One scene stands in the list twice."), self.scenes
        if self.scl.source() and self.scl.source() in self.scenes.sources():
            return self.tr("The scene classification (SCL) is one of the scenes."), self.scl
        fault = self.area.fault()
        if fault:
            return fault, self.area
        if self.model.card() is None:
            return self._no_model(), self.model
        fault = self.out.fault(replace=self.options.overwrite.isChecked())
        return (fault, self.out) if fault else ("", None)

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self.out.suggest(self._first(), "landcover", anew=True)

    def fill(self, *, sources: list[str] | None = None, model: str = "") -> None:
        """Take scenes and a model over from another tab."""
        self.model.refresh()
        if sources:
            self.scenes.set_sources(sources)
        if model:
            self.model.set_value(model)

    def shut_down(self) -> None:
        """Give the map its tool back."""
        self.area.close_tool()

    def save(self) -> None:
        """Remember the form for the next session."""
        settings = QgsSettings()
        self.scenes.save(settings, f"{_SETTINGS}/scenes")
        settings.setValue(f"{_SETTINGS}/scl", self.scl.source())
        settings.setValue(f"{_SETTINGS}/min_area", self.min_area.value())
        settings.setValue(f"{_SETTINGS}/classes_open", not self.classes_box.isCollapsed())
        for part in (self.area, self.model, self.legend, self.zones_box, self.options):
            part.save(settings, _SETTINGS)

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""
        settings = QgsSettings()
        self.scenes.restore(settings, f"{_SETTINGS}/scenes")
        self.scl.restore(settings.value(f"{_SETTINGS}/scl", "", type=str))
        self.min_area.setValue(settings.value(f"{_SETTINGS}/min_area", self.min_area.value(), type=float))
        self.classes_box.setCollapsed(not settings.value(f"{_SETTINGS}/classes_open", True, type=bool))
        for part in (self.area, self.model, self.legend, self.zones_box, self.options):
            part.restore(settings, _SETTINGS)

    def _first(self) -> str:
        return next(iter(self.scenes.sources()), "")

    def _scenes_changed(self) -> None:
        self.out.suggest(self._first(), "landcover")
        self.changed.emit()

    def _no_model(self) -> str:
        if self.model.value() == AUTO:
            return self.tr("There is no land-cover model yet: train one on labels of your own, or name a model folder.")
        return self.tr("There is no land-cover model {}: choose one of the list, or a folder with card.json.").format(
            self.model.value()
        )

    def _show_legend(self) -> None:
        card = self.model.card()
        own = legend_of_card(card, self.legend.legends) if card is not None else None
        percent = round(100 * float((card or {}).get("unknown_below") or 0))
        self.unknown.setSpecialValueText(
            self.tr("the model's own: {} %").format(percent) if card else self.tr("the model's own")
        )
        if card is None:
            self.view.show_legend(self.legend.legend(), self._no_model())
        elif self.legend.value():
            chosen = self.legend.legend()
            text = self.tr("{}, brought from the model's classes.").format(chosen.title) if chosen else ""
            self.view.show_legend(chosen, text or self.tr("The file is no legend."))
        else:
            self.view.show_legend(own, own.title if own is not None else self.tr("The model's card names no classes."))
