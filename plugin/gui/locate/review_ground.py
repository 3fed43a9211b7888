"""What the photo is compared with: the imagery of the index, opened in the background, or a layer of the project."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsMapLayer, QgsPointXY, QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...layers.index_imagery import IndexImagery
from ...tasks import stop_task
from .imagery_task import ImageryTask, OpenedImagery


class ReviewGround(QObject):
    """:attr:`ready` carries the layers to draw, and one line where there are none."""

    ready = pyqtSignal(list, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._own: list[OpenedImagery] = []
        self._fault = ""
        self._index = ""
        self._chosen = ""
        self._task: ImageryTask | None = None
        QgsProject.instance().layerWillBeRemoved.connect(self._layer_goes)

    def imagery_at(self, place: QgsPointXY) -> IndexImagery | None:
        """What is known of the imagery of the index at a place (degrees)."""
        there = [one for one in self._own if one.covers(place)]
        return next((one.told for one in there or self._own), None)

    def use_index(self, folder: str) -> None:
        """Open the imagery of an index."""
        if folder == self._index and (self._own or self._task is not None):
            self._tell()
            return
        self._index, self._own, self._fault = folder, [], ""
        task = ImageryTask(folder)
        self._task = task
        task.taskCompleted.connect(lambda: self._opened(task))
        task.taskTerminated.connect(lambda: self._opened(task))
        self._tell()
        QgsApplication.taskManager().addTask(task)

    def choose(self, layer: QgsMapLayer | None) -> None:
        """Compare with a layer of the project; None: with the imagery of the index."""
        self._chosen = layer.id() if layer is not None else ""
        self._tell()

    def shut_down(self) -> None:
        """Open nothing more."""
        QgsProject.instance().layerWillBeRemoved.disconnect(self._layer_goes)
        task, self._task = self._task, None
        if task is not None:
            stop_task(task, 10)
        self._own = []

    def _opened(self, task: ImageryTask) -> None:
        if task is not self._task:
            return
        self._task = None
        self._own, self._fault = task.opened, task.fault
        self._tell()

    def _tell(self) -> None:
        chosen = QgsProject.instance().mapLayer(self._chosen) if self._chosen else None
        if chosen is not None:
            self.ready.emit([chosen], "")
        elif self._own:
            self.ready.emit([one.layer for one in self._own], "")
        else:
            self.ready.emit([], self._fault or (self.tr("Opening the imagery…") if self._task is not None else ""))

    def _layer_goes(self, layer_id: str) -> None:
        if layer_id == self._chosen:
            self._chosen = ""
            self._tell()
