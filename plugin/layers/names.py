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


def scene_name(result: dict[str, Any]) -> str:
    """The scene as a person would call it: the file's stem without a sensor suffix; "scene" when nothing is known."""
    post = result.get("inputs", {}).get("post") or {}
    path = str(post.get("path") or result.get("parameters", {}).get("post") or "")
    stem = PurePath(urlsplit(path).path if "://" in path else path.replace("\\", "/")).name
    for suffix in (".gz", ".tif", ".tiff", ".vrt", ".zip", ".img", ".SAFE", ".xml"):
        if stem.lower().endswith(suffix.lower()):
            stem = stem[: -len(suffix)]
    for suffix in ("_S1", "-S1", "_s1"):
        if stem.endswith(suffix):
            stem = stem[: -len(suffix)]
    return stem or "scene"


def observed_at(result: dict[str, Any]) -> str:
    """The acquisition time of the scene in ISO 8601, or the empty string."""
    return str(result.get("figures", {}).get("observed_at") or "")


def observed_day(result: dict[str, Any]) -> str:
    """The acquisition date, or the empty string."""
    return observed_at(result)[:10]


def layer_name(what: str, result: dict[str, Any]) -> str:
    """``"Flood 2019-09-17 – Spain_7370579"``; without a date ``"Flood – Spain_7370579"``."""
    return f"{' '.join(filter(None, (what, observed_day(result))))} – {scene_name(result)}"


def group_name(result: dict[str, Any]) -> str:
    """The run's group in the layer tree: ``"SameScene – Flood Spain_7370579 2019-09-17"``."""
    return " ".join(filter(None, ("SameScene – Flood", scene_name(result), observed_day(result))))
