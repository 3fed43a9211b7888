"""Train the network that sees where the sun stands in a panorama, on simulated cities, and measure it on others.

  train_starter_models --model sun -o FOLDER [--install resources/sun] …

FOLDER is that of the starter crossview, whose cities are used (or made): each has another day, sky and camera, and the
sun's azimuth stands in its result.json. It learns from the cities "centred" and "offset" but every sixth of them, and
from many small ones ("skies"), for what differs is the day; every sixth, "choose", "test-suburb" and "test-town" are
what it is measured on.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from engine.crossview.sun import FILE, load_sun
from engine.metrics.bootstrap import mean_estimate
from engine.models.sun import SunNetwork, azimuths_rad, framed
from engine.panorama.photo import read_pixels
from engine.panorama.view import PanoramaView
from starters.crossview import TRAINED_ON, cities

LEARNED, MEASURED = ("centred", "offset"), ("choose", "test-suburb", "test-town")
SKIES = {
    "seeds": range(20000, 20136), "panoramas": 16, "size": 220, "pano_size": "256x64", "overhead_gsd": 1.0,
}  # fmt: skip
PANORAMAS = 60
"""Of each city at most, spread over it: they share sky and sun."""
STEPS, BATCH, RATE, SHARP = 2000, 128, 2e-3, 12.0
"""SHARP: concentration of the von Mises distribution that stands for the truth, about 17° wide."""


@dataclass(frozen=True)
class Skies:
    """``images`` (N, 3, R, A) uint8 and ``shown`` (N, 1, R, A) of panoramas, ``sun`` (N,) radians clockwise from their
    middle, ``city`` (N,)."""

    images: Tensor
    shown: Tensor
    sun: Tensor
    city: np.ndarray


def skies(folders: Sequence[str]) -> Skies:
    """Panoramas of cities with the sun's place in them."""
    images, shown, sun, city = [], [], [], []
    for folder in map(Path, folders):
        day = json.loads((folder / "result.json").read_text())["figures"]["day_of_panoramas"]
        with (folder / "panoramas.csv").open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows[:: -(-len(rows) // PANORAMAS)]:
            view = PanoramaView(hfov_deg=float(row["hfov_deg"]), vfov_deg=float(row["vfov_deg"]))
            found, there = framed(read_pixels(folder / row["panorama"])[None], view)
            images.append((found * 255).round().to(torch.uint8))
            shown.append(there)
            sun.append(np.radians(day["sun_azimuth_deg"] - float(row["heading_deg"])))
            city.append(folder.name)
    return Skies(torch.cat(images), torch.cat(shown), torch.tensor(sun, dtype=torch.float32), np.array(city))


def other_cameras(images: Tensor, draw: torch.Generator) -> Tensor:
    """(N, 3, R, A) 0…1 as other cameras would take them: exposure, contrast, white balance, saturation, noise."""

    def normal(spread: float, channels: int = 1) -> Tensor:
        return torch.randn((len(images), channels, 1, 1), generator=draw) * spread

    out = images.clamp(1e-3, 1) ** normal(0.25).exp() * normal(0.25).exp() * normal(0.1, 3).exp()
    grey = out.mean(dim=1, keepdim=True)
    out = grey + (out - grey) * normal(0.3).exp()
    return (out + torch.randn(images.shape, generator=draw) * 0.02).clamp(0, 1)


def train_sun(data: Skies, *, steps: int = STEPS, seed: int = 0) -> SunNetwork:
    """A network that has learned from ``data``: cross-entropy with a distribution around the truth."""
    torch.manual_seed(seed)
    draw, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    network, azimuths = SunNetwork().train(), azimuths_rad()
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    for step in range(steps):
        rows = torch.from_numpy(rng.integers(len(data.sun), size=BATCH))
        images, shown, sun = data.images[rows].float() / 255, data.shown[rows], data.sun[rows]
        images = other_cameras(images, draw)
        mirror = torch.rand(BATCH, generator=draw) < 0.5
        images = torch.where(mirror[:, None, None, None], images.flip(3), images)
        sun = torch.where(mirror, -sun, sun)
        # A camera that shows less of the sky.
        high = torch.randint(0, 7, (BATCH,), generator=draw) * (torch.rand(BATCH, generator=draw) < 0.3)
        shown = shown * (torch.arange(shown.shape[2])[None, :] >= high[:, None])[:, None, :, None]
        wanted = torch.softmax(SHARP * torch.cos(azimuths - sun[:, None]), dim=1)
        loss = -(F.log_softmax(network(images * shown, shown), dim=1) * wanted).sum(dim=1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 250 == 0:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def errors(network: SunNetwork, data: Skies) -> np.ndarray:
    """(N,) degrees between the likeliest azimuth and the true one."""
    with torch.inference_mode():
        parts = zip(data.images.split(512), data.shown.split(512), strict=True)
        best = torch.cat([network(images.float() / 255, shown).argmax(dim=1) for images, shown in parts])
    apart = (azimuths_rad()[best] - data.sun).numpy()
    return np.abs(np.degrees(np.angle(np.exp(1j * apart))))


def main(given: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the cities")
    parser.add_argument("--install", type=Path, help="folder into which the weights and their card are put")
    parser.add_argument("--jobs", type=int, default=2, help="cities that are made at a time")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(given)
    started = time.monotonic()
    known = [city for part in LEARNED for city in cities(args.out, part, args.jobs)]
    held = [*known[::6], *(city for part in MEASURED for city in cities(args.out, part, args.jobs))]
    days = cities(args.out, "skies", args.jobs, SKIES)
    learned = skies([*days, *(city for city in known if city not in held)])
    network = train_sun(learned, seed=args.seed)
    kept = args.out / "sun" / FILE
    kept.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, kept)
    data = skies(held)
    apart = errors(load_sun(kept), data)
    figures = []
    for most in (20, 45, 90):
        by_city = [float((apart[data.city == city] < most).mean()) for city in sorted(set(data.city))]
        found = mean_estimate(by_city)
        figures.append({"metric": f"within_{most}deg", **found.plain()})
        print(f"within {most}°: {found.value:.3f} ({found.low:.3f} to {found.high:.3f}), {found.n} cities")
    print(f"{len(learned.sun)} panoramas learned from, {time.monotonic() - started:.0f} s")
    if args.install:
        args.install.mkdir(parents=True, exist_ok=True)
        (args.install / FILE).write_bytes(kept.read_bytes())
        card = {
            "name": "sun",
            "title": "Where the sun stands in a panorama",
            "description": "A network of three convolutions round the circle; used by rings to tell the two ways of a "
            "road apart (engine/crossview/sun.py).",
            "licence": "GPL-2.0-or-later",
            "trained_on": TRAINED_ON[:1],
            "figures": [{**one, "data": "simulated cities, held out; intervals over cities"} for one in figures],
            "weights_sha256": hashlib.sha256(kept.read_bytes()).hexdigest(),
        }
        (args.install / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return 0
