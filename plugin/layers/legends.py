"""Legends of land-cover maps as the plugin shows them: what each class is called, looks like and means.

The files are the engine's (``resources/legends``); a model's card may bring classes of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SPARE_COLORS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#ff9da7", "#9c755f")


@dataclass(frozen=True)
class LegendClass:
    """One class: ``code`` 1…254, ``name``, ``color`` as ``#rrggbb``, ``definition`` (may be empty)."""

    code: int
    name: str
    color: str
    definition: str = ""


@dataclass(frozen=True)
class Legend:
    """``name`` as the engine knows it (empty where the classes are a model's own), ``title`` for people, classes."""

    name: str
    title: str
    classes: tuple[LegendClass, ...]

    def of(self, code: int) -> LegendClass | None:
        """The class of that code, or None."""
        return next((one for one in self.classes if one.code == code), None)


def read_legend(path: Path) -> Legend | None:
    """The legend of a file; None where it cannot be read as one (the engine says why when it is used)."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        classes = tuple(
            LegendClass(int(c["code"]), str(c["name"]), str(c["color"]), str(c.get("definition", "")))
            for c in given["classes"]
        )
        return Legend(str(given["name"]), str(given["title"]), classes) if classes else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def shipped_legends(root: Path) -> list[Legend]:
    """The legends that come with the plugin, in the order of their names but ESA WorldCover first."""
    found = [read_legend(path) for path in sorted((root / "resources" / "legends").glob("*.json"))]
    return sorted((one for one in found if one is not None), key=lambda one: (one.name != "worldcover", one.title))


def legend_of_card(card: dict[str, Any], legends: list[Legend]) -> Legend | None:
    """The classes that a model tells apart, from its card; definitions come from the legend that the card names."""
    base = next((one for one in legends if one.name == card.get("legend")), None)
    classes = []
    try:
        for number, item in enumerate(card.get("classes") or ()):
            known = base.of(int(item["value"])) if base is not None else None
            color = item.get("color") or (known.color if known else _SPARE_COLORS[number % len(_SPARE_COLORS)])
            definition = known.definition if known is not None else ""
            classes.append(LegendClass(int(item["value"]), str(item["name"]), str(color), definition))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if not classes:
        return None
    return Legend(base.name if base else "", base.title if base else str(card.get("title") or ""), tuple(classes))
