"""Inside QGIS: a panorama of 11,000 × 5,500 pixels beside its map: looked around in, and turned from the map."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

from inside import cut_off, play
from qgis.core import QgsCoordinateReferenceSystem, QgsPointXY, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent, QWheelEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QDockWidget
from qgis.utils import iface

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def move(widget, place):
    event = QMouseEvent(QEvent.Type.MouseMove, QPointF(place), QPointF(widget.mapToGlobal(place)),
                        Qt.MouseButton.NoButton, LEFT, NONE)  # fmt: skip
    QApplication.sendEvent(widget, event)


def pull(widget, start, end):
    """Steps of a drag, with the event loop between them."""
    QTest.mousePress(widget, LEFT, NONE, start)
    for step in range(1, 9):
        move(widget, start + (end - start) * step / 8)
        yield 0.02
    QTest.mouseRelease(widget, LEFT, NONE, end)


def wheel(widget, place, steps):
    event = QWheelEvent(QPointF(place), QPointF(widget.mapToGlobal(place)), QPoint(), QPoint(0, 120 * steps),
                        Qt.MouseButton.NoButton, NONE, Qt.ScrollPhase.NoScrollPhase, False)  # fmt: skip
    QApplication.sendEvent(widget, event)


def steps(w):
    from samescene.plugin.gui.locate.map_place import MapPlace
    from samescene.plugin.photos.facts import photo_of

    for panel in iface.mainWindow().findChildren(QDockWidget):
        if panel.objectName() == "Browser":
            panel.hide()
    project, canvas = QgsProject.instance(), iface.mapCanvas()
    layer = QgsRasterLayer(w.arguments["overhead"], "Orthophoto")
    project.addMapLayer(layer)
    project.setCrs(layer.crs())
    photo = photo_of(w.arguments["photo"])
    dock = w.dock()
    beats = w.heartbeat()
    window = dock.workspace.show_photo(photo)
    iface.mainWindow().resizeDocks([window], [330], Qt.Orientation.Vertical)
    iface.mainWindow().resizeDocks([dock], [340], Qt.Orientation.Horizontal)
    yield 0.3
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    place = MapPlace(canvas, QgsPointXY(photo.lon, photo.lat), degrees)
    canvas.setCenter(place.map_point())
    canvas.zoomScale(250)
    viewer = window.viewer

    def still():
        return viewer._frame is not None and not viewer._painter.busy and not viewer._rest.isActive()

    def quiet():
        return still() and not window.above._painter.busy and not canvas.isDrawing() and not window.loader._asked

    yield w.until(quiet, 30, "the photo was shown")
    yield 0.2
    w.picture("qgis-viewer", small=True)
    w.result["cut_off"] = cut_off(window)
    w.result["first"] = [viewer.azimuth_deg, window.cone.visible, window.cone.azimuth_deg, window.above.at_map_scale]

    middle = QPoint(viewer.width() // 2, viewer.height() // 2)
    yield from pull(viewer, middle + QPoint(120, 0), middle - QPoint(120, 20))
    w.result["pulled"] = [viewer.azimuth_deg, window.cone.azimuth_deg]
    at = MapPlace(canvas, QgsPointXY(photo.lon, photo.lat), degrees).pixel()
    grip = (at + window.cone._item._middle).toPoint()
    yield from pull(canvas.viewport(), grip, (at + QPointF(100, 0)).toPoint())
    w.result["turned_on_map"] = [viewer.azimuth_deg, window.cone.azimuth_deg]
    QTest.mouseClick(window.above, LEFT, NONE, window.above.rect().center() + QPoint(0, 60))
    w.result["turned_from_above"] = viewer.azimuth_deg
    for _ in range(12):
        wheel(viewer, middle, 1)
        yield 0.03
    yield w.until(lambda: quiet() and window.loader.picture(photo.path).whole, 30, "the photo was read whole")
    w.result["read"] = list(window.loader.picture(photo.path).pixels.shape)
    w.picture("viewer-close")
    w.result["worst_ms"], w.result["busy_ms"], w.result["gaps"] = beats.stop(), beats.busiest_ms, beats.gaps
    window.close()
    yield 0.2
    w.result["cone_after_close"] = window.cone.visible


play(steps)
