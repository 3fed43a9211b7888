"""What tests of the windows use: QGIS's iface with real widgets, and a turn of the event loop."""

# ruff: noqa: N815 - names of QGIS

from __future__ import annotations

import json
import time

from osgeo import ogr, osr
from qgis.core import QgsCoordinateReferenceSystem, QgsLayerTreeModel, QgsProject
from qgis.gui import QgsLayerTreeView, QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QApplication, QMainWindow


class Iface(QObject):
    """What the dock uses of QGIS's iface, with real widgets."""

    currentLayerChanged = pyqtSignal(object)

    def __init__(self):
        super().__init__()
        self.window = QMainWindow()
        self.canvas = QgsMapCanvas(self.window)
        self.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32630"))
        self.canvas.resize(400, 300)
        self.bar = QgsMessageBar(self.window)
        self.tree = QgsLayerTreeView(self.window)
        self.tree.setModel(QgsLayerTreeModel(QgsProject.instance().layerTreeRoot(), self.tree))
        self.options_shown = []

    def mainWindow(self):
        return self.window

    def mapCanvas(self):
        return self.canvas

    def messageBar(self):
        return self.bar

    def layerTreeView(self):
        return self.tree

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(area, dock)
        dock.show()  # as QGIS does

    def removeDockWidget(self, dock):
        self.window.removeDockWidget(dock)

    def showOptionsDialog(self, parent, page):
        self.options_shown.append(page)


def spin(until, seconds: float = 5.0) -> None:
    """Turn the event loop until ``until()`` is true, at most so long."""
    stop = []
    QTimer.singleShot(int(seconds * 1000), lambda: stop.append(1))
    while not until() and not stop:
        QApplication.processEvents()
        time.sleep(0.001)  # for threads and engines, which may have no other core


def make_sample(folder, places, *, classes=None, map_path="") -> str:
    """A folder as ``engine assess sample`` makes it: points.gpkg in EPSG:32630 and design.json; path of the points."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "points.gpkg"
    made = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32630)
    layer = made.CreateLayer("points", reference, ogr.wkbPoint)
    kinds = (("point_id", ogr.OFTInteger), ("label", ogr.OFTInteger), ("confident", ogr.OFTInteger),
             ("note", ogr.OFTString), ("labelled_by", ogr.OFTString), ("labelled_at", ogr.OFTString))  # fmt: skip
    for name, kind in kinds:
        field = ogr.FieldDefn(name, kind)
        if name == "confident":
            field.SetSubType(ogr.OFSTBoolean)
        layer.CreateField(field)
    for number, (x, y) in reversed(list(enumerate(places, 1))):  # not in the order of their numbers
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField("point_id", number)
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POINT({x} {y})"))
        layer.CreateFeature(feature)
    made = None
    if classes is None:
        classes = [(10, "Tree cover", "#006400"), (40, "Cropland", "#f096ff"), (80, "Water", "#0064c8")]
    design = {
        "format": 1,
        "map": {"path": str(map_path), "sha256": None},
        "classes": [{"code": c, "name": n, "color": f, "definition": f"What {n} is."} for c, n, f in classes],
        "points": [{"point_id": number, "stratum": 99, "map_class": 99, "row": 0, "col": 0} for number in (1, 2)],
    }
    (folder / "design.json").write_text(json.dumps(design))
    return str(path)
