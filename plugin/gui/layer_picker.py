"""A combo box of the project's layers with a button to take a file that is not in the project."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsMapLayer, QgsMapLayerProxyModel, QgsProject, QgsProviderRegistry, QgsVectorLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import QSize, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QToolButton, QWidget

from ..compat import scoped
from .icons import theme_icon

RASTER, POLYGON, POINT, LABELS = "raster", "polygon", "point", "labels"


class LayerPicker(QWidget):
    """Pick a layer or a file. :meth:`value` is a layer id, a path, or None; :attr:`changed` follows every change."""

    changed = pyqtSignal()

    def __init__(self, kind: str, *, title: str, optional: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind, self._title, self._optional = kind, title, optional
        self._paths: dict[str, str] = {}
        self.combo = QgsMapLayerComboBox(self)
        self.combo.setFilters(_filter(kind))
        self.combo.setAllowEmptyLayer(True)
        if optional:
            self.combo.setAllowEmptyLayer(True, self.tr("Not used"))
        self.combo.setShowCrs(False)
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self.button = QToolButton(self)
        self.button.setIcon(theme_icon("mActionFileOpen.svg"))
        self.button.setIconSize(QSize(16, 16))
        self.button.setToolTip(self.tr("Take a file that is not in the project"))
        self.button.setAccessibleName(self.tr("File: {}").format(title))
        self.combo.setAccessibleName(title)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.combo, 1)
        row.addWidget(self.button)
        self.setFocusProxy(self.combo)
        self.button.clicked.connect(self._browse)
        self.combo.currentIndexChanged.connect(self._changed)
        self.combo.setCurrentIndex(0)  # setLayer(None) would choose no entry at all, not the empty one

    def layer(self) -> QgsMapLayer | None:
        """The chosen layer of the project, or None when a file or nothing is chosen."""
        return self.combo.currentLayer()

    def path(self) -> str | None:
        """The chosen file, or None."""
        return None if self.layer() is not None else self._paths.get(self.combo.currentText())

    def value(self) -> str | None:
        """A layer id, a path, or None: what a Processing layer parameter takes."""
        layer = self.layer()
        return layer.id() if layer is not None else self.path()

    def source(self) -> str:
        """The layer's source or the file, to be remembered; the empty string when nothing is chosen."""
        layer = self.layer()
        return layer.source() if layer is not None else (self.path() or "")

    def set_layer(self, layer: QgsMapLayer | None) -> None:
        """Choose a layer of the project, or nothing."""
        if layer is None:
            self.combo.setCurrentIndex(0)  # setLayer(None) leaves a chosen file as it is
        else:
            self.combo.setLayer(layer)

    def set_path(self, path: str) -> None:
        """Choose a file; a layer of the project with that source is preferred."""
        for layer in QgsProject.instance().mapLayers().values():
            if layer.source() == path:
                self.combo.setLayer(layer)
                if self.layer() is layer:
                    return
        name = Path(path).name
        if self._paths.get(name, path) != path:
            name = f"{name} – {Path(path).parent}"
        self._paths[name] = path
        self.combo.setAdditionalItems(list(self._paths))
        self.combo.setCurrentIndex(self.combo.findText(name))
        self._changed()

    def restore(self, source: str) -> None:
        """Choose what :meth:`source` gave earlier, when it still exists."""
        for layer in QgsProject.instance().mapLayers().values():
            if layer.source() == source:
                self.combo.setLayer(layer)
                return
        if source and Path(source.split("|")[0]).is_file():
            self.set_path(source)

    def _browse(self) -> None:
        registry = QgsProviderRegistry.instance()
        filters = registry.fileRasterFilters() if self._kind == RASTER else registry.fileVectorFilters()
        start = str(Path(self.source().split("|")[0]).parent) if self.source() else ""
        path, _ = QFileDialog.getOpenFileName(self, self._title, start, filters)
        if path:
            self.set_path(path)

    def _changed(self) -> None:
        self.combo.setToolTip(self.source() or self._title)
        self.changed.emit()


def vector_layer(picker: LayerPicker) -> QgsVectorLayer | None:
    """The vector layer of a picker: the project's, or one opened from the chosen file (invalid files give None)."""
    layer = picker.layer()
    if layer is None and picker.path():
        layer = QgsVectorLayer(picker.path(), Path(picker.path()).stem, "ogr")
    return layer if isinstance(layer, QgsVectorLayer) and layer.isValid() else None


def _filter(kind: str):
    from qgis.core import Qgis

    if kind == LABELS:
        return _filter(POLYGON) | _filter(POINT)
    name = {RASTER: "RasterLayer", POLYGON: "PolygonLayer", POINT: "PointLayer"}[kind]
    return scoped((Qgis, f"LayerFilter.{name}"), (QgsMapLayerProxyModel, f"Filter.{name}"))
