"""Sets of pairs (pairs.csv) from overhead images of a free licence: tiles, and panoramas rendered from them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from starters.aerial import crop, places, read_aerial, save
from starters.streetview import VFOV_DEG, day_of, panorama
from starters.years import another_year, surfaces_of

TILE_SIDE, TILE_GSD_M = 160, 0.5
SPACING_M = 8.0
_FIELDS = ("pair_id", "panorama", "overhead", "heading_deg", "hfov_deg", "vfov_deg", "gsd_m", "group")


def images_of(folder: Path, table: str, column: str) -> list[tuple[Path, float]]:
    """(file, metres a pixel) of every line of a table in ``folder``, in its order."""
    with (folder / table).open(encoding="utf-8", newline="") as stream:
        return [(folder / row[column], float(row["gsd_m"])) for row in csv.DictReader(stream)]


def make_pairs(
    out: Path,
    images: Sequence[tuple[Path, float]],
    *,
    spots: int,
    days: int,
    off_m: float,
    seed: int,
    years: bool = False,
    jobs: int = 1,
) -> None:
    """``spots`` places of each image with one tile each, whose middle is up to ``off_m`` metres off the camera each
    way, and ``days`` panoramas of each place, each in another light and season, with ``years`` in another year too;
    unless it is there. Headings are random; ``jobs`` images at a time."""
    if (out / "pairs.csv").exists():
        return
    work = partial(_pairs_of, out, spots, days, off_m, years)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        made = pool.map(work, ([seed, number] for number in range(len(images))), images)
        rows = [row for some in made for row in some]
    with (out / "pairs.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_FIELDS)
        writer.writerows(rows)


def _pairs_of(
    out: Path, spots: int, days: int, off_m: float, years: bool, seed: list[int], image: tuple[Path, float]
) -> list[list[object]]:
    """Of one image: its pictures, written, and their lines."""
    rng, rows = np.random.default_rng(seed), []
    aerial = read_aerial(*image)
    found = places(aerial, spots, SPACING_M, rng)
    for spot, (row, column) in enumerate(found):
        off = rng.uniform(-off_m, off_m, 2) / 0.4
        tile = crop(aerial, row + off[0], column + off[1], TILE_SIDE, TILE_GSD_M)
        save(out / f"overheads/{aerial.name}_{spot}.jpg", tile)
    surfaces = surfaces_of(aerial) if years else None
    for turn in range(days):
        day = day_of(aerial if surfaces is None else another_year(surfaces, rng), rng)
        for spot, (row, column) in enumerate(found):
            picture = panorama(day, row, column, float(rng.uniform(1.9, 3.0)), rng)
            rolled = int(rng.integers(picture.shape[1]))
            name = f"{aerial.name}_{spot}_{turn}"
            save(out / f"panoramas/{name}.jpg", np.roll(picture, rolled, axis=1))
            heading = (-360.0 * rolled / picture.shape[1]) % 360
            own = f"overheads/{aerial.name}_{spot}.jpg"
            rows.append([name, f"panoramas/{name}.jpg", own, f"{heading:.3f}", 360, VFOV_DEG, TILE_GSD_M, aerial.name])
    return rows
