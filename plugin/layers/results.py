"""From a finished run to layers of the project, the same from toolbox, dock and "Load layers again"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsLayerTree,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)

from .legend import choose_legend_rows
from .metadata import describe_layer
from .names import group_name, layer_name
from .products import product_of
from .styles import save_default_styles, style_layer

RUN_PROPERTY = "samescene/run"
ROLE_PROPERTY = "samescene/role"


class ResultsError(Exception):
    """A folder holds no result that can be loaded; the message names it."""


@dataclass(frozen=True)
class LayerToLoad:
    """One layer of a result.

    ``role``: the name of a role of its product. ``source``: what the provider opens. ``order``: place
    in the group from the top. ``visible``: drawn when loaded.
    """

    role: str
    source: str
    name: str
    group: str
    order: int
    visible: bool
    vector: bool

    def open(self) -> QgsMapLayer:
        """The layer, unstyled and outside any project; ask ``isValid()``."""
        if self.vector:
            return QgsVectorLayer(self.source, self.name, "ogr")
        return QgsRasterLayer(self.source, self.name, "gdal")


def read_result(folder: str | Path) -> dict[str, Any]:
    """``result.json`` of a result folder; raises ResultsError in one line."""
    path = Path(folder) / "result.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not readable JSON"
        raise ResultsError(f"{path}: the result of the run cannot be read ({reason}).") from error


def results_to_load(result: dict[str, Any], folder: str | Path) -> list[LayerToLoad]:
    """The layers of a result, from the top of its group; those whose file is absent are left out."""
    product = product_of(result)
    if product is None:
        return []
    folder = Path(folder)
    names = set((result.get("outputs") or {}).values())
    items = []
    for order, role in enumerate(product.roles_of(result)):
        path = folder / role.file
        if not path.is_file() or (names and path.name not in names) or not role.made(result):
            continue
        source = f"{path}|layername={role.table}" if role.table else str(path)
        name = role.label or layer_name(role.title, result)
        group = group_name(product.title, result)
        items.append(LayerToLoad(role.name, source, name, group, order, role.visible, role.table is not None))
    return items


def dress(layer: QgsMapLayer, item: LayerToLoad, result: dict[str, Any], folder: str | Path) -> None:
    """Name, style, legend, time range, metadata and the properties by which the layer is known as ours."""
    layer.setName(item.name)
    style_layer(layer, item.role, result)
    describe_layer(layer, item.role, result, folder)
    layer.setCustomProperty(RUN_PROPERTY, str(folder))
    layer.setCustomProperty(ROLE_PROPERTY, item.role)
    product = product_of(result)
    for key, value in product.properties(result).items() if product is not None else ():
        layer.setCustomProperty(key, value)
    layer.triggerRepaint()


class LayerPostProcessor(QgsProcessingLayerPostProcessorInterface):
    """Dresses a layer that Processing loaded and moves it to its run's group.

    QGIS does not own it: whoever hands it to ``LayerDetails`` keeps a reference until the layers are loaded.
    """

    def __init__(self, item: LayerToLoad, result: dict[str, Any], folder: str | Path) -> None:
        super().__init__()
        self._item, self._result, self._folder = item, result, folder

    def postProcessLayer(self, layer, context, feedback):
        """Called by Processing in the main thread once the layer is in the project."""
        if not layer.isValid():
            feedback.pushWarning(f"{self._item.source}: the layer cannot be opened and is not loaded.")
            return
        dress(layer, self._item, self._result, self._folder)
        project = layer.project() or context.project() or QgsProject.instance()
        _place(layer, self._item, self._result, self._folder, project)


def add_to_context(
    result: dict[str, Any], folder: str | Path, context: QgsProcessingContext, outputs: dict[str, str]
) -> list[LayerPostProcessor]:
    """Ask Processing to load the layers when the run is complete.

    ``outputs`` names the algorithm's output of each role, for example ``{"flood": "FLOOD"}``. Keep the answer until
    the layers are loaded.
    """
    processors = []
    for item in results_to_load(result, folder):
        details = QgsProcessingContext.LayerDetails(item.name, context.project(), outputs.get(item.role, ""))
        processor = LayerPostProcessor(item, result, folder)
        details.setPostProcessor(processor)
        context.addLayerToLoadOnCompletion(item.source, details)
        processors.append(processor)
    return processors


def load_results(folder: str | Path, *, project: QgsProject | None = None) -> list[QgsMapLayer]:
    """Add the layers of a result folder to the project in a group of their own; main thread only.

    Layers of the same folder that are in the project already are replaced. Answers the layers from the top. Raises
    ResultsError when nothing can be loaded.
    """
    return list(reversed(list(loading_steps(folder, project=project))))


def loading_steps(folder: str | Path, *, project: QgsProject | None = None) -> Iterator[QgsMapLayer]:
    """:func:`load_results` one layer a step, from the bottom, so that a window can breathe between them."""
    project = project or QgsProject.instance()
    result = read_result(folder)
    items = results_to_load(result, folder)
    if not items:
        raise ResultsError(f"{folder}: no result files were found.")
    project.removeMapLayers([layer.id() for layer in run_layers(folder, project=project).values()])
    for item in reversed(items):
        layer = item.open()
        if not layer.isValid():
            raise ResultsError(f"{item.source}: the file cannot be opened as a layer.")
        dress(layer, item, result, folder)
        project.addMapLayer(layer, False)
        _group(item.group, folder, project).insertLayer(0, layer)
        _place(layer, item, result, folder, project)
        yield layer


def write_styles(result: dict[str, Any], folder: str | Path) -> list[str]:
    """Save the styles with the files, so that they open alone as they do here; one line for each that could not be."""
    return save_default_styles(results_to_load(result, folder), result)


def run_layers(folder: str | Path, *, project: QgsProject | None = None) -> dict[str, QgsMapLayer]:
    """The project's layers of a result folder by role."""
    project = project or QgsProject.instance()
    wanted = str(folder)
    return {
        str(layer.customProperty(ROLE_PROPERTY)): layer
        for layer in project.mapLayers().values()
        if layer.customProperty(RUN_PROPERTY) == wanted
    }


