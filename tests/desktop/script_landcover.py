"""Inside QGIS: a land-cover map in the dock, then its accuracy: sample, labels by keys, report."""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

from inside import cut_off, in_true_color, narrow, play
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface


def click(widget):
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def steps(w):
    out = Path(w.arguments["out"])
    opened = w.result["opened"] = []
    QDesktopServices.openUrl = staticmethod(lambda url: opened.append(QUrl(url).toLocalFile()) or True)
    for dock in iface.mainWindow().findChildren(QDockWidget):
        if dock.objectName() == "Browser":
            dock.hide()
    dock = w.dock()
    narrow(dock, 320)
    image = QgsRasterLayer(w.arguments["scene"], "Valley 2021-07-16")
    QgsProject.instance().addMapLayer(image)
    QgsProject.instance().setCrs(image.crs())
    in_true_color(image)
    iface.mapCanvas().setExtent(image.extent())
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the scene")
    w.result["gaps_ms"] = {}
    for name in ("landcover", "locate", "train", "accuracy"):
        yield from first_look(w, name, lambda name=name: dock.tabs.setCurrentIndex(dock.tabs.names.index(name)))
        page = dock.tabs.page(name)
        for part in page.names[1:]:
            yield from first_look(w, f"{name} {part}", lambda part=part, page=page: page.turn_to(part))
        page.turn_to(page.names[0])
    w.result["cut_off"] = {}
    for name in dock.tabs.names:
        page = dock.show_tab(name)
        for part in getattr(page, "names", [""]):
            if part:
                page.turn_to(part)
            yield 0.2
            w.result["cut_off"][f"{name} {part}"] = cut_off(page)
            w.picture(f"narrow-{name}-{part}", dock)
    yield from landcover(w, dock, image, out)
    yield from change(w, dock, out)
    yield from accuracy(w, dock, out)


def first_look(w, name, turn):
    """How long the window stands still when a page is made and shown."""
    heartbeat = w.heartbeat()
    turn()
    yield 0.5
    w.result["gaps_ms"][f"first look at {name}"] = heartbeat.stop()


def landcover(w, dock, image, out):
    registry = w.plugin.registry
    narrow(dock, 390)
    dock.show_tab("landcover")
    dock.landcover.turn_to("map")
    page = dock.landcover.map
    page.form.scenes.set_layers([image])
    page.form.zones_box.zones.set_path(w.arguments["zones"])
    page.form.out.setFilePath("/data/valley/landcover")  # what the guide's picture shows
    yield 0.3
    w.result["classes"] = page.form.view.classes()
    w.picture("landcover-form", small=True)
    page.form.out.setFilePath(str(out / "landcover"))
    heartbeat = w.heartbeat()
    started = time.monotonic()
    click(page.run_button)
    yield w.until(lambda: registry.runs() and registry.runs()[0].is_finished, 120, "the end of the run")
    ended = time.monotonic() - started
    w.result["state"], w.result["error"] = registry.runs()[0].state, registry.runs()[0].error
    if registry.runs()[0].state != "done":
        return
    yield w.until(lambda: any("landcover" in layer.source() for layer in w.layers().values()), 20, "the layers")
    yield 0.5
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the canvas")
    yield 0.5
    w.result["runs_gaps_ms"], w.result["busy_ms"] = [heartbeat.stop()], [heartbeat.busiest_ms]
    w.result["gaps"] = {"ended": round(ended, 2), "of the run": heartbeat.gaps}
    w.result["message"] = iface.messageBar().currentItem().text() if iface.messageBar().currentItem() else ""
    w.result["tree"] = [node.name() for node in QgsProject.instance().layerTreeRoot().children()[0].children()]
    w.result["slider_shown"] = dock.runs.threshold.isVisible()
    iface.messageBar().clearWidgets()
    dock.show_tab("landcover")
    page.form.out.setFilePath("/data/valley/landcover")
    yield 0.3
    w.picture("landcover-result", small=True)


