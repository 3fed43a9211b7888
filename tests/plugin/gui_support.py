"""What tests of the windows use: QGIS's iface with real widgets, and a turn of the event loop."""

# ruff: noqa: N815 - names of QGIS

from __future__ import annotations

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

    def showOptionsDialog(self, parent, page):
        self.options_shown.append(page)


def spin(until, seconds: float = 5.0) -> None:
    """Turn the event loop until ``until()`` is true, at most so long."""
    stop = []
    QTimer.singleShot(int(seconds * 1000), lambda: stop.append(1))
    while not until() and not stop:
        QApplication.processEvents()
