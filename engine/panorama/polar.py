"""An overhead image around its centre in polar form: what a panorama's columns look at (Shi et al., NeurIPS 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import ParameterError
from engine.panorama.ground import check_metres
from engine.panorama.sphere import checked_images


def polar(overhead: Tensor, *, rows: int, columns: int, gsd_m: float | Tensor, radius_m: float) -> Tensor:
    """``overhead`` (N, C, S, S) float, north up, centre in the middle → (N, C, rows, columns).

    Column 0 looks north, the others follow clockwise in equal steps. Rows run as a panorama's do, from far to near: row
    i lies at ``radius_m`` · (1 − (i + ½)/rows). ``gsd_m``: metres a pixel, one number or (N,). What lies outside the
    image is 0. Bilinear, differentiable in ``overhead``. Raises ParameterError for shapes and lengths that make no
    sense.
    """
    if rows < 1 or columns < 1:
        raise ParameterError(f"A polar image of {rows} x {columns} was asked for; expected at least 1 x 1.")
    check_metres(radius_m=radius_m)
    return polar_rings(
        overhead, [radius_m * (1 - (i + 0.5) / rows) for i in range(rows)], columns=columns, gsd_m=gsd_m
    )[0]


def polar_rings(
    overhead: Tensor, distances_m: Sequence[float], *, columns: int, gsd_m: float | Tensor
) -> tuple[Tensor, Tensor]:
    """((N, C, rings, columns), mask (N, 1, rings, columns) bool: inside the image) at ``distances_m`` from the centre,
    in their order; otherwise as :func:`polar`."""
    count, _, height, width = checked_images(overhead).shape
    scale = torch.as_tensor(gsd_m, dtype=torch.float32, device=overhead.device).reshape(-1)
    if len(scale) not in (1, count) or not bool((torch.isfinite(scale) & (scale > 0)).all()):
        raise ParameterError(
            f"{count} overhead images came with the pixel sizes {scale.tolist()[:4]}; expected one positive number of "
            "metres, or one for each."
        )
    azimuth = torch.arange(columns, device=overhead.device, dtype=torch.float32) * (2 * math.pi / columns)
    distance = torch.tensor(list(distances_m), device=overhead.device, dtype=torch.float32)[:, None]
    reach = distance / scale[:, None, None]  # pixels
    x = torch.sin(azimuth) * reach * (2 / width)
    y = -torch.cos(azimuth) * reach * (2 / height)
    inside = ((x.abs() <= 1) & (y.abs() <= 1)).unsqueeze(1)
    grid = torch.stack([x, y], dim=-1)
    work = overhead.float() if overhead.dtype in (torch.float16, torch.bfloat16) else overhead
    if len(grid) == 1:
        work = work.reshape(1, -1, height, width)
    read = F.grid_sample(work, grid.to(work.dtype), mode="bilinear", padding_mode="border", align_corners=False)
    read = read.view(count, -1, *read.shape[2:]).to(overhead.dtype)
    return read * inside.to(read.dtype), inside.expand(count, -1, -1, -1)
