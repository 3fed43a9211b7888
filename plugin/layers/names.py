"""The names and colours by which results of a run are known: classes, layers, groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

DRY, REFERENCE_WATER, FLOOD, WATER, SET_ASIDE, NOT_OBSERVED = 0, 1, 2, 3, 254, 255


@dataclass(frozen=True)
class FloodClass:
    """A value of ``flood.tif``: its name, the colour (#rrggbb) that every map uses, and its key in the figures."""

    value: int
    name: str
    color: str
    key: str


FLOOD_CLASSES = (
    FloodClass(FLOOD, "flood", "#E8590C", "flood"),
    FloodClass(REFERENCE_WATER, "reference water", "#1F4E9E", "reference_water"),
    FloodClass(WATER, "water (no reference)", "#2FA4E7", "water"),
    FloodClass(SET_ASIDE, "set aside", "#9E9E9E", "excluded"),
)
"""The classes that a map shows, in the order of the legend; dry land and not observed stay transparent."""

EXCLUDED_REASONS = (
    (1, "radar shadow", "#4A148C"),
    (2, "steep slope", "#8D6E63"),
    (3, "high above drainage", "#FFB300"),
    (4, "outside the area of interest", "#BDBDBD"),
)
"""Values of ``excluded.tif`` that a map shows: code, name, colour."""


_MAIN_INPUTS = ("post", "scene", "s2", "s1", "map_b", "map", "sample", "photos")
_OUR_FILES = ("landcover", "flood", "change", "confidence", "points")
_SUFFIXES = (
    ".gz", ".tif", ".tiff", ".vrt", ".zip", ".img", ".jp2", ".SAFE", ".xml", ".gpkg", ".jpg", ".jpeg", ".png", ".webp",
)  # fmt: skip


def input_items(result: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(name, facts) of the files that a result was made from; those of one name follow each other."""
    items: list[tuple[str, dict[str, Any]]] = []
    for name, value in (result.get("inputs") or {}).items():
        found = value if isinstance(value, list) else [value]
        items += [(name, item) for item in found if isinstance(item, dict) and item]
    return items


def scene_name(result: dict[str, Any]) -> str:
    """The scene as a person would call it: the file's stem without a sensor suffix; "scene" when nothing is known.

    Files that are named by a product (``landcover.tif``, ``MTD_MSIL2A.xml``) are called by their folder. Photos are
    called by the first of them.
    """
    if result.get("job") == "locate-index":
        return PurePath(str(result.get("out") or result.get("parameters", {}).get("out") or "index")).name
    if result.get("job") == "locate-search":
        photos = [str(photo.get("photo")) for photo in result.get("figures", {}).get("photos") or []]
        return f"{photos[0]} and {len(photos) - 1} more" if len(photos) > 1 else "".join(photos) or "photos"
    items = input_items(result)
    paths = [str(item.get("path") or "") for key in _MAIN_INPUTS for name, item in items if name in (key, f"{key}_1")]
    given = result.get("parameters", {})
    for key in _MAIN_INPUTS:
        value = given.get(key)
        paths += [str(one) for one in (value if isinstance(value, list) else [value]) if one]
    photos = given.get("photos") or ()
    if len(photos) > 1:  # many are called by their folder
        paths = [str(PurePath(str(photos[0]).replace("\\", "/")).parent)]
    path = next((path for path in paths if path), "")
    pure = PurePath(urlsplit(path).path if "://" in path else path.replace("\\", "/"))
    stem = _stem(pure.name)
    if (stem in _OUR_FILES or stem.startswith("MTD_")) and pure.parent.name:
        stem = _stem(pure.parent.name)
    return stem or "scene"


def _stem(name: str) -> str:
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix.lower()):
            name = name[: -len(suffix)]
    for suffix in ("_S1", "-S1", "_s1", "_S2", "-S2", "_s2"):
        if name.endswith(suffix):
            name = name[: -len(suffix)]
    return name


def observed_times(result: dict[str, Any]) -> list[str]:
    """The acquisition times in ISO 8601: of the scene, or of the earlier and the later map; those that are known."""
    figures = result.get("figures", {})
    found = (figures.get(key) for key in ("observed_at_a", "observed_at_b", "observed_at"))
    return [str(text) for text in found if text]


def observed_day(result: dict[str, Any]) -> str:
    """The acquisition date, "from – to" of two, or the empty string."""
    days = sorted({text[:10] for text in observed_times(result)})
    return f"{days[0]} to {days[-1]}" if len(days) > 1 else "".join(days)


def layer_name(what: str, result: dict[str, Any]) -> str:
    """``"Flood 2019-09-17 – Spain_7370579"``; without a date ``"Flood – Spain_7370579"``."""
    return f"{' '.join(filter(None, (what, observed_day(result))))} – {scene_name(result)}"


def group_name(title: str, result: dict[str, Any]) -> str:
    """The run's group in the layer tree: ``"SameScene – Flood Spain_7370579 2019-09-17"``."""
    return " ".join(filter(None, (f"SameScene – {title}", scene_name(result), observed_day(result))))
