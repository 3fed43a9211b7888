"""Inside QGIS: train on labels drawn in the project, watch the curve, preview at a click, map the whole scene."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

from inside import cut_off, in_true_color, narrow, play
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsProject,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

COLORS = {"forest": "#006400", "grass": "#c8c832", "field": "#f096ff", "town": "#fa0000", "water": "#0064c8"}


def click(widget):
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def steps(w):
    out, project = Path(w.arguments["out"]), QgsProject.instance()
    for dock in iface.mainWindow().findChildren(QDockWidget):
        if dock.objectName() == "Browser":
            dock.hide()
    dock = w.dock()
    narrow(dock, 390)
    image = QgsRasterLayer(w.arguments["scene"], "Valley 2021-07-16")
    labels = QgsVectorLayer(w.arguments["labels"], "Labels", "ogr")
    labels.setRenderer(
        QgsCategorizedSymbolRenderer(
            "class",
            [
                QgsRendererCategory(name, QgsFillSymbol.createSimple({"color": color, "outline_color": "white"}), name)
                for name, color in COLORS.items()
            ],
        )
    )
    project.addMapLayer(image)
    project.addMapLayer(labels)
    project.setCrs(image.crs())
    in_true_color(image)
    iface.mapCanvas().setExtent(image.extent())
    tab = dock.show_tab("train")
    form = tab.labels.form
    form.scenes.set_layers([image])
    form.labels.set_layer(labels)
    form.field.setField("class")
    form.name.setText("valley-fields")
    yield w.until(lambda: form._counts is not None, 10, "the labels counted")
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the scene")
    form.out.setFilePath("/data/valley/valley-fields")  # what the guide's picture shows
    yield 0.3
    w.result["checks"] = form.checks.text()
    w.result["rows"] = [[one.value, one.code, one.name, one.color] for one in form.table.classes()]
    w.picture("qgis-train-labels", small=True)
    narrow(dock, 320)
    yield 0.2
    w.result["cut_off"] = {"labels": cut_off(tab)}
    w.picture("narrow-train-labels", dock)
    narrow(dock, 390)
    form.out.setFilePath(str(out / "model"))
    yield 0.1
    registry = w.plugin.registry
    heartbeat = w.heartbeat()
    click(tab.labels.run_button)
    yield w.until(lambda: registry.runs(), 10, "the run in the list")
    w.result["page"] = tab.current
    pictured = False
    while not registry.runs()[0].is_finished:
        yield 0.2
        if not pictured and tab.training.loss.accessibleDescription() and registry.runs()[0].fraction > 0.5:
            w.result["runs_gaps_ms"], w.result["gaps"] = [heartbeat.worst_ms], heartbeat.gaps
            w.result["busy_ms"] = [heartbeat.busiest_ms]
            w.picture("training", dock)
            heartbeat.reset()
            pictured = True
    yield 0.6
    w.result.setdefault("runs_gaps_ms", []).append(heartbeat.stop())
    w.result.setdefault("busy_ms", []).append(heartbeat.busiest_ms)
    w.result["state"], w.result["error"] = registry.runs()[0].state, registry.runs()[0].error
    w.result["curve"] = [tab.training.loss.accessibleDescription(), tab.training.shares.accessibleDescription()]
    w.result["headline"] = tab.training.results.headline.text()
    w.picture("qgis-trained", small=True)
    narrow(dock, 320)
    yield 0.2
    w.result["cut_off"]["training"] = cut_off(tab)
    w.picture("narrow-trained", dock)
    narrow(dock, 390)
    if registry.runs()[0].state == "done":
        yield from preview(w, dock, tab, image)


def preview(w, dock, tab, image):
    registry = w.plugin.registry
    click(tab.training.preview)
    w.result["model"] = tab.preview.model.value()
    tab.preview.side.setValue(128)
    click(tab.preview.click)
    canvas = iface.mapCanvas()
    w.result["preview"] = []
    for number in (0, 1):
        place = QPoint(canvas.width() // (2 + number), canvas.height() // 2)
        runs = len(registry.runs())
        heartbeat = w.heartbeat()
        QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
        yield w.until(lambda n=runs: len(registry.runs()) > n, 10, "the run of the preview")
        yield w.until(lambda: registry.runs()[0].is_finished, 90, "the preview")
        w.result["preview"].append([registry.runs()[0].state, registry.runs()[0].error])
        if registry.runs()[0].state != "done":
            return
        folder = registry.runs()[0].out
        yield w.until(lambda f=folder: any(f in layer.source() for layer in w.layers().values()), 20, "its layers")
        yield 0.5
        yield w.until(lambda: not canvas.isDrawing(), 20, "the canvas")
        yield 0.5
        w.result["runs_gaps_ms"].append(heartbeat.stop())
        w.result["busy_ms"].append(heartbeat.busiest_ms)
    w.result["previews"] = sum(layer.source().endswith("landcover.tif") for layer in w.layers().values())
    layer = next(layer for layer in w.layers().values() if layer.source().endswith("landcover.tif"))
    w.result["preview_size"] = [layer.width(), layer.height()]
    w.result["preview_group"] = QgsProject.instance().layerTreeRoot().children()[0].name()
    w.picture("qgis-preview", small=True)
    w.result["tool"] = canvas.mapTool() is tab.preview._tool
    click(tab.preview.whole)
    yield 0.3
    w.result["tool_after"] = canvas.mapTool() is tab.preview._tool
    form = dock.landcover.map.form
    w.result["whole"] = [dock.tabs.current, form.scenes.values() == [image.id()], form.model.value()]
    w.result["whole_classes"] = form.view.classes()
    form.out.setFilePath(str(Path(w.arguments["out"]) / "whole"))
    click(dock.landcover.map.run_button)
    yield w.until(lambda: registry.runs()[0].out.endswith("whole"), 10, "the run of the whole scene")
    yield w.until(lambda: registry.runs()[0].is_finished, 120, "the map of the whole scene")
    dock.show_tab("landcover")
    yield 1.5
    yield w.until(lambda: not canvas.isDrawing(), 20, "the canvas")
    form.out.setFilePath("/data/valley/landcover")
    root = QgsProject.instance().layerTreeRoot()
    for node in root.findLayers():
        if node.name() == "Labels":
            node.setItemVisibilityChecked(False)
    root.removeChildNode(root.children()[1])  # the preview
    iface.messageBar().clearWidgets()
    yield 0.5
    w.picture("qgis-landcover", small=True)
    accuracy = dock.show_tab("accuracy").sample.form
    accuracy.map.set_path(str(Path(w.arguments["out"]) / "whole" / "landcover.tif"))
    accuracy.out.setFilePath("/data/valley/sample")
    yield 0.3
    w.picture("qgis-accuracy", small=True)
    w.result["mapped"] = [registry.runs()[0].state, registry.runs()[0].error]


play(steps)
