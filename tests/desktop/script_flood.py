"""Inside QGIS: a flood run clicked through in the dock; layers, slider, identify, cancel, unload."""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

import qgis.utils
from inside import engine_children, play
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsMapToolIdentify
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface


def click(widget):
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def steps(w):
    arguments, result = w.arguments, w.result
    out = Path(arguments["out"])
    registry = w.plugin.registry
    result["action_at_start"] = w.plugin.action.isChecked()
    w.plugin.action.trigger()
    yield w.until(lambda: w.plugin.dock is not None and w.plugin.dock.isVisible(), 5, "the dock")
    dock = w.dock()
    result["banner"] = dock.banner.isVisible()
    layer = QgsRasterLayer(arguments["scene"], Path(arguments["scene"]).stem)
    QgsProject.instance().addMapLayer(layer)
    QgsProject.instance().setCrs(layer.crs())
    iface.mapCanvas().setExtent(layer.extent())
    dock.flood.form.scene.set_layer(layer)
    result["suggested"] = dock.flood.form.out.filePath()
    dock.flood.form.out.setFilePath(str(out / "flood"))
    if arguments.get("zones"):
        dock.flood.form.zones.set_path(arguments["zones"])
        dock.flood.form.zone_field.setField("name")
        dock.flood.form.zones_box.setCollapsed(False)
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the scene on the canvas")
    yield 1.0
    w.picture("1-form")

    result["gaps_ms"], result["gaps"], result["busy_ms"] = [], [], []
    yield from run_flood(w, dock, out / "flood", pictures=True)
    record = registry.runs()[0]
    result["state"], result["error"] = record.state, record.error
    result["run_log"] = [list(entry) for entry in record.log]
    if record.state != "done":
        w.picture("failure")
        raise RuntimeError(f"the run ended as {record.state}: {record.error}")
    yield 0.5
    w.picture("3-result")

    group = QgsProject.instance().layerTreeRoot().children()[0]
    result["group"] = group.name()
    result["tree"] = [[node.name(), node.itemVisibilityChecked()] for node in group.children()]
    model = iface.layerTreeView().layerTreeModel()
    result["legend"] = {
        node.layer().customProperty("samescene/role"): [
            legend.data(Qt.ItemDataRole.DisplayRole) for legend in model.layerLegendNodes(node)
        ]
        for node in group.findLayers()
    }
    layers = {node.layer().customProperty("samescene/role"): node.layer() for node in group.findLayers()}
    result["temporal"] = {
        role: [
            item.temporalProperties().isActive(),
            item.temporalProperties().fixedTemporalRange().begin().toUTC().toString(Qt.DateFormat.ISODate),
        ]
        for role, item in layers.items()
    }
    result["titles"] = {role: item.metadata().title() for role, item in layers.items()}
    result["history"] = layers["flood"].metadata().history()
    result["message"] = iface.messageBar().currentItem().text() if iface.messageBar().currentItem() else ""

    for number in (2, 3):
        yield from run_flood(w, dock, out / f"flood-{number}")
        QgsProject.instance().layerTreeRoot().removeChildNode(QgsProject.instance().layerTreeRoot().children()[0])
        yield 0.2
    dock.runs.select(record.id)
    yield from identify(w, layers)
    yield from slide(w, dock, layers)
    yield from cancel(w, dock, registry, out, arguments["large_scene"])
    yield from toolbox(w, arguments, out)
    yield from unload_while_running(w, dock, registry, out)
    yield from unload(w)


