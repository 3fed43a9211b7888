"""Ground images, overhead images and which belong together, before any is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.panorama.view import PanoramaView


@dataclass(frozen=True)
class GroundImage:
    """A photo taken on the ground. ``heading_known``: the view's heading means something; ``lonlat`` degrees where
    known; ``group`` names the area, for splits that share no ground."""

    name: str
    file: Path
    view: PanoramaView
    heading_known: bool = True
    lonlat: tuple[float, float] | None = None
    group: str = ""


@dataclass(frozen=True)
class OverheadImage:
    """A tile seen from above, north up. ``gsd_m`` metres a pixel, None where not known."""

    name: str
    file: Path
    gsd_m: float | None = None
    lonlat: tuple[float, float] | None = None
    group: str = ""


@dataclass(frozen=True)
class Match:
    """What is right for a ground image: ``positive`` the number of its tile (None: it has none in the gallery),
    ``offset`` (rows south, columns east) in pixels of the tile from its centre to the camera, 0 in centred sets, and
    ``semi`` further tiles that show the place too, in their outer parts: neither a match nor a negative."""

    positive: int | None
    offset: tuple[float, float] = (0.0, 0.0)
    semi: tuple[int, ...] = ()
    semi_offsets: tuple[tuple[float, float], ...] = ()

    @property
    def tiles(self) -> tuple[int, ...]:
        """All tiles that show the place, the positive first."""
        return (() if self.positive is None else (self.positive,)) + self.semi


@dataclass(frozen=True)
class CrossViewSet:
    """A set: ``matches[i]`` belongs to ``grounds[i]`` and counts in ``overheads``; every overhead image is in the
    gallery of every ground image. ``left_out``: (name, why) of entries whose files are not there."""

    place: str
    kind: str
    grounds: tuple[GroundImage, ...]
    overheads: tuple[OverheadImage, ...]
    matches: tuple[Match, ...]
    left_out: tuple[tuple[str, str], ...] = field(default=())


def joined(sets: Sequence[CrossViewSet]) -> CrossViewSet:
    """Several sets as one, in their order."""
    if len(sets) == 1:
        return sets[0]
    grounds: list[GroundImage] = []
    overheads: list[OverheadImage] = []
    matches: list[Match] = []
    left_out: list[tuple[str, str]] = []
    for one in sets:
        start = len(overheads)
        grounds += one.grounds
        overheads += one.overheads
        matches += [
            Match(
                None if m.positive is None else m.positive + start,
                m.offset,
                tuple(n + start for n in m.semi),
                m.semi_offsets,
            )
            for m in one.matches
        ]
        left_out += one.left_out
    places = " + ".join(one.place for one in sets)
    return CrossViewSet(places, "joined", tuple(grounds), tuple(overheads), tuple(matches), tuple(left_out))
