"""The advanced options of a flood run."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFormLayout, QLineEdit, QSpinBox, QWidget

from ..processing.definitions import DEVICES, UNITS


class FloodOptions(QgsCollapsibleGroupBox):
    """What a first run need not touch; the values are those of the command when untouched."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTitle(self.tr("Advanced"))
        self.probability = QSpinBox(self)
        self.probability.setRange(1, 99)
        self.probability.setValue(50)
        self.probability.setSuffix(" %")
        self.min_area = self._number(0, 1e9, 2000, 0, " m²")
        self.max_hand = self._number(0.1, 1000, 15, 1, " m")
        self.max_slope = self._number(0.1, 90, 5, 1, "°")
        self.units = QComboBox(self)
        self.units.addItems([self.tr("found from the file"), self.tr("decibel (dB)"), self.tr("linear power"),
                             self.tr("amplitude")])  # fmt: skip
        self.bands = QLineEdit(self)
        self.bands.setPlaceholderText(self.tr("by name, or VV=1,VH=2"))
        self.observed_at = QLineEdit(self)
        self.observed_at.setPlaceholderText(self.tr("from the file, or 2019-09-17T06:03:00Z"))
        self.device = QComboBox(self)
        self.device.setEditable(True)
        self.device.addItems(DEVICES)
        self.overwrite = QCheckBox(self.tr("Replace results in the output folder"), self)
        rows = (
            (self.tr("Water from"), self.probability, self.tr("Water where the probability is at least this.")),
            (self.tr("Smallest area"), self.min_area, self.tr("Smallest water body kept.")),
            (self.tr("Highest HAND"), self.max_hand, self.tr("Water higher above drainage than this is set aside.")),
            (self.tr("Steepest slope"), self.max_slope, self.tr("Water on steeper slopes than this is set aside.")),
            (self.tr("Unit"), self.units, self.tr("Unit of both scenes, where the file does not make it clear.")),
            (self.tr("Bands"), self.bands, self.tr("Band numbers where the bands have no names.")),
            (
                self.tr("Observed at"),
                self.observed_at,
                self.tr("Acquisition time (ISO 8601) where the file does not tell."),
            ),
            (self.tr("Device"), self.device, self.tr("auto, cpu, cuda, cuda:N or mps; used by models.")),
        )
        form = QFormLayout(self)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setHorizontalSpacing(9)
        form.setVerticalSpacing(6)
        for label, widget, tip in rows:
            widget.setToolTip(tip)
            widget.setAccessibleName(label)
            form.addRow(label, widget)
        form.addRow(self.overwrite)
        for widget in (self.probability, self.min_area, self.max_hand, self.max_slope):
            widget.valueChanged.connect(self.changed)
        for widget in (self.units, self.device):
            widget.currentTextChanged.connect(self.changed)
        for widget in (self.bands, self.observed_at):
            widget.textChanged.connect(self.changed)
        self.overwrite.toggled.connect(self.changed)

    def _number(self, low: float, high: float, value: float, decimals: int, suffix: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox(self)
        box.setDecimals(decimals)
        box.setRange(low, high)
        box.setValue(value)
        box.setSuffix(suffix)
        box.setGroupSeparatorShown(True)
        return box

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:flood`` that stand here."""
        return {
            "PROBABILITY": self.probability.value(),
            "MIN_AREA": self.min_area.value(),
            "MAX_HAND": self.max_hand.value(),
            "MAX_SLOPE": self.max_slope.value(),
            "UNITS": UNITS[self.units.currentIndex()],
            "BANDS": self.bands.text().strip(),
            "OBSERVED_AT": self.observed_at.text().strip(),
            "DEVICE": self.device.currentText().strip(),
            "OVERWRITE": self.overwrite.isChecked(),
        }

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember the values that stay true from scene to scene (not bands, time, or replacing)."""
        for name, box in self._numbers():
            settings.setValue(f"{prefix}/{name}", box.value())
        settings.setValue(f"{prefix}/device", self.device.currentText())
        settings.setValue(f"{prefix}/advanced_open", not self.isCollapsed())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered."""
        for name, box in self._numbers():
            box.setValue(settings.value(f"{prefix}/{name}", box.value(), type=type(box.value())))
        self.device.setCurrentText(settings.value(f"{prefix}/device", "auto", type=str))
        self.setCollapsed(not settings.value(f"{prefix}/advanced_open", False, type=bool))

    def _numbers(self):
        return (
            ("probability", self.probability),
            ("min_area", self.min_area),
            ("max_hand", self.max_hand),
            ("max_slope", self.max_slope),
        )
