"""A box for a compass heading that may be unknown."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QDoubleSpinBox, QWidget

_UNKNOWN = -1.0


class HeadingBox(QDoubleSpinBox):
    """Degrees clockwise from true north, 0…360, which go round; :attr:`headed` carries what the user sets: degrees, or
    None for "not known"."""

    headed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRange(_UNKNOWN, 360.0)
        self.setDecimals(1)
        self.setSuffix("°")
        self.setSpecialValueText(self.tr("not known"))
        self.setKeyboardTracking(False)
        self.valueChanged.connect(lambda _value: self.headed.emit(self.heading_deg))

    @property
    def heading_deg(self) -> float | None:
        """What stands in the box; None: not known."""
        return None if self.value() < 0 else self.value() % 360.0

    def show_heading(self, heading_deg: float | None) -> None:
        """Put a heading into the box; :attr:`headed` does not tell it."""
        self.blockSignals(True)
        self.setValue(_UNKNOWN if heading_deg is None else heading_deg % 360.0)
        self.blockSignals(False)

    def stepBy(self, steps):
        known = self.heading_deg
        self.setValue(0.0 if known is None else (known + steps * self.singleStep()) % 360.0)
