"""What kind of place a city is: from open country to a dense centre, and how dry its land is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.simulate.city.dice import dice, pick

Character = Literal["rural", "suburb", "town", "centre"]
CHARACTERS: tuple[Character, ...] = ("rural", "suburb", "town", "centre")

MARGIN_M = 90.0
"""How far a city is built beyond its own square, so that a panorama at its edge sees streets on both sides."""


@dataclass(frozen=True)
class Brief:
    """The choices made once for a whole city. Lengths in metres, shares 0..1."""

    character: Character
    pattern: str
    spacing: tuple[float, float]
    width: tuple[float, float]
    pavement: tuple[float, float]
    verge: tuple[float, float]
    shoulder: float
    uses: dict[str, float]
    dryness: float
    yellow_lines: bool
    street_trees: float
    lamps: bool
    poles: bool
    removed: float
    palette: str


_USES: dict[str, dict[str, float]] = {
    "rural": {"field": 0.42, "pasture": 0.2, "forest": 0.2, "scrub": 0.12, "houses": 0.06},
    "suburb": {"houses": 0.68, "park": 0.1, "slabs": 0.06, "commercial": 0.06, "forest": 0.05, "scrub": 0.05},
    "town": {"perimeter": 0.34, "houses": 0.3, "slabs": 0.13, "park": 0.11, "commercial": 0.12},
    "centre": {"perimeter": 0.55, "towers": 0.18, "slabs": 0.08, "park": 0.1, "plaza": 0.09},
}


def brief_of(seed: int, character: Character | None) -> Brief:
    """The brief of the city of that seed; ``character`` None draws one."""
    rng = dice(seed, "brief")
    drawn = pick(rng, {"rural": 0.32, "suburb": 0.3, "town": 0.24, "centre": 0.14})
    kind: Character = character or drawn  # type: ignore[assignment]
    rural, suburb = kind == "rural", kind == "suburb"
    spacing = {"rural": (190, 300), "suburb": (90, 150), "town": (80, 130), "centre": (75, 115)}[kind]
    base = float(rng.uniform(*spacing))
    return Brief(
        character=kind,
        pattern=pick(rng, {"grid": 0.5, "cells": 0.5}),
        spacing=(base, base * float(rng.uniform(0.75, 1.35))),
        width={"rural": (6.0, 8.0), "suburb": (6.0, 8.5), "town": (6.5, 10.0), "centre": (8.0, 14.0)}[kind],
        pavement={"rural": (0.0, 0.0), "suburb": (1.2, 2.0), "town": (1.8, 3.2), "centre": (2.5, 4.5)}[kind],
        verge=(0.8, 3.0) if suburb else (0.0, 0.0),
        shoulder=float(rng.uniform(0.5, 2.5)) if rural else 0.0,
        uses=_USES[kind],
        dryness=float(rng.beta(1.1, 1.6)),
        yellow_lines=bool(rng.random() < 0.5),
        street_trees=float(rng.uniform(0.1, 0.9)) if not rural else float(rng.uniform(0, 0.25)),
        lamps=not rural and bool(rng.random() < 0.85),
        poles=bool(rng.random() < (0.7 if rural else 0.45 if suburb else 0.1)),
        removed=float(rng.uniform(0.05, 0.3)),
        palette=pick(rng, {"brick": 0.3, "plaster": 0.4, "stone": 0.3}),
    )
