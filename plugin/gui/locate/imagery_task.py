"""Opens the imagery of an index in the background."""

from __future__ import annotations

from dataclasses import dataclass

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsPointXY,
    QgsRasterLayer,
    QgsRectangle,
    QgsTask,
)
from qgis.PyQt.QtCore import QCoreApplication

from ...compat import quiet_task
from ...layers.index_imagery import ImageryError, IndexImagery, open_imagery, read_imagery


@dataclass(frozen=True)
class OpenedImagery:
    """``layer`` for the main thread; ``box`` what it covers, in degrees, None where that cannot be told."""

    told: IndexImagery
    layer: QgsRasterLayer
    box: QgsRectangle | None

    def covers(self, place: QgsPointXY) -> bool:
        """Whether a place (degrees) may lie on it."""
        return self.box is None or self.box.contains(place)


class ImageryTask(QgsTask):
    """:attr:`opened`, in the order in which the index in a folder was made from them, and :attr:`fault`, one line where
    none could be opened."""

    def __init__(self, index: str) -> None:
        super().__init__("SameScene: imagery of an index", quiet_task())
        self.index = index
        self.opened: list[OpenedImagery] = []
        self.fault = ""

    def run(self) -> bool:
        """In the task's thread."""
        try:
            told = read_imagery(self.index)
        except ImageryError as error:
            self.fault = str(error)
            return False
        self.opened = [one for one in map(self._open, told) if one is not None]
        if self.opened:
            self.fault = ""
        return bool(self.opened)

    def _open(self, told: IndexImagery) -> OpenedImagery | None:
        try:
            layer = open_imagery(told)
        except ImageryError as error:
            self.fault = self.fault or str(error)
            return None
        box = _degrees(layer)
        layer.moveToThread(QCoreApplication.instance().thread())
        return OpenedImagery(told, layer, box)


def _degrees(layer: QgsRasterLayer) -> QgsRectangle | None:
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    try:
        return QgsCoordinateTransform(layer.crs(), degrees, QgsCoordinateTransformContext()).transformBoundingBox(
            layer.extent()
        )
    except QgsCsException:
        return None
