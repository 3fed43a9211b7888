"""VIGOR as published (Zhu, Yang and Chen 2021): four cities, four tiles a panorama, the camera off their centres.

``CITY/panorama/ID,LAT,LON,.jpg`` (360° × 180°, the centre north) and ``CITY/satellite/satellite_LAT_LON.png`` (640
pixels of zoom 20, north up). ``splits/CITY/satellite_list.txt`` names the gallery; ``same_area_balanced_train.txt``,
``same_area_balanced_test.txt`` and ``pano_label_balanced.txt`` (cross-area: all of the city) have for each panorama its
tile and three more that show it in their outer parts, each with the offset of the camera: ``PANORAMA TILE ROW COLUMN``
four times over, in pixels from the tile's centre, rows southwards and columns **westwards**. The corrected labels
(Lentsch et al. 2023, ``splits__corrected``, files ``…__corrected.txt``) are taken where they are there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from engine.crossview.data.items import CrossViewSet, GroundImage, Match, OverheadImage
from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.panorama.view import PanoramaView

CITIES = ("Chicago", "NewYork", "SanFrancisco", "Seattle")
CROSS = {"train": ("NewYork", "Seattle"), "test": ("Chicago", "SanFrancisco")}
LISTS = {
    "same-train": "same_area_balanced_train",
    "same-test": "same_area_balanced_test",
    "cross-train": "pano_label_balanced",
    "cross-test": "pano_label_balanced",
}
VIEW = PanoramaView(heading_deg=0.0, hfov_deg=360.0, vfov_deg=180.0)
SIDE = 640
_LABELS = (("splits__corrected", "__corrected"), ("splits_corrected", ""), ("splits", ""))
_EQUATOR_M = 156543.03392 / 2**20
"""Metres a pixel of zoom 20 at the equator."""


def find(path: Path, split: str | None, *, place: str) -> CrossViewSet:
    """The panoramas of a split and all tiles of its cities. ``split``: same-train (default), same-test, cross-train or
    cross-test, or one city with ``CITY-train``, ``CITY-test`` or ``CITY``. Raises MissingFileError, DamagedFileError,
    ParameterError."""
    cities, name = _cities(path, split or "same-train")
    labels, suffix = _labels(path, cities[0])
    found = _Found(path)
    for city in cities:
        found.gallery(city, labels / city / "satellite_list.txt")
        file = next(
            (p for p in (labels / city / f"{name}{end}.txt" for end in (suffix, "")) if p.is_file()),
            labels / city / f"{name}{suffix}.txt",
        )
        found.panoramas(city, file)
    return CrossViewSet(
        place, "vigor", tuple(found.grounds), tuple(found.overheads), tuple(found.matches), tuple(found.left_out)
    )


def gsd_of(tile: str) -> float | None:
    """Metres a pixel of the tile called ``satellite_LAT_LON.png``; None for other names."""
    lonlat = _position(tile.removesuffix(".png").split("_"))
    return None if lonlat is None else _EQUATOR_M * math.cos(math.radians(lonlat[1]))


class _Found:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.grounds: list[GroundImage] = []
        self.overheads: list[OverheadImage] = []
        self.matches: list[Match] = []
        self.left_out: list[tuple[str, str]] = []
        self._numbers: dict[tuple[str, str], int] = {}

    def gallery(self, city: str, file: Path) -> None:
        folder = self.root / city / "satellite"
        there = _names(folder)
        for _, (name, *_) in _lines(file, 1):
            if name not in there:
                self.left_out.append((f"{city}/{name}", f"{folder / name}: there is no such file."))
                continue
            self._numbers[city, name] = len(self.overheads)
            lonlat = _position(name.removesuffix(".png").split("_"))
            self.overheads.append(OverheadImage(f"{city}/{name}", folder / name, gsd_of(name), lonlat, city))

    def panoramas(self, city: str, file: Path) -> None:
        folder = self.root / city / "panorama"
        there = _names(folder)
        for line, parts in _lines(file, 13):
            name, tiles = parts[0], parts[1::3]
            try:
                offsets = [(float(row), -float(west)) for row, west in zip(parts[2::3], parts[3::3], strict=True)]
            except ValueError as error:
                raise DamagedFileError(f"{file}, line {line}: an offset is no number ({error}).") from error
            numbers = [self._numbers.get((city, tile)) for tile in tiles]
            if name not in there or numbers[0] is None:
                absent = folder / name if name not in there else self.root / city / "satellite" / tiles[0]
                self.left_out.append((f"{city}/{name}", f"{absent}: there is no such file, or it is in no list."))
                continue
            semi = [(n, offset) for n, offset in zip(numbers[1:], offsets[1:], strict=True) if n is not None]
            lonlat = _position(["", *name.split(",")[1:3]])
            self.grounds.append(GroundImage(f"{city}/{name}", folder / name, VIEW, True, lonlat, city))
            self.matches.append(Match(numbers[0], offsets[0], tuple(n for n, _ in semi), tuple(o for _, o in semi)))


def _cities(path: Path, split: str) -> tuple[tuple[str, ...], str]:
    city, _, part = split.partition("-")
    if city in CITIES and part in ("", "train", "test"):
        return (city,), LISTS[f"same-{part}"] if part else LISTS["cross-train"]
    if split not in LISTS:
        raise ParameterError(
            f"{path}: VIGOR has no split {split!r}.",
            remedy=f"Splits: {', '.join(LISTS)}, or CITY, CITY-train, CITY-test.",
        )
    area, _, part = split.partition("-")
    wanted = CROSS[part] if area == "cross" else CITIES
    there = tuple(one for one in wanted if (path / one).is_dir())
    if not there:
        raise MissingFileError(f"{path}: holds none of the folders {', '.join(wanted)}.", remedy="Check the path.")
    return there, LISTS[split]


def _labels(path: Path, city: str) -> tuple[Path, str]:
    for folder, suffix in _LABELS:
        if (path / folder / city).is_dir():
            return path / folder, suffix
    raise MissingFileError(
        f"{path / 'splits' / city}: there is no such folder.",
        remedy="Give the folder that holds splits and the cities.",
    )


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder)}
    except OSError as error:
        raise MissingFileError(f"{folder}: cannot be read ({error.strerror or error}).") from error


def _lines(file: Path, least: int) -> Iterator[tuple[int, list[str]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise MissingFileError(f"{file}: there is no such list.", remedy="Copy the labels again.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{file}: cannot be read as a list ({error}).", remedy="Copy it again.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        parts = line.split()
        if parts and len(parts) < least:
            raise DamagedFileError(f"{file}, line {number}: has {len(parts)} values; expected {least}.")
        if parts:
            yield number, parts


def _position(parts: list[str]) -> tuple[float, float] | None:
    """(lon, lat) of the second and third part; None where they are no numbers."""
    try:
        return float(parts[2]), float(parts[1])
    except (IndexError, ValueError):
        return None
