"""Small Sentinel-1 and Sentinel-2 files and models with random weights, for tests of maps from light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin

from engine.models.bundle import Bundle, save_bundle
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter

BANDS = ("B03", "B08", "B11")
MEAN, STD = (0.08, 0.2, 0.15), (0.05, 0.12, 0.1)
WEST, NORTH = 500_000.0, 4_500_000.0


def reflectance(height: int = 96, width: int = 128, *, seed: int = 0, water: bool = True) -> np.ndarray:
    """(3, rows, columns): land, and water in the left half."""
    generator = np.random.default_rng(seed)
    land, wet = np.array([0.08, 0.3, 0.2]), np.array([0.06, 0.03, 0.01])
    left = np.arange(width) < (width // 2 if water else 0)
    values = np.where(left[None, None], wet[:, None, None], land[:, None, None])
    return (values + generator.normal(0, 0.01, (3, height, width))).astype(np.float32)


def backscatter(height: int = 96, width: int = 128, *, seed: int = 0) -> np.ndarray:
    """(2, rows, columns) VV, VH in dB: water in the left half."""
    generator = np.random.default_rng(seed)
    left = np.arange(width) < width // 2
    values = np.stack([np.where(left, -19.0, -9.0), np.where(left, -26.0, -15.5)])[:, None]
    return (values + generator.normal(0, 1, (2, height, width))).astype(np.float32)


def write(path: Path, array: np.ndarray, names=BANDS, *, west=WEST, north=NORTH, tags=None, crs="EPSG:32633", **more):
    """A GeoTIFF of 10 m pixels."""
    array = array if array.ndim == 3 else array[None]
    count, height, width = array.shape
    place = {"crs": crs, "transform": from_origin(west, north, 10, 10)} if crs else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", dtype=array.dtype, count=count, height=height, width=width, **place, **more
    ) as file:
        file.write(array)
        file.update_tags(**(tags or {}))
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return path


def digital(values: np.ndarray, offset: int = 0) -> np.ndarray:
    """Reflectance as digital numbers; 0 is no data."""
    return np.clip(np.rint(values * 10_000) + offset, 1, 65535).astype(np.uint16)


def card(sensors: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    """A card for S1 (VV, VH), S2 (:data:`BANDS`) or both."""
    radar = [("VV", -12.0, 4.0), ("VH", -19.0, 4.5)]
    bands = [{"sensor": "s1", "name": n, "unit": "db", "mean": m, "std": s} for n, m, s in radar]
    light = [
        {"sensor": "s2", "name": n, "unit": "reflectance", "mean": m, "std": s}
        for n, m, s in zip(BANDS, MEAN, STD, strict=True)
    ]
    return {
        "name": "tiny-" + "".join(sensors),
        "title": "Random weights",
        "licence": "GPL-2.0-or-later",
        "task": "flood",
        "bands": (bands if "s1" in sensors else []) + (light if "s2" in sensors else []),
        "gsd_m": [8, 25],
        "classes": [{"value": 0, "name": "dry"}, {"value": 1, "name": "water"}],
        "activation": "softmax",
        "temperature": 1.3,
        "tile": 64,
        "overlap": 16,
        "trained_on": [],
        **changes,
    }


def make_model(folder: Path, sensors: tuple[str, ...], **changes: Any) -> Bundle:
    """A bundle with random weights whose normalisations have seen data, so that its answers vary."""
    torch.manual_seed(3)
    network: Segmenter | TwoSensorSegmenter
    if len(sensors) == 2:
        network = TwoSensorSegmenter(s1_bands=2, s2_bands=3, classes=2, width=0.0625)
        for _ in range(3):
            network(torch.randn(4, 2, 64, 64), torch.randn(4, 3, 64, 64))
    else:
        network = Segmenter(bands=2 if sensors == ("s1",) else 3, classes=2, width=0.0625)
        for _ in range(3):
            network(torch.randn(4, network.bands, 64, 64))
    with torch.no_grad():
        network.head.weight.mul_(4)
    return save_bundle(folder, network.eval(), card(sensors, **changes))
