"""Opens the imagery of an index in the background."""

from __future__ import annotations

from qgis.core import QgsRasterLayer, QgsTask
from qgis.PyQt.QtCore import QCoreApplication

from ...compat import quiet_task
from ...layers.index_imagery import ImageryError, IndexImagery, open_imagery, read_imagery


class ImageryTask(QgsTask):
    """:attr:`layer` of the imagery that the index in a folder was made from, for the main thread, and what is known of
    it, :attr:`imagery`; :attr:`fault` one line where it could not be opened."""

    def __init__(self, index: str) -> None:
        super().__init__("SameScene: imagery of an index", quiet_task())
        self.index = index
        self.imagery: IndexImagery | None = None
        self.layer: QgsRasterLayer | None = None
        self.fault = ""

    def run(self) -> bool:
        """In the task's thread."""
        try:
            self.imagery = read_imagery(self.index)
            layer = open_imagery(self.imagery)
        except ImageryError as error:
            self.fault = str(error)
            return False
        layer.moveToThread(QCoreApplication.instance().thread())
        self.layer = layer
        return True
