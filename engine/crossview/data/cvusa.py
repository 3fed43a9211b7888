"""CVUSA as published (Workman et al. 2015; the subset of Zhai et al. 2017): panoramas of the USA and Bing tiles.

``splits/train-19zl.csv`` and ``splits/val-19zl.csv``: ``bingmap/19/0000001.jpg,streetview/panos/0000001.jpg,
streetview/annotations/0000001.png`` a line, no header. Panoramas are strips of 360° × 65.45° (the data set's own table
of yaw and pitch: ±32.6° with the horizon in the middle), 1232 × 224 pixels, the centre north; tiles are 750 pixels of
zoom 19, north up.
"""

from __future__ import annotations

import csv
from pathlib import Path

from engine.crossview.data.items import CrossViewSet, GroundImage, Match, OverheadImage
from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.panorama.view import PanoramaView

SPLITS = {"train": "train-19zl.csv", "val": "val-19zl.csv"}
VIEW = PanoramaView(heading_deg=0.0, hfov_deg=360.0, vfov_deg=65.45, pitch_center_deg=0.0)
GSD_M = 0.234
"""Metres a pixel of zoom 19 at 38.3° north, the median of the published positions; 0.15 to 0.27 occur. The
published lists have no positions, so that of a tile is not known."""


def find(path: Path, split: str | None, *, place: str) -> CrossViewSet:
    """The pairs of a split (default train). Raises MissingFileError, DamagedFileError, ParameterError."""
    wanted = split or "train"
    if wanted not in SPLITS:
        raise ParameterError(f"{path}: CVUSA has no split {wanted!r}.", remedy=f"Splits: {', '.join(SPLITS)}.")
    file = next((p for p in (path / "splits" / SPLITS[wanted], path / SPLITS[wanted]) if p.is_file()), None)
    if file is None:
        raise MissingFileError(
            f"{path / 'splits' / SPLITS[wanted]}: there is no such list.", remedy="Give the folder that holds splits/."
        )
    grounds: list[GroundImage] = []
    overheads: list[OverheadImage] = []
    matches: list[Match] = []
    left_out: list[tuple[str, str]] = []
    seen: set[str] = set()
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedFileError(f"{file}: cannot be read as a list ({error}).", remedy="Copy it again.") from error
    for line, row in enumerate(rows, start=1):
        if len(row) < 2:
            raise DamagedFileError(
                f"{file}, line {line}: has {len(row)} column; expected the files of tile and panorama."
            )
        tile, panorama = (path / part.strip() for part in row[:2])
        name = tile.stem
        if name in seen:
            raise DamagedFileError(f"{file}, line {line}: {name} stands twice.", remedy="Copy the list again.")
        seen.add(name)
        absent = next((p for p in (tile, panorama) if not p.is_file()), None)
        if absent is not None:
            left_out.append((name, f"{absent}: there is no such file."))
            continue
        matches.append(Match(len(overheads)))
        grounds.append(GroundImage(name, panorama, VIEW))
        overheads.append(OverheadImage(name, tile, GSD_M))
    return CrossViewSet(place, "cvusa", tuple(grounds), tuple(overheads), tuple(matches), tuple(left_out))
