"""The classes of a label layer: value of the class field, code, name and colour."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qgis.core import NULL, QgsCategorizedSymbolRenderer, QgsFeatureSource, QgsVectorLayer

from ..engine_client.settings import plugin_root

MOST_CODES = 254
PALETTE = (
    "#1b7837", "#e6ab02", "#7570b3", "#d95f02", "#1f78b4", "#e7298a", "#a6761d", "#66c2a5", "#b2182b", "#6a3d9a",
    "#b8e186", "#8c96a3",
)  # fmt: skip
"""Colours of classes that have none, told apart by most eyes; they repeat after the last."""


@dataclass(frozen=True)
class LabelClass:
    """``value``: as text, as it stands in the field; ``code`` 1…254 in the map; ``color`` as ``#rrggbb``."""

    value: str
    code: int
    name: str
    color: str


def label_classes(layer: QgsVectorLayer | None, source: QgsFeatureSource, field: str) -> list[LabelClass]:
    """The classes that occur in ``field`` of ``source``, by code; names and colours are the layer's categories.

    Whole numbers from 1 to 254 are the codes themselves, and where all are codes of WorldCover they have its names and
    colours; other values are numbered in the order of the categories, then of the alphabet. Features without a value
    count as none.
    """
    values = [v for v in source.uniqueValues(source.fields().lookupField(field)) if v not in (None, NULL, "")]
    drawn = _categories(layer, field)
    texts = sorted({value_text(value) for value in values}, key=lambda text: (_rank(drawn, text), _natural(text)))
    whole = [int(text) for text in texts if re.fullmatch(r"\d{1,3}", text)]
    codes = len(whole) == len(texts) and all(1 <= code <= MOST_CODES for code in whole)
    known = _worldcover() if codes else {}
    if not set(whole) <= set(known):
        known = {}
    classes = []
    for number, text in enumerate(texts, 1):
        code = int(text) if codes else number
        name, color = drawn.get(text, ("", ""))
        standard = known.get(code, (text, PALETTE[(number - 1) % len(PALETTE)]))
        classes.append(LabelClass(text, code, name or standard[0], color or standard[1]))
    return sorted(classes, key=lambda one: one.code)


def value_text(value: Any) -> str:
    """The value of a class field as the engine names it: whole numbers without a point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def class_colors_json(classes: Iterable[LabelClass]) -> str:
    """CLASS_COLORS: value → {"code", "name", "color"} as JSON."""
    table = {one.value: {"code": one.code, "name": one.name, "color": one.color} for one in classes}
    return json.dumps(table, ensure_ascii=False)


def class_colors_fault(text: str) -> str:
    """What is wrong with CLASS_COLORS in one line, or the empty string."""
    start = "Codes, names and colours:"
    try:
        table = json.loads(text)
    except ValueError as error:
        return f"{start} this is no JSON ({error})."
    if not isinstance(table, dict) or not all(isinstance(one, dict) for one in table.values()):
        return f'{start} expected {{"value": {{"code": 10, "name": "Tree cover", "color": "#006400"}}, …}}.'
    codes = [one.get("code") for one in table.values()]
    wrong = [code for code in codes if not isinstance(code, int) or not 1 <= code <= MOST_CODES]
    if wrong:
        return f"{start} the code {wrong[0]!r} is no whole number from 1 to {MOST_CODES}."
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice and any(len({one.get("name") for one in table.values() if one["code"] == code}) > 1 for code in twice):
        return f"{start} the code {twice[0]} stands for classes of different names."
    colors = [str(one.get("color", "")) for one in table.values()]
    bad = [color for color in colors if not re.fullmatch(r"#[0-9a-fA-F]{6}", color)]
    return f"{start} the colour '{bad[0]}' is not written as #rrggbb." if bad else ""


def _categories(layer: QgsVectorLayer | None, field: str) -> dict[str, tuple[str, str]]:
    """Value → (label, colour) of a layer that is drawn by the field; empty of any other."""
    renderer = layer.renderer() if layer is not None else None
    if not isinstance(renderer, QgsCategorizedSymbolRenderer) or renderer.classAttribute().strip('"') != field:
        return {}
    found: dict[str, tuple[str, str]] = {}
    for category in renderer.categories():
        values = category.value() if isinstance(category.value(), (list, tuple)) else [category.value()]
        for value in values:
            if value not in (None, NULL, ""):
                found[value_text(value)] = (category.label().strip(), category.symbol().color().name())
    return found


def _rank(drawn: dict[str, tuple[str, str]], text: str) -> int:
    return list(drawn).index(text) if text in drawn else len(drawn)


def _natural(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdigit() else (MOST_CODES * 1000, text.casefold())


def _worldcover() -> dict[int, tuple[str, str]]:
    try:
        path = plugin_root() / "resources" / "legends" / "worldcover.json"
        classes = json.loads(path.read_text(encoding="utf-8"))["classes"]
        return {int(one["code"]): (str(one["name"]), str(one["color"])) for one in classes}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
