"""The form of an accuracy sample: which map, which design, how many points."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox, QgsMapCanvas
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QLineEdit, QSpinBox, QWidget

from ..processing.sample_parameters import ALLOCATIONS, DESIGNS
from .area_picker import AreaPicker
from .form_page import Form
from .form_parts import OutputFolder, add_row, hint, number, rows, stack
from .layer_picker import RASTER, LayerPicker
from .legend_choice import LegendChoice

_SETTINGS = "samescene/dock/sample"
_WIDEST = "Number of points"


class SampleForm(Form):
    """Fills the parameters of ``samescene:sample_points``."""

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tr = self.tr
        self.map = LayerPicker(RASTER, title=tr("Map to assess"), optional=False, parent=self)
        self.design = QComboBox(self)
        for name, title in zip(DESIGNS, (tr("by class of the map"), tr("simple random"), tr("systematic grid"))):
            self.design.addItem(title, name)
        self.points = self._whole(2, 1_000_000, 500)
        self.allocation = QComboBox(self)
        self.allocation.setEditable(True)
        self.allocation.addItems(ALLOCATIONS)
        self.seed = self._whole(0, 2**31 - 1, 0)
        self.target = number(self, 0, 0.4999, 0, 4, "")
        self.target.setSingleStep(0.005)
        self.target.setSpecialValueText(tr("not used"))
        self.min_points = self._whole(-1, 1_000_000, -1)
        self.min_points.setSpecialValueText(tr("50 or fewer"))
        self.exclude = QLineEdit(self)
        self.exclude.setPlaceholderText(tr("those that are no class"))
        self.legend = LegendChoice(tr("that of the map"), self)
        self.expected = QLineEdit(self)
        self.expected.setPlaceholderText("10=.9,50=.7")
        self.strata = LayerPicker(RASTER, title=tr("Strata"), parent=self)
        self.area = AreaPicker(canvas, self)
        self.area.setToolTip(tr("Points are drawn in this area only."))
        self.overwrite = QCheckBox(tr("Replace results in the output folder"), self)
        self.out = OutputFolder(self)
        self._note = hint("", self)
        self._lay_out()
        self._connect()
        self._design_changed()

    def _whole(self, low: int, high: int, value: int) -> QSpinBox:
        box = QSpinBox(self)
        box.setRange(low, high)
        box.setValue(value)
        box.setGroupSeparatorShown(True)
        return box

    def _lay_out(self) -> None:
        tr = self.tr
        upper = rows()
        add_row(
            upper,
            tr("&Map"),
            self.map,
            tr("landcover.tif, flood.tif, or any raster of class codes"),
            as_wide_as=_WIDEST,
        )
        add_row(upper, tr("A&rea"), self.area, as_wide_as=_WIDEST)
        tip = tr("All three are probability samples: accuracy and area can be estimated from each.")
        add_row(upper, tr("&Design"), self.design, tip, as_wide_as=_WIDEST)
        tip = tr("Each has to be labelled by a person: 500 take about a day.")
        add_row(upper, tr("&Number of points"), self.points, tip, as_wide_as=_WIDEST)
        tip = tr("proportional to area, equal, optimal (from expected accuracies), or numbers such as 10=75,40=75")
        add_row(upper, tr("Points &by class"), self.allocation, tip, as_wide_as=_WIDEST)
        tip = tr("The same seed draws the same points.")
        add_row(upper, tr("&Seed"), self.seed, tip, as_wide_as=_WIDEST)
        self.advanced = QgsCollapsibleGroupBox(tr("Advanced"), self)
        self.advanced.setCollapsed(True)
        self.advanced.setSaveCollapsedState(False)
        more = rows(self.advanced)
        tip = tr("For example 0.01, of the overall accuracy: the number of points follows from it.")
        add_row(more, tr("Wanted std. error"), self.target, tip)
        tip = tr("Fewest points in a class of a proportional or optimal allocation.")
        add_row(more, tr("Fewest in a class"), self.min_points, tip)
        tip = tr("User's accuracy expected of each class: for an optimal allocation or a wanted error.")
        add_row(more, tr("Expected accuracy"), self.expected, tip)
        add_row(more, tr("Strata"), self.strata, tr("A raster of strata, where they are not the map's own classes."))
        tip = tr("Codes that are no part of the sampled area, for example 0,254, or none.")
        add_row(more, tr("Codes left out"), self.exclude, tip)
        add_row(more, tr("Legend"), self.legend, tr("Legend of the map, where it names none."))
        more.addRow(self.overwrite)
        lower = rows()
        add_row(lower, tr("&Output folder"), self.out, as_wide_as=_WIDEST)
        stack(self, upper, self._note, self.advanced, lower)

    def _connect(self) -> None:
        self.map.changed.connect(self._map_changed)
        self.design.currentIndexChanged.connect(self._design_changed)
        self.allocation.currentTextChanged.connect(self._design_changed)
        for part in (self.area, self.strata, self.legend):
            part.changed.connect(self.changed)
        for box in (self.points, self.seed, self.min_points):
            box.valueChanged.connect(self.changed)
        self.target.valueChanged.connect(self._design_changed)
        for line in (self.expected, self.exclude):
            line.textChanged.connect(self.changed)
        self.out.fileChanged.connect(self.changed)
        self.overwrite.toggled.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:sample_points``; what is not used is left out."""
        values = {
            "MAP": self.map.value(),
            **self.area.parameters(),
            "DESIGN": self.design.currentData(),
            "POINTS": self.points.value(),
            "ALLOCATION": self.allocation.currentText().strip() if self._stratified else ALLOCATIONS[0],
            "TARGET_SE": self.target.value() or None,
            "MIN_POINTS": self.min_points.value() if self._stratified and self.min_points.value() >= 0 else None,
            "EXPECTED": self.expected.text().strip() if self._optimal or self.target.value() else "",
            "EXCLUDE": self.exclude.text().strip(),
            "LEGEND": self.legend.value(),
            "STRATA": self.strata.value() if self._stratified else None,
            "SEED": self.seed.value(),
            "OVERWRITE": self.overwrite.isChecked(),
            "OUTPUT": self.out.folder(),
            "LOAD_RESULTS": False,
        }
        return {name: value for name, value in values.items() if value not in (None, "")}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in."""
        if not self.map.value():
            return self.tr("Choose the map to assess."), self.map
        fault = self.area.fault()
        if fault:
            return fault, self.area
        if self._optimal and not self.expected.text().strip():
            return self.tr("An optimal allocation needs the accuracy that is expected of each class."), self.expected
        fault = self.out.fault(replace=self.overwrite.isChecked())
        return (fault, self.out) if fault else ("", None)

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self.out.suggest(self.map.source(), "sample", anew=True)

    def shut_down(self) -> None:
        """Give the map its tool back."""
        self.area.close_tool()

    def save(self) -> None:
        """Remember the form for the next session."""
        settings = QgsSettings()
        settings.setValue(f"{_SETTINGS}/map", self.map.source())
        settings.setValue(f"{_SETTINGS}/design", self.design.currentData())
        settings.setValue(f"{_SETTINGS}/points", self.points.value())
        self.area.save(settings, _SETTINGS)

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""
        settings = QgsSettings()
        self.map.restore(settings.value(f"{_SETTINGS}/map", "", type=str))
        self.design.setCurrentIndex(max(0, self.design.findData(settings.value(f"{_SETTINGS}/design", "", type=str))))
        self.points.setValue(settings.value(f"{_SETTINGS}/points", 500, type=int))
        self.area.restore(settings, _SETTINGS)

    @property
    def _stratified(self) -> bool:
        return self.design.currentData() == "stratified"

    @property
    def _optimal(self) -> bool:
        return self._stratified and self.allocation.currentText().strip() == "optimal"

    def _map_changed(self) -> None:
        self.out.suggest(self.map.source(), "sample")
        self.changed.emit()

    def _design_changed(self, *_) -> None:
        for widget in (self.allocation, self.min_points, self.strata):
            widget.setEnabled(self._stratified)
        self.expected.setEnabled(self._optimal or self.target.value() > 0)
        self.points.setEnabled(not self.target.value())
        notes = {
            "stratified": self.tr("So many points in each class of the map: rare classes get enough of them."),
            "simple": self.tr("Random anywhere: rare classes may get few points or none."),
            "systematic": self.tr("A regular grid with a random start: even over the area."),
        }
        self._note.setText(notes[self.design.currentData()])
        self.changed.emit()
