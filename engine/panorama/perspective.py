"""Panoramas through a lens, and photos of a lens as parts of a panorama."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import ParameterError
from engine.panorama.ground import image_directions
from engine.panorama.sphere import Sampler, checked_images, direction_grid
from engine.panorama.view import PanoramaView, views_of


def perspective(
    images: Tensor,
    view: PanoramaView | Sequence[PanoramaView],
    *,
    azimuth_deg: float,
    pitch_deg: float = 0.0,
    hfov_deg: float = 90.0,
    height: int,
    width: int,
) -> Tensor:
    """``images`` (N, C, H, W) float panoramas → (N, C, ``height``, ``width``): what a level pinhole camera at the same
    place sees that looks at the compass ``azimuth_deg`` and ``pitch_deg`` up, ``hfov_deg`` wide; 0 where the panorama
    shows nothing. Differentiable in ``images``. Raises ParameterError for an angle of view outside (0°, 180°)."""
    rows, columns = checked_images(images).shape[2:]
    views = views_of(view, len(images))
    if len({one.closed for one in views}) > 1:
        raise ParameterError("Full panoramas and parts of a circle came in one batch.", remedy="Take two batches.")
    ray = pinhole_rays(height, width, hfov_deg, device=images.device)
    camera = PanoramaView(heading_deg=azimuth_deg % 360, pitch_deg=pitch_deg).rotation()
    world = ray @ torch.as_tensor(camera, dtype=ray.dtype, device=ray.device)
    sampler = Sampler(direction_grid(world, views), height=rows, width=columns, closed=views[0].closed)
    return sampler(images)[0]


def equirectangular(
    photos: Tensor,
    *,
    heading_deg: float = 0.0,
    pitch_deg: float = 0.0,
    roll_deg: float = 0.0,
    hfov_deg: float = 90.0,
    view: PanoramaView | None = None,
    height: int,
    width: int,
) -> tuple[Tensor, Tensor]:
    """``photos`` (N, C, h, w) of a pinhole camera → ((N, C, ``height``, ``width``), mask (N, 1, ``height``,
    ``width``) bool) as the part ``view`` of a panorama (default: all of it, north in the middle); 0 where the photo
    shows nothing. Angles are those of the camera, ``hfov_deg`` its horizontal angle of view. The inverse of
    :func:`perspective`."""
    count, _, rows, columns = checked_images(photos).shape
    focal = _focal(columns, hfov_deg)
    world = image_directions(view or PanoramaView(), height, width, device=photos.device)
    camera = PanoramaView(heading_deg=heading_deg % 360, pitch_deg=pitch_deg, roll_deg=roll_deg).rotation()
    right, forward, up = (world @ torch.as_tensor(camera, dtype=world.dtype, device=world.device).T).unbind(-1)
    ahead = forward > 1e-6
    depth = torch.where(ahead, forward, torch.ones_like(forward))
    x, y = focal * right / depth * (2 / columns), -focal * up / depth * (2 / rows)
    seen = (ahead & (x.abs() <= 1) & (y.abs() <= 1))[None, None]
    grid = torch.stack([x, y], dim=-1).clamp(-2, 2).to(photos.dtype)[None].expand(count, -1, -1, -1)
    read = F.grid_sample(photos, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return read * seen.to(read.dtype), seen.expand(count, -1, -1, -1)


def pinhole_rays(height: int, width: int, hfov_deg: float, *, device: torch.device | str | None = None) -> Tensor:
    """(height, width, 3) directions right, forward and up of a pinhole camera's pixel centres (not of unit length)."""
    focal = _focal(width, hfov_deg)
    x = torch.arange(width, device=device, dtype=torch.float32) + 0.5 - width / 2
    y = height / 2 - torch.arange(height, device=device, dtype=torch.float32) - 0.5
    x, y = torch.broadcast_tensors(x[None, :], y[:, None])
    return torch.stack([x, torch.full_like(x, focal), y], dim=-1)


def _focal(width: int, hfov_deg: float) -> float:
    if not 0 < hfov_deg < 180:
        raise ParameterError(f"The angle of view is {hfov_deg:g}°; a lens sees more than 0° and less than 180°.")
    return width / 2 / math.tan(math.radians(hfov_deg) / 2)
