"""Pairs of simulated cities made harder, from a fixed seed, because a simulated ground is flat and camera and tile fit
exactly, so that anything finds it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

F32 = NDArray[np.float32]
HUE, PATCH, SHIFT_M, TILT_DEG, HEIGHT = 0.06, 0.25, 2.0, 1.5, 0.12


def patches(shape: tuple[int, int], pixels: int, rng: np.random.Generator) -> F32:
    """Smooth noise of about ``pixels`` a patch."""
    coarse = rng.normal(size=(shape[0] // pixels + 2, shape[1] // pixels + 2))
    found = ndimage.zoom(coarse, (shape[0] / coarse.shape[0], shape[1] / coarse.shape[1]), order=1)
    return found[: shape[0], : shape[1]].astype(np.float32)


def moved(above: F32, gsd_m: float, rng: np.random.Generator) -> F32:
    """An overhead image (H, W, 3) of 0…1 with an albedo that varies in patches by a quarter, moved by
    :data:`SHIFT_M`, and a little softer."""
    shape = above.shape[:2]
    above = above * np.clip(1 + PATCH * patches(shape, int(6 / gsd_m), rng), 0.3, 2)[..., None]
    tint = np.stack([patches(shape, int(12 / gsd_m), rng) for _ in range(3)], axis=-1)
    above = above * np.clip(1 + PATCH / 2 * tint, 0.5, 1.6)
    above = ndimage.shift(above, (*rng.normal(0, SHIFT_M, 2) / gsd_m, 0), order=1, mode="nearest")
    return ndimage.gaussian_filter(above, (0.3 / gsd_m, 0.3 / gsd_m, 0))


def styled(image: F32, rng: np.random.Generator, quality: int) -> torch.Tensor:
    """(3, H, W) uint8 of (H, W, 3) 0…1 in another light, with noise and the traces of JPEG."""
    gain = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, HUE, 3))
    image = np.clip(image * gain, 0, 1) ** np.exp(rng.normal(0, 0.3))
    image = np.clip(image + rng.normal(0, 0.03, image.shape), 0, 1)
    with io.BytesIO() as file:
        Image.fromarray((image * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
        return torch.from_numpy(np.array(Image.open(file)).transpose(2, 0, 1).copy())


def taller(panorama: F32, vfov_deg: float, factor: float) -> F32:
    """A strip (H, W, 3) around the horizon as a camera ``factor`` times as high shows level ground."""
    rows = len(panorama)
    pitch = np.radians((0.5 - (np.arange(rows) + 0.5) / rows) * vfov_deg)
    source = np.where(pitch < 0, np.arctan(np.tan(pitch) / factor), pitch)
    y = np.clip((0.5 - np.degrees(source) / vfov_deg) * rows - 0.5, 0, rows - 1)
    low = np.minimum(y.astype(int), rows - 2)
    share = (y - low)[:, None, None].astype(np.float32)
    return panorama[low] * (1 - share) + panorama[low + 1] * share


def disturb(cities: Sequence[str], out: Path, *, seed: int = 0) -> None:
    """Write the pairs of strips (``engine simulate city --vfov 65.45``) anew as one set in ``out``, disturbed:
    position, albedo, light, hue, contrast, noise, JPEG, height 12 %, and a tilt of 1.5° that the list states and the
    image lacks; unless it is there."""
    if (out / "pairs.csv").exists():
        return
    rng, rows = np.random.default_rng(seed), []
    for name in ("panoramas", "overheads"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for city in cities:
        with (Path(city) / "pairs.csv").open(encoding="utf-8", newline="") as stream:
            given = list(csv.DictReader(stream))
        for row in given:
            pano, above = (
                np.asarray(Image.open(Path(city) / row[role]).convert("RGB"), np.float32) / 255
                for role in ("panorama", "overhead")
            )
            pano = taller(pano, float(row["vfov_deg"]), float(np.exp(rng.normal(0, HEIGHT))))
            above = moved(above, float(row["gsd_m"]), rng)
            made = {"pair_id": row["pair_id"], "panorama": f"panoramas/{row['pair_id']}.png"}
            made["overhead"] = f"overheads/{row['pair_id']}.png"
            for role, image, quality in (("panorama", pano, 70), ("overhead", above, 75)):
                pixels = styled(image, rng, quality).numpy().transpose(1, 2, 0)
                Image.fromarray(pixels).save(out / made[role], compress_level=1)
            pitch, roll = rng.normal(0, TILT_DEG, 2)
            made |= {"pitch_deg": f"{pitch:.3f}", "roll_deg": f"{roll:.3f}"}
            rows.append(made | {key: row[key] for key in ("heading_deg", "hfov_deg", "vfov_deg", "gsd_m")})
    with (out / "pairs.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
