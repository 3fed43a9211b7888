"""What can be said of a label layer before training, in plain words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsProject, QgsRasterLayer, QgsVectorLayer

from ..processing.label_classes import LabelClass

FEW = 5
"""Fewer features than this of a class: part of them is held out, so that neither learning nor measuring has enough."""

Tr = Callable[[str], str]


@dataclass(frozen=True)
class Remark:
    """One line; ``fatal`` where training cannot start."""

    text: str
    fatal: bool = False


def remarks(
    tr: Tr,
    layer: QgsVectorLayer | None,
    classes: list[LabelClass],
    counts: dict[str, int] | None,
    without: int,
    scene: QgsRasterLayer | None,
) -> list[Remark]:
    """What is wrong or doubtful, the worst first; ``counts`` None while they are not known yet."""
    found: list[Remark] = []
    if layer is None:
        return found
    if not layer.crs().isValid():
        found.append(Remark(tr("The labels have no CRS: set it in the layer's properties."), True))
    elif scene is not None and not _overlap(layer, scene):
        found.append(Remark(tr("The labels lie outside the scene '{}'.").format(scene.name()), True))
    if not classes:
        found.append(Remark(tr("The field holds no class."), True))
    elif len(classes) == 1:
        found.append(Remark(tr("There is one class only: label at least one more."), True))
    if counts is None:
        return found
    for one in classes:
        number = counts.get(one.value, 0)
        if number < FEW:
            text = tr(
                "{}: {} label(s) only. Part is held out to measure the model: draw {} or more, at several places."
            )
            found.append(Remark(text.format(one.name, number, FEW)))
    if without:
        found.append(Remark(tr("{} feature(s) without class or geometry are left out.").format(without)))
    return found


def summary(tr: Tr, classes: list[LabelClass], counts: dict[str, int] | None) -> str:
    """How much there is to learn from."""
    if counts is None:
        return tr("{} classes; counting labels…").format(len(classes))
    return tr("{} labels of {} classes.").format(sum(counts.values()), len({one.code for one in classes}))


def _overlap(layer: QgsVectorLayer, scene: QgsRasterLayer) -> bool:
    try:
        transform = QgsCoordinateTransform(layer.crs(), scene.crs(), QgsProject.instance())
        extent = transform.transformBoundingBox(layer.extent())
    except QgsCsException:
        return False
    return scene.extent().intersects(extent)
