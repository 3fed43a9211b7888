"""Makes a land-cover model with random weights (run by the engine's Python): for windows, not for maps.

Usage: random_landcover_model.py FOLDER. Its bands are those of simulated Sentinel-2 scenes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from engine.models.bundle import save_bundle
from engine.models.segmenter import Segmenter

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
CODES = {10: "Tree cover", 30: "Grassland", 40: "Cropland", 50: "Built-up", 80: "Permanent water"}

torch.manual_seed(5)
network = Segmenter(bands=len(BANDS), classes=len(CODES), width=0.0625)
for _ in range(3):
    network(torch.randn(4, len(BANDS), 64, 64))
with torch.no_grad():
    network.head.weight.mul_(6)
card = {
    "name": "landcover",
    "title": "Random weights, for tests",
    "licence": "GPL-2.0-or-later",
    "task": "landcover",
    "bands": [{"sensor": "s2", "name": name, "unit": "reflectance", "mean": 0.15, "std": 0.1} for name in BANDS],
    "gsd_m": [8, 35],
    "classes": [{"value": code, "name": name} for code, name in CODES.items()],
    "legend": "worldcover",
    "activation": "softmax",
    "network": {"architecture": "resnet-unet", "encoder": "resnet18", "width": 0.0625, "validity": False},
    "tile": 128,
    "overlap": 32,
    "trained_on": [{"name": "nothing", "licence": "none needed"}],
}
save_bundle(Path(sys.argv[1]), network.eval(), card)
