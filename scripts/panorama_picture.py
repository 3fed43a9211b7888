#!/usr/bin/env python3
"""The picture of docs/panorama.md: one panorama of a simulated city in all its views.

  engine simulate city --seed 101 --character suburb --samples 1 --panoramas 12 --size 350 --pano-size 768x384 \\
      --overhead-gsd 0.3 --image-format png -o city
  .venv-engine/bin/python scripts/panorama_picture.py city 5 docs/images/panorama-views.jpg
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402

from engine.panorama.birdseye import birds_eye  # noqa: E402
from engine.panorama.ground import GroundRings  # noqa: E402
from engine.panorama.perspective import perspective  # noqa: E402
from engine.panorama.photo import read_pixels  # noqa: E402
from engine.panorama.polar import polar  # noqa: E402
from engine.panorama.view import PanoramaView  # noqa: E402

REACH_M, SIDE, GAP = 25.0, 300, 8


def main() -> None:
    folder, number, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    with (folder / "pairs.csv").open(encoding="utf-8") as file:
        row = list(csv.DictReader(file))[number]
    gsd = float(row["gsd_m"])
    view = PanoramaView(heading_deg=float(row["heading_deg"]), vfov_deg=float(row["vfov_deg"]))
    pano = read_pixels(folder / row["panorama"])[None].float() / 255
    above = read_pixels(folder / row["overhead"])[None].float() / 255
    middle, half = above.shape[-1] // 2, round(REACH_M / gsd)
    crop = above[..., middle - half : middle + half, middle - half : middle + half]
    distances = [REACH_M * (1 - (i + 0.5) / 150) for i in range(150)]
    rings, _ = GroundRings(view, height=pano.shape[2], width=pano.shape[3], distances_m=distances, columns=608)(pano)
    pictures = [
        (f"panorama, centre looks to {view.heading_deg:.0f}°", pano, (2 * SIDE + GAP, SIDE)),
        ("bird's-eye view, 25 m, north up", birds_eye(pano, view, side=SIDE, half_width_m=REACH_M)[0], (SIDE, SIDE)),
        ("overhead image of another day", crop, (SIDE, SIDE)),
        ("a lens to the north", perspective(pano, view, azimuth_deg=0, height=SIDE, width=SIDE), (SIDE, SIDE)),
        ("ground in rings, column 0 = north", rings, (3 * SIDE + 2 * GAP, 146)),
        (
            "overhead image, polar",
            polar(above, rows=150, columns=608, gsd_m=gsd, radius_m=REACH_M),
            (3 * SIDE + 2 * GAP, 146),
        ),
    ]
    sheet = Image.new("RGB", (4 * SIDE + 3 * GAP, 2 * SIDE + GAP), "white")
    places = [(0, 0), (616, 0), (924, 0), (0, 308), (308, 308), (308, 462)]
    draw = ImageDraw.Draw(sheet)
    for (title, picture, size), place in zip(pictures, places, strict=True):
        values = (picture[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        sheet.paste(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR), place)
        draw.rectangle((place[0], place[1], place[0] + 8 + 6 * len(title), place[1] + 15), fill="black")
        draw.text((place[0] + 4, place[1] + 2), title, fill="white")
    sheet.save(out, quality=85)


if __name__ == "__main__":
    main()