def run_flood(w, dock, folder, *, pictures=False):
    """Click Run and wait until the layers are drawn, with the longest time that the window was blocked."""
    registry = w.plugin.registry
    known = len(registry.runs())
    dock.show_tab("flood")
    dock.flood.form.out.setFilePath(str(folder))
    yield 0.2
    heartbeat = w.heartbeat()
    worst = 0.0
    click(dock.flood.run_button)
    yield w.until(lambda: len(registry.runs()) > known, 10, "the run in the list")
    if pictures:
        yield w.until(lambda: registry.runs()[0].fraction > 0.1 or registry.runs()[0].is_finished, 60, "progress")
        worst = heartbeat.worst_ms
        w.result["busy_ms"].append(heartbeat.busiest_ms)
        w.picture("2-running")
        heartbeat.reset()  # taking a picture blocks the window, not the run
    yield w.until(lambda: registry.runs()[0].is_finished, 120, "the end of the run")
    if registry.runs()[0].state == "done":
        yield w.until(lambda: dock.runs.threshold.folder == str(folder) and dock.runs.threshold.bound, 20, "the layers")
        yield w.until(lambda: not iface.mapCanvas().isDrawing(), 30, "the canvas")
        yield 0.5
    w.result["gaps_ms"].append(max(worst, heartbeat.stop()))
    w.result["gaps"].append(heartbeat.gaps)
    w.result["busy_ms"].append(heartbeat.busiest_ms)


def identify(w, layers):
    """What the identify tool tells at the middle of the first polygon, of polygons and flood map."""
    feature = next(layers["polygons"].getFeatures())
    point = feature.geometry().pointOnSurface().asPoint()
    canvas = iface.mapCanvas()
    tool = QgsMapToolIdentify(canvas)
    pixel = canvas.getCoordinateTransform().transform(point)
    found = tool.identify(
        int(pixel.x()),
        int(pixel.y()),
        [layers["polygons"], layers["flood"]],
        QgsMapToolIdentify.IdentifyMode.TopDownAll,
    )
    w.result["identify"] = [
        [
            item.mLayer.customProperty("samescene/role"),
            {**item.mAttributes, **item.mDerivedAttributes},
            item.mFeature.attribute("class") if isinstance(item.mLayer, QgsVectorLayer) else None,
        ]
        for item in found
    ]
    yield 0.1


def slide(w, dock, layers):
    """Pixels of the flood colours on the canvas at the run's threshold and at others."""
    canvas, bar = iface.mapCanvas(), dock.runs.threshold

    root = QgsProject.instance().layerTreeRoot()
    for role in ("zones", "polygons"):  # what is drawn over the map would change its colours
        root.findLayer(layers[role].id()).setItemVisibilityChecked(False)

    def colored():
        image = canvas.grab().toImage()
        wanted = [QColor("#E8590C"), QColor("#2FA4E7")]
        count = 0
        for y in range(0, image.height(), 2):
            for x in range(0, image.width(), 2):
                color = image.pixelColor(x, y)
                count += any(
                    max(abs(color.red() - c.red()), abs(color.green() - c.green()), abs(color.blue() - c.blue())) < 12
                    for c in wanted
                )
        return count

    counts = {}
    for percent in (bar.run_percent, 95, 5, bar.run_percent):
        started = time.monotonic()
        bar.slider.setValue(percent)
        w.result.setdefault("slider_blocks_ms", []).append(round((time.monotonic() - started) * 1000, 1))
        yield 0.3
        yield w.until(lambda: not canvas.isDrawing(), 30, "the canvas after the slider")
        yield 0.2
        counts.setdefault(str(percent), []).append(colored())
        if percent == 5:
            w.picture("4-slider")
            w.result["legend_live"] = [
                legend.data(Qt.ItemDataRole.DisplayRole)
                for legend in iface.layerTreeView()
                .layerTreeModel()
                .layerLegendNodes(root.findLayer(layers["probability"].id()))
            ]
    w.result["slider"] = counts
    w.result["slider_note"] = bar.note.text()


