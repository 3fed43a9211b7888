"""Inside QGIS: the answers of a search are reviewed with keys and mouse, a place is proposed, copies are written."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

from inside import cut_off, engine_children, play
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QDockWidget
from qgis.utils import iface

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def pull(widget, start, end):
    """Steps of a drag, with the event loop between them."""
    QTest.mousePress(widget, LEFT, NONE, start)
    for step in range(1, 9):
        place = QPointF(start + (end - start) * step / 8)
        event = QMouseEvent(QEvent.Type.MouseMove, place, QPointF(widget.mapToGlobal(place.toPoint())),
                            Qt.MouseButton.NoButton, LEFT, NONE)  # fmt: skip
        QApplication.sendEvent(widget, event)
        yield 0.02
    QTest.mouseRelease(widget, LEFT, NONE, end)


def steps(w):
    for panel in iface.mainWindow().findChildren(QDockWidget):
        if panel.objectName() == "Browser":
            panel.hide()
    project, canvas = QgsProject.instance(), iface.mapCanvas()
    layer = QgsRasterLayer(w.arguments["overhead"], "Orthophoto")
    project.addMapLayer(layer)
    project.setCrs(layer.crs())
    canvas.setExtent(layer.extent())
    canvas.refresh()
    tab = w.dock().show_tab("locate")
    tab.fill({"result": w.arguments["found"]})
    yield w.until(lambda: tab.answer.answers is not None, 30, "the answers were read")
    QTest.mouseClick(tab.answer.load, LEFT)
    yield w.until(lambda: any("andidates" in name for name in w.layers()), 60, "the candidates were loaded")
    tab = w.dock().show_tab("locate")
    yield w.until(lambda: not canvas.isDrawing(), 60, "the map was drawn")
    yield 1.0
    beats = w.heartbeat()
    w.result.update(busy_ms=[], gaps_ms=[], gaps=[])

    def phase():
        """How long the window was blocked since the last time."""
        w.result["busy_ms"].append(beats.busiest_ms)
        w.result["gaps_ms"].append(beats.worst_ms)
        w.result["gaps"].append(beats.gaps)
        beats.reset()

    tab.answer.choose(w.arguments["photos"][0], 1)
    QTest.mouseClick(tab.answer.review, LEFT)
    window = tab.review
    panel = window.panel
    iface.mainWindow().resizeDocks([window], [400], Qt.Orientation.Vertical)

    def drawn():
        crop = panel.panes.crop
        return crop._ground is not None and crop._photo is not None and panel.panes.viewer._frame is not None

    yield w.until(drawn, 60, "photo and map were drawn")
    yield 1.0
    w.picture("review-photo")
    w.result["cut_off"] = cut_off(panel)
    phase()
    QTest.keyClick(panel, Qt.Key.Key_N)
    w.result["next"] = [panel.walk.candidate.rank, tab.answer.table.rank]
    QTest.keyClick(canvas, Qt.Key.Key_P)
    w.result["previous"] = [panel.walk.candidate.rank, tab.answer.table.rank]
    panel.panes.show_above(True)
    yield w.until(drawn, 30, "photo and map were drawn again")
    yield 0.8

    phase()
    crop, found = panel.panes.crop, panel.heading
    middle = crop.square().center().toPoint()
    yield from pull(crop, middle + QPoint(0, -90), middle + QPoint(90, 0))
    w.result["turned_by"] = (panel.heading - found) % 360
    QTest.mouseClick(panel.controls.back, LEFT)
    w.result["heading_again"] = panel.heading - found

    phase()
    # A place is proposed on the map: six metres from the true one.
    lon, lat = w.arguments["truth"][0][:2]
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    there = QgsCoordinateTransform(degrees, layer.crs(), project).transform(QgsPointXY(lon, lat))
    canvas.setExtent(QgsRectangle(there.x() - 40, there.y() - 25, there.x() + 40, there.y() + 25))
    canvas.refresh()
    yield 0.3
    yield w.until(lambda: not canvas.isDrawing(), 30, "the map was drawn")
    QTest.mouseClick(panel.controls.propose, LEFT)
    pixel = canvas.getCoordinateTransform().transform(QgsPointXY(there.x() + 4, there.y() - 4))
    QTest.mouseClick(canvas.viewport(), LEFT, NONE, QPoint(round(pixel.x()), round(pixel.y())))
    yield w.until(lambda: panel.proposal is not None and panel.proposal.told, 120, "the place was scored")
    yield 0.8
    w.result["told"] = panel.proposal.told
    w.result["text"] = panel.controls.score.text()
    phase()
    w.picture("qgis-review", small=True)
    w.picture("qgis-review")
    w.picture("review-panel", panel)
    beats.reset()

    QTest.keyClick(panel, Qt.Key.Key_R)  # the proposal is dropped, the candidate is in front again
    w.result["dropped"] = panel.proposal is None
    yield 0.3
    for _ in w.arguments["photos"]:
        QTest.keyClick(panel, Qt.Key.Key_A)
        yield 1.0
    yield w.until(lambda: not panel.strip.keeper.busy, 30, "the places were written")
    yield 0.3
    w.result["accepted"] = dict(panel.walk.accepted)
    w.result["located"] = [[one.photo, one.lon, one.lat, one.heading_deg, one.how, one.sha256, one.reviewer]
                           for one in panel.strip.located.places()]  # fmt: skip
    w.result["layer"] = "Located photos" in w.layers()
    phase()
    panel.strip.write_copies_to(w.arguments["copies"])
    yield w.until(lambda: not panel.strip.write_back.running, 120, "the copies were written")
    yield 0.5
    w.result["told_copies"] = panel.strip.told.text()
    canvas.setExtent(layer.extent())
    canvas.refresh()
    yield 0.3
    yield w.until(lambda: not canvas.isDrawing(), 30, "the map was drawn")
    phase()
    beats.stop()
    yield 1.5
    w.picture("review-done")
    iface.mainWindow().resizeDocks([window], [200], Qt.Orientation.Vertical)
    window.setFloating(True)
    window.resize(390, 800)
    yield 0.8
    w.result["cut_off_narrow"] = cut_off(panel)
    w.picture("review-narrow", panel)
    panel.propose(QgsPointXY(lon, lat))
    yield 0.5
    window.close()
    yield w.until(lambda: not engine_children(), 10, "the question to the engine was dropped")


play(steps)
