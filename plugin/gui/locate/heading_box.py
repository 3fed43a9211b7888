"""A box for a heading: degrees that go round, or not known."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QDoubleSpinBox, QWidget

_UNKNOWN = -1.0


class HeadingBox(QDoubleSpinBox):
    """:attr:`edited` follows a change by the user, not one by :meth:`set_heading`."""

    edited = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRange(_UNKNOWN, 360.0)
        self.setDecimals(1)
        self.setSingleStep(1.0)
        self.setSuffix("°")
        self.setSpecialValueText(self.tr("unknown"))
        self.setKeyboardTracking(False)
        self.setAccelerated(True)
        self._quiet = False
        self.valueChanged.connect(self._changed)
        self.set_heading(None)

    def heading(self) -> float | None:
        """Degrees, 0 to 360; None where it is not known."""
        return None if self.value() < 0 else self.value() % 360

    def set_heading(self, heading_deg: float | None) -> None:
        """Show a heading without telling of it."""
        self._quiet = True
        self.setValue(_UNKNOWN if heading_deg is None else heading_deg % 360)
        self._quiet = False

    def stepBy(self, steps):
        self.setValue(((self.heading() or 0.0) + steps * self.singleStep()) % 360)

    def stepEnabled(self):
        return QDoubleSpinBox.StepEnabledFlag.StepUpEnabled | QDoubleSpinBox.StepEnabledFlag.StepDownEnabled

    def _changed(self, value: float) -> None:
        if not self._quiet and value >= 0:
            self.edited.emit(value % 360)
