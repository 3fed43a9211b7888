"""The advanced options of a flood run."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QSpinBox, QWidget

from .form_parts import number
from .scene_options import SceneOptions


class FloodOptions(SceneOptions):
    """The numbers of the method stand above what the files do not tell."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(bands="VV=1,VH=2", parent=parent)
        self.probability = QSpinBox(self)
        self.probability.setRange(1, 99)
        self.probability.setValue(50)
        self.probability.setSuffix(" %")
        self.min_area = number(self, 0, 1e9, 2000, 0, " m²")
        self.max_hand = number(self, 0.1, 1000, 15, 1, " m")
        self.max_slope = number(self, 0.1, 90, 5, 1, "°")
        tip = self.tr("Water where the probability is at least this.")
        self.add_number("probability", self.tr("Water from"), self.probability, tip)
        self.add_number("min_area", self.tr("Smallest area"), self.min_area, self.tr("Smallest water body kept."))
        tip = self.tr("Water higher above drainage than this is set aside.")
        self.add_number("max_hand", self.tr("Highest HAND"), self.max_hand, tip)
        tip = self.tr("Water on steeper slopes than this is set aside.")
        self.add_number("max_slope", self.tr("Steepest slope"), self.max_slope, tip)
