"""The layer of a sample of points: neutral, so that nothing tells the class that the map has there."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsEditorWidgetSetup,
    QgsMarkerSymbol,
    QgsRendererCategory,
    QgsVectorLayer,
)

from .palette import label_settings, set_aliases, set_labels
from .product import Product, Result, Role

_ALIASES = {
    "point_id": "Point",
    "label": "Class (label)",
    "confident": "Confident",
    "note": "Note",
    "labelled_by": "Labelled by",
    "labelled_at": "Labelled at",
}


def label_choices(result: Result) -> list[dict[str, Any]]:
    """The classes that a label may name: ``code``, ``name``, ``color``."""
    return list(result.get("figures", {}).get("classes") or [])


def style_sample(layer: QgsVectorLayer, result: Result) -> None:
    """Numbered rings, filled once labelled; the field of the label offers the classes by name."""
    ring = {"name": "circle", "size": "2.8", "outline_color": "#212529", "outline_width": "0.5"}
    empty = QgsMarkerSymbol.createSimple({**ring, "color": "255,255,255,120"})
    done = QgsMarkerSymbol.createSimple({**ring, "color": "#868e96"})
    layer.setRenderer(
        QgsCategorizedSymbolRenderer(
            'CASE WHEN "label" IS NULL THEN 0 ELSE 1 END',
            [QgsRendererCategory(0, empty, "to label"), QgsRendererCategory(1, done, "labelled")],
        )
    )
    number = label_settings('"point_id"', size=8)
    number.dist = 1.2  # beside the ring (mm), not on it
    set_labels(layer, number)
    set_aliases(layer, _ALIASES)
    layer.setDisplayExpression("'Point ' || \"point_id\"")
    layer.setMapTipTemplate('<b>Point [% "point_id" %]</b>')
    field = layer.fields().lookupField("label")
    choices = [{f"{row['name']} ({row['code']})": str(row["code"])} for row in label_choices(result)]
    if field >= 0 and choices:
        layer.setEditorWidgetSetup(field, QgsEditorWidgetSetup("ValueMap", {"map": choices}))


SAMPLE_PRODUCT = Product(
    job="assess-sample",
    title="Sample",
    topic="imageryBaseMapsEarthCover",
    keywords=("accuracy", "sample"),
    attributed=False,
    roles=(
        Role(
            "sample",
            "points.gpkg",
            "Points to label",
            "Points of a probability sample, in random order; the field label holds the class that a person saw there. "
            "The class of the map is kept apart, in design.json.",
            style_sample,
            table="points",
            expanded=True,
        ),
    ),
)
