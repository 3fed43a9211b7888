"""Flat ground under a camera: where its points stand in an image, and what an image of such ground looks like."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import ParameterError
from engine.panorama.sphere import Sampler, checked_images, level_grid
from engine.panorama.view import PanoramaView, views_of

CAMERA_HEIGHT_M = 2.5
"""Of the cars and helmets that street panoramas are taken from: between 1.8 and 3 m."""


def check_metres(**lengths: float) -> None:
    """Raise ParameterError for a length that is not a positive, finite number of metres."""
    for name, value in lengths.items():
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(f"{name} is {value}; expected a positive number of metres.")


def ground_sampler(
    azimuth: Tensor,
    distance: Tensor,
    views: Sequence[PanoramaView],
    *,
    height: int,
    width: int,
    camera_height_m: float,
) -> Sampler:
    """A reader of the points of the ground at compass ``azimuth`` (radians) and ``distance`` (metres), both (rows,
    columns), in images of ``height`` × ``width`` pixels: the sampler's rows and columns are theirs."""
    pitch = -torch.atan2(torch.full_like(distance, camera_height_m), distance)
    azimuth, pitch = torch.broadcast_tensors(azimuth, pitch)
    closed = {view.closed for view in views}
    if len(closed) > 1:
        raise ParameterError(
            "Full panoramas and parts of a circle came in one batch.", remedy="Project them in two batches."
        )
    return Sampler(level_grid(azimuth, pitch, views), height=height, width=width, closed=closed.pop())


class GroundRings:
    """The ground around a panorama in polar form: rows are ``distances_m``, columns compass azimuths, 0 = north,
    clockwise, at the very bearings of :func:`engine.panorama.polar.polar`. Made once for a size and a view."""

    def __init__(
        self,
        view: PanoramaView | Sequence[PanoramaView],
        *,
        height: int,
        width: int,
        distances_m: Sequence[float],
        columns: int,
        camera_height_m: float = CAMERA_HEIGHT_M,
        device: torch.device | str | None = None,
    ) -> None:
        check_metres(camera_height_m=camera_height_m, **{"a distance": min(distances_m, default=0.0)})
        views = [view] if isinstance(view, PanoramaView) else list(view)
        azimuth = torch.arange(columns, device=device, dtype=torch.float32) * (2 * math.pi / columns)
        distance = torch.tensor(list(distances_m), device=device, dtype=torch.float32)[:, None]
        self._sampler = ground_sampler(
            azimuth[None, :].expand(len(distance), columns),
            distance.expand(len(distance), columns),
            views,
            height=height,
            width=width,
            camera_height_m=camera_height_m,
        )

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``images`` (N, C, H, W) float → ((N, C, rings, columns), mask (N, 1, rings, columns) bool: seen)."""
        return self._sampler(images)


def ground_panorama(
    overhead: Tensor,
    gsd_m: float,
    *,
    view: PanoramaView | Sequence[PanoramaView],
    height: int,
    width: int,
    camera_height_m: float = CAMERA_HEIGHT_M,
    east_m: float = 0.0,
    north_m: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """What a camera above flat ground sees of it: the inverse of the bird's-eye view.

    ``overhead`` (N, C, S, S) float, north up, ``gsd_m`` metres a pixel; the camera stands ``east_m`` and ``north_m`` of
    its centre. Gives ((N, C, height, width), mask (N, 1, height, width) bool: ground inside the overhead image);
    sky and what lies outside are 0. Bilinear: far ground is aliased where a panorama's pixel spans several of the
    overhead's. Differentiable in ``overhead``. Raises ParameterError as ``birds_eye`` does.
    """
    check_metres(gsd_m=gsd_m, camera_height_m=camera_height_m)
    count, _, rows, columns = checked_images(overhead).shape
    views = views_of(view, count)
    device = overhead.device
    directions = torch.stack([image_directions(one, height, width, device=device) for one in views])
    east, north, up = directions.unbind(-1)
    down = up < -1e-6
    reach = camera_height_m / torch.where(down, -up, torch.ones_like(up))
    x = ((east * reach + east_m) / gsd_m) * (2 / columns)
    y = -((north * reach + north_m) / gsd_m) * (2 / rows)
    seen = (down & (x.abs() <= 1) & (y.abs() <= 1)).unsqueeze(1)
    grid = torch.stack([x, y], dim=-1).clamp(-2, 2).to(overhead.dtype).expand(count, -1, -1, -1)
    read = F.grid_sample(overhead, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return read * seen.to(read.dtype), seen.expand(count, -1, -1, -1)


def image_directions(
    view: PanoramaView, height: int, width: int, *, device: torch.device | str | None = None
) -> Tensor:
    """(height, width, 3) unit vectors east, north, up of the centres of an image's pixels, float32."""
    x = ((torch.arange(width, device=device) + 0.5) / width - 0.5) * math.radians(view.hfov_deg)
    y = (0.5 - (torch.arange(height, device=device) + 0.5) / height) * math.radians(view.vfov_deg)
    pitch = (y + math.radians(view.pitch_center_deg))[:, None]
    camera = torch.stack(
        torch.broadcast_tensors(torch.sin(x) * torch.cos(pitch), torch.cos(x) * torch.cos(pitch), torch.sin(pitch)),
        dim=-1,
    )
    return camera @ torch.as_tensor(view.rotation(), dtype=camera.dtype, device=device)
