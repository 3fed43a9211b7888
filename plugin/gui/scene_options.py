"""The advanced options of a run over scenes: what their files do not tell, the device, replacing results."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget

from ..processing.definitions import DEVICES, UNITS
from .form_parts import add_row, rows


class SceneOptions(QgsCollapsibleGroupBox):
    """What a first run need not touch; the values are those of the command when untouched.

    ``bands``: an example of band numbers. A form with numbers of its own gives them by :meth:`add_number`, which puts
    them above the rest.
    """

    changed = pyqtSignal()

    def __init__(self, *, bands: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTitle(self.tr("Advanced"))
        self._numbers: dict[str, QSpinBox | QDoubleSpinBox] = {}
        self.units = QComboBox(self)
        self.units.addItems([self.tr("found from the file"), self.tr("decibel (dB)"), self.tr("linear power"),
                             self.tr("amplitude")])  # fmt: skip
        self.bands = QLineEdit(self)
        self.bands.setPlaceholderText(self.tr("by name, or {}").format(bands))
        self.observed_at = QLineEdit(self)
        self.observed_at.setPlaceholderText(self.tr("from the file, or 2021-06-01T10:30:00Z"))
        self.device = QComboBox(self)
        self.device.setEditable(True)
        self.device.addItems(DEVICES)
        self.overwrite = QCheckBox(self.tr("Replace results in the output folder"), self)
        self._form = rows(self)
        tip = self.tr("Unit of Sentinel-1, where the file does not make it clear.")
        add_row(self._form, self.tr("Unit"), self.units, tip)
        add_row(self._form, self.tr("Bands"), self.bands, self.tr("Band numbers where the bands have no names."))
        tip = self.tr("Acquisition time (ISO 8601) where the file does not tell.")
        add_row(self._form, self.tr("Observed at"), self.observed_at, tip)
        tip = self.tr("auto, cpu, cuda, cuda:N or mps; used by models.")
        add_row(self._form, self.tr("Device"), self.device, tip)
        self._form.addRow(self.overwrite)
        for widget in (self.units, self.device):
            widget.currentTextChanged.connect(self.changed)
        for widget in (self.bands, self.observed_at):
            widget.textChanged.connect(self.changed)
        self.overwrite.toggled.connect(self.changed)

    def add_number(self, name: str, text: str, box: QSpinBox | QDoubleSpinBox, tip: str) -> None:
        """A number that is remembered from scene to scene, as parameter ``NAME``."""
        add_row(self._form, text, box, tip, at=len(self._numbers))
        if self._numbers:
            QWidget.setTabOrder(list(self._numbers.values())[-1], box)
        QWidget.setTabOrder(box, self.units)
        self._numbers[name] = box
        box.valueChanged.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The algorithm's parameters that stand here."""
        return {
            **{name.upper(): box.value() for name, box in self._numbers.items()},
            "UNITS": UNITS[self.units.currentIndex()],
            "BANDS": self.bands.text().strip(),
            "OBSERVED_AT": self.observed_at.text().strip(),
            "DEVICE": self.device.currentText().strip(),
            "OVERWRITE": self.overwrite.isChecked(),
        }

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember the values that stay true from scene to scene (not bands, time, or replacing)."""
        for name, box in self._numbers.items():
            settings.setValue(f"{prefix}/{name}", box.value())
        settings.setValue(f"{prefix}/device", self.device.currentText())
        settings.setValue(f"{prefix}/advanced_open", not self.isCollapsed())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered."""
        for name, box in self._numbers.items():
            box.setValue(settings.value(f"{prefix}/{name}", box.value(), type=type(box.value())))
        self.device.setCurrentText(settings.value(f"{prefix}/device", "auto", type=str))
        self.setCollapsed(not settings.value(f"{prefix}/advanced_open", False, type=bool))