def cancel(w, dock, registry, out, scene):
    """Cancel from the dock in the middle of a run of a large scene."""
    layer = QgsRasterLayer(scene, "large")
    QgsProject.instance().addMapLayer(layer, False)
    dock.show_tab("flood")
    dock.flood.form.scene.set_layer(layer)
    dock.flood.form.zones.set_layer(None)
    dock.flood.form.out.setFilePath(str(out / "cancelled"))
    w.result["cancel_s"] = []
    for fraction in (0.0, 0.02, 0.3):
        runs = len(registry.runs())
        click(dock.flood.run_button)
        yield w.until(lambda n=runs: len(registry.runs()) > n, 10, "the second run")
        yield w.until(lambda: dock.runs.record().id == registry.runs()[0].id, 5, "the run selected")
        yield w.until(lambda f=fraction: registry.runs()[0].fraction >= f, 60, "its progress")
        if fraction == 0.02:
            w.picture("5-before-cancel")
        started = time.monotonic()
        click(dock.runs.cancel)
        yield w.until(lambda: registry.runs()[0].is_finished, 10, "the end of the cancelled run")
        w.result["cancel_s"].append(round(time.monotonic() - started, 2))
        w.result.setdefault("cancelled_as", []).append(registry.runs()[0].state)
        yield 0.3
        w.result.setdefault("left", []).extend(p.name for p in out.iterdir() if "cancelled" in p.name)
        w.result.setdefault("children", []).extend(engine_children())
        dock.flood.form.out.setFilePath(str(out / "cancelled"))
        dock.show_tab("flood")
    dock.show_tab("runs")
    yield 0.3
    w.picture("6-cancelled")


def toolbox(w, arguments, out):
    """The same run as from the toolbox: Processing loads the layers with our post-processors."""
    import processing

    processing.runAndLoadResults(
        "samescene:flood",
        {
            "POST": arguments["scene"],
            "ZONES": arguments["zones"],
            "ZONE_FIELD": "name",
            "OUTPUT": str(out / "toolbox"),
        },
    )
    yield 1.0
    folder = str(out / "toolbox")
    groups = QgsProject.instance().layerTreeRoot().findGroups(True)
    group = next(g for g in groups if g.customProperty("samescene/run") == folder)
    w.result["toolbox_tree"] = [[node.name(), node.itemVisibilityChecked()] for node in group.children()]
    w.result["toolbox_valid"] = [node.layer() is not None and node.layer().isValid() for node in group.findLayers()]
    w.result["toolbox_stray"] = [
        node.name()
        for node in QgsProject.instance().layerTreeRoot().findLayers()
        if node.layer().customProperty("samescene/run") == folder and node.parent() != group
    ]
    w.picture("7-toolbox")


def unload_while_running(w, dock, registry, out):
    """The plugin is switched off in the middle of a run: it stops the run and waits for its end."""
    dock.flood.form.out.setFilePath(str(out / "unloaded"))
    dock.show_tab("flood")
    runs = len(registry.runs())
    click(dock.flood.run_button)
    yield w.until(lambda: len(registry.runs()) > runs and registry.runs()[0].fraction > 0.02, 60, "the run")
    started = time.monotonic()
    w.result["unloaded"] = qgis.utils.unloadPlugin("samescene")
    w.result["unload_s"] = round(time.monotonic() - started, 2)
    w.result["unload_children"] = engine_children()
    yield 0.5
    w.result["unload_left"] = [p.name for p in out.iterdir() if "unloaded" in p.name]
    qgis.utils.loadPlugin("samescene")
    qgis.utils.startPlugin("samescene")
    yield 0.2


def unload(w):
    """Load and unload the plugin five times; what is left of it, and how long loading takes."""
    times = []
    for _ in range(5):
        qgis.utils.unloadPlugin("samescene")
        yield 0.2
        started = time.perf_counter()
        qgis.utils.loadPlugin("samescene")
        qgis.utils.startPlugin("samescene")
        times.append(round(time.perf_counter() - started, 4))
        yield 0.2
    w.result["load_s"] = times
    w.dock()
    yield 0.5
    qgis.utils.unloadPlugin("samescene")
    yield 0.5
    main = iface.mainWindow()
    w.result["left_docks"] = [
        d.objectName() for d in main.findChildren(QDockWidget) if "amescene" in d.objectName().lower()
    ]
    w.result["left_actions"] = [a.text() for a in main.findChildren(type(iface.actionPan())) if "SameScene" in a.text()]
    w.result["left_provider"] = QgsApplication.processingRegistry().providerById("samescene") is not None
    w.result["left_modules"] = [  # QGIS leaves the empty packages
        name
        for name, module in sys.modules.items()
        if name.startswith("samescene") and not str(module.__file__).endswith("__init__.py")
    ]


play(steps)
