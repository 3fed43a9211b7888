"""Map crops around a place, north up and in metres, drawn in the background by QGIS's own renderer."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QObject, QSize, pyqtSignal
from qgis.PyQt.QtGui import QColor, QImage


def plane_at(lon: float, lat: float) -> QgsCoordinateReferenceSystem:
    """The plane that touches the Earth at a place: metres to the east and to the north of it."""
    return QgsCoordinateReferenceSystem.fromProj(
        f"+proj=aeqd +lat_0={lat:.9f} +lon_0={lon:.9f} +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
    )


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

    def ask(self, layers: list[QgsMapLayer], place: QgsPointXY, half_width_m: float, side: int) -> None:
        """Draw ``layers`` (the first on top) ``side`` pixels square around a place (degrees, EPSG:4326)."""
        self.stop()
        settings = QgsMapSettings()
        settings.setLayers(layers)
        settings.setDestinationCrs(plane_at(place.x(), place.y()))
        settings.setTransformContext(QgsProject.instance().transformContext())
        settings.setOutputSize(QSize(side, side))
        settings.setExtent(QgsRectangle(-half_width_m, -half_width_m, half_width_m, half_width_m))
        settings.setBackgroundColor(QColor(0, 0, 0, 0))
        job = QgsMapRendererParallelJob(settings)
        self._job, self._half_width = job, half_width_m
        job.finished.connect(lambda: self._finished(job))
        job.start()

    def stop(self) -> None:
        """Drop what is being drawn, without waiting for it."""
        if self._job is not None:
            self._ended.append(self._job)  # kept until it has noticed
            self._job.cancelWithoutBlocking()
            self._job = None

    @property
    def busy(self) -> bool:
        """Whether a crop is being drawn."""
        return self._job is not None

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
