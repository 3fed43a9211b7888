"""Small land-cover scenes, and models with random weights, for tests of land-cover maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.models.bundle import Bundle, save_bundle
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
NEEDED = ("B02", "B03", "B04", "B08")
LOOKS = {  # reflectance of BANDS
    10: (0.03, 0.05, 0.03, 0.30, 0.15, 0.07),
    40: (0.06, 0.09, 0.10, 0.25, 0.25, 0.16),
    50: (0.12, 0.14, 0.16, 0.20, 0.24, 0.22),
    80: (0.05, 0.05, 0.03, 0.02, 0.01, 0.01),
}
CODES = tuple(LOOKS)
MEAN = tuple(float(np.mean([look[i] for look in LOOKS.values()])) for i in range(6))
STD = tuple(float(np.std([look[i] for look in LOOKS.values()])) + 0.02 for i in range(6))


def truth(height: int = 96, width: int = 128) -> np.ndarray:
    """(rows, columns) codes: four quarters."""
    rows, cols = np.indices((height, width))
    return np.array(CODES, np.uint8)[2 * (rows >= height // 2) + (cols >= width // 2)]


def reflectance(codes: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """(6, rows, columns) in the order of :data:`BANDS`."""
    noise = np.random.default_rng(seed).normal(0, 0.004, (6, *codes.shape))
    table = np.zeros((256, 6))
    for code, look in LOOKS.items():
        table[code] = look
    return (np.moveaxis(table[codes], -1, 0) + noise).astype(np.float32)


def card(sensors: tuple[str, ...], codes: tuple[int, ...] = CODES, **changes: Any) -> dict[str, Any]:
    """A card of a land-cover model from S1 (VV, VH), S2 (:data:`BANDS`, B11 and B12 optional) or both."""
    radar = [("VV", -12.0, 4.0), ("VH", -19.0, 4.5)]
    bands = [{"sensor": "s1", "name": n, "unit": "db", "mean": m, "std": s} for n, m, s in radar]
    light = [
        {"sensor": "s2", "name": n, "unit": "reflectance", "mean": m, "std": s, "optional": n not in NEEDED}
        for n, m, s in zip(BANDS, MEAN, STD, strict=True)
    ]
    return {
        "name": "tiny-" + "".join(sensors),
        "title": "Random weights",
        "licence": "GPL-2.0-or-later",
        "task": "landcover",
        "bands": (bands if "s1" in sensors else []) + (light if "s2" in sensors else []),
        "gsd_m": [8, 35],
        "classes": [{"value": code, "name": f"class {code}"} for code in codes],
        "legend": "worldcover",
        "activation": "softmax",
        "temperature": 1.2,
        "tile": 64,
        "overlap": 16,
        "trained_on": [],
        **changes,
    }


def make_model(folder: Path, sensors: tuple[str, ...] = ("s2",), **changes: Any) -> Bundle:
    """A bundle with random weights whose normalisations have seen data, so that its answers vary."""
    torch.manual_seed(5)
    count = len(changes.get("classes", changes.get("codes", CODES)))
    network: Segmenter | TwoSensorSegmenter
    if len(sensors) == 2:
        network = TwoSensorSegmenter(s1_bands=2, s2_bands=6, classes=count, width=0.0625)
        for _ in range(3):
            network(torch.randn(4, 2, 64, 64), torch.randn(4, 6, 64, 64))
    else:
        network = Segmenter(bands=2 if sensors == ("s1",) else 6, classes=count, width=0.0625)
        for _ in range(3):
            network(torch.randn(4, network.bands, 64, 64))
    with torch.no_grad():
        network.head.weight.mul_(6)
    return save_bundle(folder, network.eval(), card(sensors, **changes))


class ByLook(torch.nn.Module):
    """Not a network but a rule: the class whose look is nearest; so that a map's truth is known."""

    classes = len(CODES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        looks = torch.tensor(list(LOOKS.values()))
        looks = ((looks - torch.tensor(MEAN)) / torch.tensor(STD))[None, :, :, None, None]
        return -((x[:, None, :6] - looks) ** 2).sum(dim=2)
