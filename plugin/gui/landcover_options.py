"""The advanced options of a land-cover run."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QLineEdit, QWidget

from ..processing.definitions import DEVICES, UNITS
from .form_parts import add_row, rows


class LandcoverOptions(QgsCollapsibleGroupBox):
    """What a first run need not touch; the values are those of the command when untouched."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTitle(self.tr("Advanced"))
        self.units = QComboBox(self)
        self.units.addItems([self.tr("found from the file"), self.tr("decibel (dB)"), self.tr("linear power"),
                             self.tr("amplitude")])  # fmt: skip
        self.bands = QLineEdit(self)
        self.bands.setPlaceholderText(self.tr("by name, or B02=1,B03=2"))
        self.observed_at = QLineEdit(self)
        self.observed_at.setPlaceholderText(self.tr("from the file, or 2021-06-01T10:30:00Z"))
        self.device = QComboBox(self)
        self.device.setEditable(True)
        self.device.addItems(DEVICES)
        self.overwrite = QCheckBox(self.tr("Replace results in the output folder"), self)
        form = rows(self)
        add_row(form, self.tr("Unit"), self.units, self.tr("Unit of Sentinel-1, where the file is not clear."))
        add_row(form, self.tr("Bands"), self.bands, self.tr("Band numbers where the bands have no names."))
        tip = self.tr("Acquisition time (ISO 8601) where the file does not tell.")
        add_row(form, self.tr("Observed at"), self.observed_at, tip)
        add_row(form, self.tr("Device"), self.device, self.tr("auto, cpu, cuda, cuda:N or mps."))
        form.addRow(self.overwrite)
        for widget in (self.units, self.device):
            widget.currentTextChanged.connect(self.changed)
        for widget in (self.bands, self.observed_at):
            widget.textChanged.connect(self.changed)
        self.overwrite.toggled.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:landcover`` that stand here."""
        return {
            "UNITS": UNITS[self.units.currentIndex()],
            "BANDS": self.bands.text().strip(),
            "OBSERVED_AT": self.observed_at.text().strip(),
            "DEVICE": self.device.currentText().strip(),
            "OVERWRITE": self.overwrite.isChecked(),
        }

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember the values that stay true from scene to scene (not bands, time, or replacing)."""
        settings.setValue(f"{prefix}/device", self.device.currentText())
        settings.setValue(f"{prefix}/advanced_open", not self.isCollapsed())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered."""
        self.device.setCurrentText(settings.value(f"{prefix}/device", "auto", type=str))
        self.setCollapsed(not settings.value(f"{prefix}/advanced_open", False, type=bool))
