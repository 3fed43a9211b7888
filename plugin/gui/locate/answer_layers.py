"""The layers of a search in the project: the selection of the candidates, and what of them is drawn."""

from __future__ import annotations

import re
from pathlib import Path

from qgis.core import QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ...layers.answers import ROLE
from ...layers.results import ROLE_PROPERTY, RUN_PROPERTY

_OURS = re.compile(r"""^"photo" = '([^']|'')*'$""")
"""A filter that was set here, maybe in an earlier session: projects are saved with it."""
_SOON_MS = 15


class AnswerLayers(QObject):
    """Follows the layers of one result folder as they come and go. :attr:`picked` carries the id of a feature that was
    selected on the map or in the attribute table.

    A filter takes QGIS 50 ms and a selection 20: each is set a moment later by itself, so that the window goes on
    meanwhile, and who leafs through the photos quickly waits for the last alone.
    """

    picked = pyqtSignal(int)
    changed = pyqtSignal()
    """The layer of candidates came or went."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder, self._id = "", ""
        self._quiet = False
        self._photo: str | None = None
        self._fid: int | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self._catch_up)
        project = QgsProject.instance()
        project.layersAdded.connect(self._added)
        project.layersWillBeRemoved.connect(self._removed)

    def use(self, folder: str) -> None:
        """Follow the layers of another result."""
        self._leave()
        self._folder = folder
        self._find()

    def layer(self) -> QgsVectorLayer | None:
        """The candidates' layer of the project; None while it is not loaded."""
        layer = QgsProject.instance().mapLayer(self._id) if self._id else None
        return layer if isinstance(layer, QgsVectorLayer) else None

    def select(self, fid: int) -> None:
        """Select a candidate on the map, in a moment; -1 for none."""
        self._fid = fid
        self._soon.start()

    def show_only(self, photo: str) -> None:
        """Draw the candidates of one photo, or of all (empty), in a moment."""
        self._photo = photo
        self._soon.start()

    @property
    def behind(self) -> bool:
        """Whether the map does not show yet what was asked for."""
        return self._soon.isActive()

    def _catch_up(self) -> None:
        if self._photo is not None:
            self._filter(self._photo)
            self._photo = None
            if self._fid is not None:
                self._soon.start()
        elif self._fid is not None:
            self._select(self._fid)
            self._fid = None

    def _select(self, fid: int) -> None:
        layer = self.layer()
        if layer is None:
            return
        self._quiet = True
        layer.selectByIds([fid] if fid >= 0 else [])
        self._quiet = False

    def _filter(self, photo: str) -> None:
        layer = self.layer()
        wanted = "\"photo\" = '{}'".format(photo.replace("'", "''")) if photo else ""
        if layer is None or layer.subsetString() == wanted or layer.isEditable():
            return
        if layer.subsetString() and not _OURS.match(layer.subsetString()):
            return  # a filter of the user's own is left alone
        self._quiet = True
        layer.setSubsetString(wanted)
        self._quiet = False

    def show_heat(self, photo: str) -> None:
        """Draw the heat map of one photo and hide the others; of none where ``photo`` is empty."""
        root = QgsProject.instance().layerTreeRoot()
        for layer in self._of_run():
            name = Path(layer.source().split("|")[0]).name
            node = root.findLayer(layer.id())
            if node is not None and name.startswith("heatmap_"):
                node.setItemVisibilityChecked(bool(photo) and name == f"heatmap_{photo}.tif")

    def has_heat(self) -> bool:
        """Whether a heat map is loaded."""
        return any(Path(layer.source().split("|")[0]).name.startswith("heatmap_") for layer in self._of_run())

    def shut_down(self) -> None:
        """Follow nothing any more and take the filter off."""
        self._leave()
        project = QgsProject.instance()
        project.layersAdded.disconnect(self._added)
        project.layersWillBeRemoved.disconnect(self._removed)

    def _of_run(self) -> list[QgsMapLayer]:
        layers = QgsProject.instance().mapLayers().values()
        return [layer for layer in layers if layer.customProperty(RUN_PROPERTY) == self._folder]

    def _find(self) -> None:
        for layer in self._of_run():
            if layer.customProperty(ROLE_PROPERTY) == ROLE and layer.id() != self._id:
                self._id = layer.id()
                layer.selectionChanged.connect(self._selected)
                self.changed.emit()
                return

    def _leave(self) -> None:
        self._soon.stop()
        self._photo = self._fid = None
        layer = self.layer()
        if layer is not None:
            layer.selectionChanged.disconnect(self._selected)
            if _OURS.match(layer.subsetString()) and not layer.isEditable():
                layer.setSubsetString("")
        self._id = ""

    def _added(self, _layers) -> None:
        if self._folder and self.layer() is None:
            self._find()

    def _removed(self, ids) -> None:
        if self._id in ids:
            self._id = ""
            self.changed.emit()

    def _selected(self, chosen, *_) -> None:
        if not self._quiet and chosen:
            self.picked.emit(int(chosen[-1]))
