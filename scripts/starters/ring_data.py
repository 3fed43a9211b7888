"""Ring images of pairs, several of each: the camera held otherwise, its place and height not quite known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from engine.crossview.data.find import find_set
from engine.crossview.data.items import GroundImage, OverheadImage
from engine.crossview.geometric.ring_matcher import LAYOUT, above
from engine.panorama.photo import read_pixels

TILT_DEG, HEIGHT, PLACE_M, TILE_M = 1.5, 0.15, 1.0, 1.5
"""Deviations: of pitch and roll, of the logarithm of the camera's height, of its place, of a tile's middle."""


@dataclass(frozen=True)
class RingSet:
    """Bytes: ``ground`` (n, v, 3, R, A) with ``seen`` (n, v, R, A) and ``above`` (n, v, 3, R, A), sector 0 north, of n
    panoramas; ``overhead`` (m, v, 3, R, A) with ``covered`` of m tiles; ``tile`` (n,) which belongs to a panorama."""

    ground: Tensor
    seen: Tensor
    above: Tensor
    overhead: Tensor
    covered: Tensor
    tile: Tensor


def ring_set(places: Sequence[str], kept: Path, *, variants: int, seed: int, jobs: int = 1) -> RingSet:
    """Of the pairs of several sets, kept in the file ``kept``. The first variant of a tile is exact. What is drawn
    follows from ``seed`` and an image's number, so that any number of processes makes the same."""
    if not kept.exists():
        photos: list[GroundImage] = []
        tiles: list[OverheadImage] = []
        own: list[int] = []
        for place in places:
            found = find_set(place)
            for photo, match in zip(found.grounds, found.matches, strict=True):
                if match.positive is not None:
                    photos.append(photo)
                    own.append(len(tiles) + match.positive)
            tiles += found.overheads
        one_thread = {"initializer": torch.set_num_threads, "initargs": (1,)}
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), **one_thread) as pool:
            state = {}
            for number, (make, images) in enumerate(((_tile, tiles), (_photo, photos))):
                work = partial(_bytes, make, variants, (seed, number))
                made = list(pool.map(work, range(len(images)), images, chunksize=16))
                state |= {name: torch.from_numpy(np.stack([one[name] for one in made])) for name in made[0]}
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_file({**state, "tile": torch.tensor(own)}, kept)
    return RingSet(**load_file(kept))


def _bytes(
    make: Callable[[Any, int, np.random.Generator], dict[str, list[Tensor]]],
    variants: int,
    seeds: tuple[int, int],
    number: int,
    image: GroundImage | OverheadImage,
) -> dict[str, NDArray[np.uint8]]:
    """(v, …) of one image."""
    rows = make(image, variants, np.random.default_rng([*seeds, number]))
    return {name: (torch.stack(row) * 255).round().clamp(0, 255).to(torch.uint8).numpy() for name, row in rows.items()}


def _tile(tile: OverheadImage, variants: int, rng: np.random.Generator) -> dict[str, list[Tensor]]:
    image = read_pixels(tile.file)[None].float() / 255
    side = image.shape[3] * (tile.gsd_m or 0.0)
    rings, covered = [], []
    for variant in range(variants):
        east, north = rng.normal(0, TILE_M, 2) if variant else (0.0, 0.0)
        matrix = torch.tensor([[[1, 0, 2 * east / side], [0, 1, -2 * north / side]]], dtype=torch.float32)
        grid = F.affine_grid(matrix, list(image.shape), align_corners=False)
        moved, whole = (
            F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
            for x in (image, torch.ones_like(image[:, :1]))
        )
        values, share = LAYOUT.overhead(moved / whole.clamp(min=1e-3) * (whole > 0.5), tile.gsd_m or 0.0)
        there, _ = LAYOUT.overhead(whole, tile.gsd_m or 0.0)
        rings.append(values[0])
        covered.append(share[0] * (there[0, 0] > 0.9))
    return {"overhead": rings, "covered": covered}


def _photo(photo: GroundImage, variants: int, rng: np.random.Generator) -> dict[str, list[Tensor]]:
    image = read_pixels(photo.file, width=1024)[None].float() / 255
    made: dict[str, list[Tensor]] = {"ground": [], "seen": [], "above": []}
    for _ in range(variants):
        pitch, roll = rng.normal(0, TILT_DEG, 2)
        right, ahead = rng.normal(0, PLACE_M, 2)
        view = replace(photo.view, pitch_deg=photo.view.pitch_deg + pitch, roll_deg=photo.view.roll_deg + roll)
        height = 2.5 * float(np.exp(rng.normal(0, HEIGHT)))
        values, share = LAYOUT.ground(image, view, height, right_m=right, forward_m=ahead)
        made["ground"].append(values[0])
        made["seen"].append(share[0])
        made["above"].append(above(image, [view])[0] / 2 + 0.5)
    return made