def change(w, dock, out):
    """From the simulated land cover to the same with a clearing in the forest."""
    registry = w.plugin.registry
    tab = dock.landcover
    tab.turn_to("change")
    form = tab.change.form
    form.map_a.set_path(w.arguments["truth"])
    form.map_b.set_path(w.arguments["later"])
    form.out.setFilePath("/data/valley/change")
    yield 0.3
    w.picture("change-page", dock)
    form.out.setFilePath(str(out / "change"))
    heartbeat = w.heartbeat()
    click(tab.change.run_button)
    yield w.until(lambda: registry.runs()[0].job == "landcover-change", 10, "the run of the change")
    yield w.until(lambda: registry.runs()[0].is_finished, 90, "the change")
    w.result["change"] = [registry.runs()[0].state, registry.runs()[0].error]
    if registry.runs()[0].state != "done":
        return
    yield w.until(lambda: any("change.tif" in layer.source() for layer in w.layers().values()), 20, "its layers")
    yield 0.5
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the canvas")
    w.result["runs_gaps_ms"].append(heartbeat.stop())
    w.result["busy_ms"].append(heartbeat.busiest_ms)
    w.result["change_message"] = iface.messageBar().currentItem().text() if iface.messageBar().currentItem() else ""
    iface.messageBar().clearWidgets()
    dock.show_tab("landcover")
    form.out.setFilePath("/data/valley/change")
    node = QgsProject.instance().layerTreeRoot().children()[1]
    node.setItemVisibilityChecked(False)  # the land-cover map: the change stands out from the image
    yield 0.5
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the canvas")
    yield 0.3
    w.picture("qgis-change", small=True)
    node.setItemVisibilityChecked(True)


def accuracy(w, dock, out):
    root = QgsProject.instance().layerTreeRoot()
    tab = dock.show_tab("accuracy")
    tab.turn_to("sample")
    form = tab.sample.form
    form.map.set_path(str(out / "landcover" / "landcover.tif"))
    form.points.setValue(10)
    form.min_points.setValue(1)
    form.out.setFilePath("/data/valley/sample")
    yield 0.3
    w.picture("accuracy-sample-page", dock)
    form.out.setFilePath(str(out / "sample"))
    click(tab.sample.run_button)
    yield w.until(lambda: tab.current == "label", 60, "the points")
    yield w.until(lambda: any(n.name().startswith("Points") for n in root.findLayers()), 20, "the layer of points")
    yield 0.5
    w.result["before"] = shown = visible()
    w.picture("accuracy-label-page", dock)
    click(tab.label.start)
    yield 1.0
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the first point")
    panel = tab.label.panel
    w.result["while_labelling"] = visible()
    w.result["cut_off"]["labelling"] = cut_off(tab)
    w.result["scale"] = round(iface.mapCanvas().scale())
    heartbeat = w.heartbeat()
    targets = (panel, iface.mapCanvas())
    for number in range(10):
        started = time.monotonic()
        QTest.keyClick(targets[number % 2], (Qt.Key.Key_1, Qt.Key.Key_3, Qt.Key.Key_5)[number % 3])
        w.result.setdefault("key_ms", []).append(round(1000 * (time.monotonic() - started), 1))
        yield 0.15
        if number == 5:
            yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "a point")
            yield 0.3
            w.result["gaps_ms"]["labelling"] = heartbeat.worst_ms
            panel.scale.setScale(5000)
            in_true_color(w.layers()["Valley 2021-07-16"], extent=iface.mapCanvas().extent())
            yield 0.3
            yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "a point")
            yield 0.3
            w.picture("qgis-label", small=True)
    heartbeat.stop()
    w.result["labelled"] = [panel.sample.labelled, panel.warning.text()]
    QTest.keyClick(panel, Qt.Key.Key_Escape)
    yield 0.3
    w.result["after"] = [visible() == shown, tab.label.start.text()]
    tab.turn_to("report")
    tab.report.form.out.setFilePath(str(out / "accuracy"))
    yield 0.2
    w.picture("accuracy-report-page", dock)
    click(tab.report.run_button)
    yield w.until(lambda: w.plugin.registry.runs()[0].job == "assess-report", 20, "the report's run")
    yield w.until(lambda: w.plugin.registry.runs()[0].is_finished, 60, "the report")
    yield 0.5
    w.result["report"] = [
        w.plugin.registry.runs()[0].state,
        w.plugin.registry.runs()[0].error,
        tab.report.message.text(),
    ]
    w.picture("accuracy-report-done", dock)


def visible():
    return sorted(n.name() for n in QgsProject.instance().layerTreeRoot().findLayers() if n.isVisible())


play(steps)
