"""Map crops around a place, north up and in metres, drawn in the background by QGIS's own renderer."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsMapRendererParallelJob, QgsMapSettings, QgsPointXY, QgsProject, QgsRectangle
from qgis.PyQt.QtCore import QObject, QSize, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor, QImage

from .near_plane import NearPlane

_SOON_MS = 15


class CropRenderer(QObject):
    """:attr:`rendered` carries the image of what was asked last and its half width in metres; what was asked before
    and is not drawn yet is dropped. :attr:`failed` carries one line: the layer could not be drawn."""

    rendered = pyqtSignal(QImage, float)
    failed = pyqtSignal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job: QgsMapRendererParallelJob | None = None
        self._ended: list[QgsMapRendererParallelJob] = []
        self._half_width = 0.0
        self._plane: NearPlane | None = None
        self._waiting: tuple[list[QgsMapLayer], QgsPointXY, float, int] | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self._go_on)

    def ask(self, layers: list[QgsMapLayer], place: QgsPointXY, half_width_m: float, side: int) -> None:
        """Draw ``layers`` (the first on top) ``side`` pixels square around a place (degrees, EPSG:4326)."""
        self.stop()
        if self._plane is not None and self._plane.at == NearPlane.round(place):
            self._draw(layers, place, half_width_m, side)
        else:
            self._waiting = layers, place, half_width_m, side
            self._soon.start()

    def _go_on(self) -> None:
        """Make the plane, and draw in the next turn of the window: the first plane of a session takes up to 85 ms. One
        from another thread is no use, for PROJ forgets it with the thread."""
        place = self._waiting[1]
        if self._plane is None or self._plane.at != NearPlane.round(place):
            self._plane = NearPlane.near(place)
            self._soon.start()
            return
        wanted, self._waiting = self._waiting, None
        self._draw(*wanted)

    def _draw(self, layers: list[QgsMapLayer], place: QgsPointXY, half_width_m: float, side: int) -> None:
        settings = QgsMapSettings()
        settings.setLayers(layers)
        settings.setDestinationCrs(self._plane.crs)
        settings.setTransformContext(QgsProject.instance().transformContext())
        settings.setOutputSize(QSize(side, side))
        settings.setExtent(QgsRectangle.fromCenterAndSize(self._plane.of(place), 2 * half_width_m, 2 * half_width_m))
        settings.setBackgroundColor(QColor(0, 0, 0, 0))
        job = QgsMapRendererParallelJob(settings)
        self._job, self._half_width = job, half_width_m
        job.finished.connect(lambda: self._finished(job))
        job.start()

    def stop(self) -> None:
        """Drop what is being drawn, without waiting for it."""
        self._waiting = None
        self._soon.stop()
        if self._job is not None:
            self._ended.append(self._job)  # kept until it has noticed
            self._job.cancelWithoutBlocking()
            self._job = None

    @property
    def busy(self) -> bool:
        """Whether a crop is being drawn."""
        return self._job is not None or self._waiting is not None

    def shut_down(self) -> None:
        """Draw nothing more and wait for what is being drawn."""
        self.stop()
        for job in list(self._ended):
            job.cancel()
        self._ended.clear()

    def _finished(self, job: QgsMapRendererParallelJob) -> None:
        if job in self._ended:
            self._ended.remove(job)
        if job is not self._job:
            return
        self._job = None
        errors = job.errors()
        if errors:
            self.failed.emit(" ".join(errors[0].message.split()))
        self.rendered.emit(job.renderedImage(), self._half_width)
