"""Computes the areas beside the slider in the background."""

from __future__ import annotations

from qgis.core import QgsTask

from ..compat import quiet_task
from ..layers.area_table import AreaTableError, area_by_threshold


class AreaTask(QgsTask):
    """:attr:`areas` (m² by threshold 0…100) when it completed; None when it was stopped or could not."""

    def __init__(self, flood: str, probability: str) -> None:
        super().__init__("SameScene: areas by threshold", quiet_task())
        self._flood, self._probability = flood, probability
        self.areas = None

    def run(self) -> bool:
        """In the task's thread."""
        try:
            self.areas = area_by_threshold(self._flood, self._probability, is_cancelled=self.isCanceled)
        except AreaTableError:
            return False  # the slider then shows no area; the map itself says what is wrong with the file
        return self.areas is not None
