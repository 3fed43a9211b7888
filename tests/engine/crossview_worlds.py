"""Flat worlds for tests: tiles of random ground, and panoramas of that ground from 2.5 m above the middle."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

SIDE, GSD, CAMERA = 64, 0.5, 2.5


def ground(seed: int) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8: patches of colours at two scales, and a road."""
    draw = np.random.default_rng([77, seed])
    coarse = torch.from_numpy(draw.uniform(0.1, 0.9, (1, 3, 5, 5)).astype(np.float32))
    fine = torch.from_numpy(draw.uniform(-0.15, 0.15, (1, 3, 16, 16)).astype(np.float32))
    image = F.interpolate(coarse, SIDE, mode="bicubic") + F.interpolate(fine, SIDE, mode="nearest")
    angle = draw.uniform(0, np.pi)
    steps = np.linspace(-1, 1, SIDE)
    road = np.abs(steps[None, :] * np.cos(angle) + steps[:, None] * np.sin(angle)) < 0.12
    pixels = image[0].permute(1, 2, 0).numpy().copy()
    pixels[road] = 0.35
    return (np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def panorama(tile: np.ndarray, heading: float = 0.0, rows: int = 64, columns: int = 128) -> np.ndarray:
    """(rows, columns, 3) uint8, 360° × 180°, the middle looking ``heading``; beyond the tile its edge goes on."""
    azimuth = np.radians(heading + ((np.arange(columns) + 0.5) / columns - 0.5) * 360)[None, :]
    pitch = np.radians((0.5 - (np.arange(rows) + 0.5) / rows) * 180)[:, None]
    with np.errstate(divide="ignore"):
        far = np.where(pitch < 0, CAMERA / np.tan(np.maximum(-pitch, 1e-3)), np.inf)
    far = np.minimum(far, 40.0)
    east, north = far * np.sin(azimuth), far * np.cos(azimuth)
    column = np.clip(np.round(SIDE / 2 - 0.5 + east / GSD), 0, SIDE - 1).astype(int)
    row = np.clip(np.round(SIDE / 2 - 0.5 - north / GSD), 0, SIDE - 1).astype(int)
    out = tile[row, column].astype(float)
    out = out * 0.85 + 12  # the camera has its own colours
    out[np.broadcast_to(pitch >= 0, row.shape)] = (150, 190, 240)
    return out.astype(np.uint8)


def write_world(folder: Path, count: int, *, first: int = 0, extra: int = 0, headings: bool = False) -> Path:
    """``count`` pairs and ``extra`` tiles of the gallery alone, as pairs.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["pair_id", "panorama", "overhead", "heading_deg", "hfov_deg", "vfov_deg", "gsd_m"]
    with (folder / "pairs.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        for n in range(first, first + count + extra):
            tile = ground(n)
            Image.fromarray(tile).save(folder / f"{n}_tile.png")
            row = {"pair_id": n, "overhead": f"{n}_tile.png", "gsd_m": GSD}
            if n < first + count:
                heading = float(np.random.default_rng([5, n]).uniform(0, 360)) if headings else 0.0
                Image.fromarray(panorama(tile, heading)).save(folder / f"{n}_pano.png")
                row |= {"panorama": f"{n}_pano.png", "heading_deg": heading, "hfov_deg": 360, "vfov_deg": 180}
            writer.writerow(row)
    return folder
