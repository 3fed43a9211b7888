"""The ground that an index covers, as a small file beside the card that any map program opens: ``area.geojson``.

Nothing depends on it: indexes without one (made by earlier versions) are told by the boxes of their regions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import shapely

from engine.crossview.index.card import IndexCard

AREA = "area.geojson"


def area_text(geometry: Any, card: IndexCard, *, earlier: Any | None) -> str:
    """GeoJSON (degrees) of a region and of what an index held before (a geometry, or None), with the card's main
    facts."""
    whole = geometry if earlier is None else shapely.union_all([earlier, geometry])
    facts = {"method": card.method, "cell_m": card.cell_m, "cells": card.cells, "gaps": card.gaps}
    facts |= {"imagery_date": card.imagery_date, "attribution": card.attribution, "updated": card.updated}
    feature = {"type": "Feature", "properties": facts, "geometry": json.loads(shapely.to_geojson(whole))}
    return json.dumps({"type": "FeatureCollection", "name": "area", "features": [feature]}, allow_nan=False)


def area_of(folder: Path, card: IndexCard) -> Any:
    """What the index in ``folder`` covers: by its file, else the boxes of its regions."""
    try:
        content = json.loads((folder / AREA).read_text(encoding="utf-8"))
        return shapely.from_geojson(json.dumps(content["features"][0]["geometry"]))
    except (OSError, ValueError, KeyError, IndexError, TypeError, shapely.errors.GEOSException):
        boxes = [[float(n) for n in region.split(",")] for region in card.regions]
        return shapely.union_all([shapely.box(*box) for box in boxes])