def _group(name: str, folder: str | Path, project: QgsProject) -> QgsLayerTreeGroup:
    """The run's group: one a result folder, on top when it is new; a second of the same name gets a number."""
    root = project.layerTreeRoot()
    for group in root.findGroups(True):
        if group.customProperty(RUN_PROPERTY) == str(folder):
            return group
    taken = {group.name() for group in root.findGroups(True)}
    free, number = name, 2
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    group = root.insertGroup(0, free)
    group.setCustomProperty(RUN_PROPERTY, str(folder))
    return group


def _place(
    layer: QgsMapLayer, item: LayerToLoad, result: dict[str, Any], folder: str | Path, project: QgsProject
) -> None:
    """Move the layer's node into its group, in the order of the roles, expanded only where a legend helps."""
    node = project.layerTreeRoot().findLayer(layer.id())
    if node is None:
        return
    group = _group(item.group, folder, project)
    product = product_of(result)
    roles = product.roles_of(result) if product is not None else ()
    ranks = {role.name: rank for rank, role in enumerate(roles)}
    above = 0
    for position, child in enumerate(group.children()):
        other = child.layer() if QgsLayerTree.isLayer(child) and child is not node else None
        role = other.customProperty(ROLE_PROPERTY) if other is not None else None
        if ranks.get(role, len(ranks)) < item.order:
            above = position + 1
    clone = node.clone()
    choose_legend_rows(layer, clone)
    group.insertChildNode(above, clone)
    old_parent = node.parent()
    old_parent.removeChildNode(node)
    clone.setItemVisibilityChecked(item.visible)
    clone.setExpanded(any(role.expanded for role in roles if role.name == item.role))
