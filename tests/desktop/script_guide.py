"""Inside QGIS: a run with every input, as the user guide shows it; its pictures are the guide's."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

from inside import play
from qgis.core import (
    QgsContrastEnhancement,
    QgsProject,
    QgsRasterLayer,
    QgsRasterMinMaxOrigin,
    QgsSingleBandGrayRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication, QDockWidget
from qgis.utils import iface


def steps(w):
    folder, out = Path(w.arguments["scene"]), w.arguments["out"]
    registry = w.plugin.registry
    for dock in iface.mainWindow().findChildren(QDockWidget):
        if dock.objectName() == "Browser":
            dock.hide()
    dock = w.dock()
    iface.mainWindow().resizeDocks([dock], [390], Qt.Orientation.Horizontal)
    iface.mainWindow().resizeDocks(
        [d for d in iface.mainWindow().findChildren(QDockWidget) if d.objectName() == "Layers"],
        [330],
        Qt.Orientation.Horizontal,
    )
    project = QgsProject.instance()
    rasters = {}
    for name in ("dem", "reference_water", "before_S1", "after_S1"):
        rasters[name] = QgsRasterLayer(str(folder / f"{name}.tif"), f"{name} (simulated)")
        project.addMapLayer(rasters[name])
        project.layerTreeRoot().findLayer(rasters[name].id()).setExpanded(False)
        project.layerTreeRoot().findLayer(rasters[name].id()).setItemVisibilityChecked(name == "after_S1")
    for name in ("before_S1", "after_S1"):
        rasters[name].setRenderer(QgsSingleBandGrayRenderer(rasters[name].dataProvider(), 1))
        rasters[name].setContrastEnhancement(
            QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum,
            QgsRasterMinMaxOrigin.Limits.CumulativeCut,
        )
    zones = QgsVectorLayer(f"{folder / 'zones.gpkg'}", "zones (simulated)", "ogr")
    project.addMapLayer(zones)
    project.layerTreeRoot().findLayer(zones.id()).setItemVisibilityChecked(False)
    project.setCrs(rasters["after_S1"].crs())
    iface.mapCanvas().setExtent(rasters["after_S1"].extent())
    form = dock.flood.form
    form.scene.set_layer(rasters["after_S1"])
    form.before.set_layer(rasters["before_S1"])
    form.water.set_layer(rasters["reference_water"])
    form.dem.set_layer(rasters["dem"])
    form.zones.set_layer(zones)
    form.zone_field.setField(w.arguments["zone_field"])
    form.out.setFilePath(out)
    form.terrain_box.setCollapsed(False)
    form.zones_box.setCollapsed(False)
    yield 1.0
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the scene")
    w.result["cut_off"] = [
        type(child).__name__ for child in form.findChildren(object) if hasattr(child, "mapTo") and _cut_off(child, form)
    ]
    w.picture("qgis-form", small=True)
    dock.flood.run_button.click()
    yield w.until(lambda: registry.runs() and registry.runs()[0].fraction > 0.3, 90, "progress")
    w.picture("qgis-running", small=True)
    yield w.until(lambda: registry.runs()[0].is_finished, 180, "the end of the run")
    w.result["state"], w.result["error"] = registry.runs()[0].state, registry.runs()[0].error
    w.result["log"] = [line for _, line in registry.runs()[0].log]
    yield w.until(lambda: dock.runs.threshold.bound, 20, "the layers")
    iface.mapCanvas().setExtent(rasters["after_S1"].extent())
    iface.mapCanvas().refresh()
    yield 0.5
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the map")
    yield 0.5
    w.picture("qgis-result", small=True)
    model = iface.layerTreeView().layerTreeModel()
    group = project.layerTreeRoot().children()[0]
    w.result["legend"] = {
        node.layer().customProperty("samescene/role"): [
            legend.data(Qt.ItemDataRole.DisplayRole) for legend in model.layerLegendNodes(node)
        ]
        for node in group.findLayers()
    }
    dock.runs.threshold.slider.setValue(20)
    yield w.until(lambda: "km²" in dock.runs.threshold.note.text(), 20, "the area")
    yield 0.5
    yield w.until(lambda: not iface.mapCanvas().isDrawing(), 20, "the map")
    yield 0.3
    w.picture("qgis-threshold", small=True)
    w.result["note"] = dock.runs.threshold.note.text()
    project.write(str(Path(out) / "flood.qgz"))
    yield 0.2
    iface.newProject(False)
    yield 0.3
    project.read(str(Path(out) / "flood.qgz"))
    yield 0.5
    again = {layer.customProperty("samescene/role"): layer for layer in project.mapLayers().values()}
    iface.setActiveLayer(again["flood"])
    yield 0.3
    w.result["bound_again"] = [dock.runs.threshold.bound, dock.runs.threshold.slider.value()]

    def options():
        dialog = QApplication.activeModalWidget()
        dialog.resize(940, 700)
        page = next(p for p in dialog.findChildren(object) if type(p).__name__ == "SameSceneOptionsPage")
        wait(dialog, page, 200)

    def wait(dialog, page, left):
        if not page.test.isEnabled() and left:
            QTimer.singleShot(100, lambda: wait(dialog, page, left - 1))
        else:
            w.picture("qgis-options", dialog, small=True)
            dialog.reject()

    QTimer.singleShot(1200, options)
    iface.showOptionsDialog(iface.mainWindow(), "samesceneOptions")
    yield 0.2


def _cut_off(child, form) -> bool:
    """Whether a visible child reaches over the right edge of the form's view."""
    if not child.isWidgetType() or not child.isVisible():
        return False
    view = form.parentWidget()
    return child.mapTo(form, child.rect().topRight()).x() + form.x() > view.width()


play(steps)
