"""What a panorama shows of the ground, as seen from above, in metres.

The ground is taken as flat and level, at ``camera_height_m`` below the camera: a point at the distance ρ is seen at the
pitch −atan(h/ρ). Upright things smear outwards; this is a view of the ground plane, not an orthophoto. The geometry is
that of a pinhole camera looking straight down from the panorama's centre (Li, Qian and Xia, CVPR 2024), written in
metres: its field of view F is a half-width M = h·tan(F/2).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.errors import ParameterError
from engine.panorama.ground import CAMERA_HEIGHT_M, check_metres, ground_sampler
from engine.panorama.sphere import checked_images
from engine.panorama.view import PanoramaView, views_of


class BirdsEye:
    """The bird's-eye view of images of one size and view: the grid is made once, each call only reads.

    ``side`` pixels square, north up, ``half_width_m`` metres from the centre to an edge.
    """

    def __init__(
        self,
        view: PanoramaView | Sequence[PanoramaView],
        *,
        height: int,
        width: int,
        side: int,
        half_width_m: float,
        camera_height_m: float = CAMERA_HEIGHT_M,
        device: torch.device | str | None = None,
    ) -> None:
        if side < 1:
            raise ParameterError(f"A bird's-eye view has {side} pixels a side; expected at least 1.")
        check_metres(half_width_m=half_width_m, camera_height_m=camera_height_m)
        views = [view] if isinstance(view, PanoramaView) else list(view)
        steps = (torch.arange(side, device=device, dtype=torch.float32) + (0.5 - side / 2)) * (2 * half_width_m / side)
        east, north = steps[None, :], -steps[:, None]
        self._sampler = ground_sampler(
            torch.atan2(east.expand(side, side), north.expand(side, side)),
            torch.hypot(east, north),
            views,
            height=height,
            width=width,
            camera_height_m=camera_height_m,
        )

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``images`` (N, C, H, W) float → ((N, C, side, side) north up, mask (N, 1, side, side) bool: seen)."""
        return self._sampler(images)


def birds_eye(
    images: Tensor,
    view: PanoramaView | Sequence[PanoramaView],
    *,
    side: int,
    half_width_m: float,
    camera_height_m: float = CAMERA_HEIGHT_M,
) -> tuple[Tensor, Tensor]:
    """``images`` (N, C, H, W) float, 0…1 → ((N, C, side, side) north up: row 0 north, last column east; mask
    (N, 1, side, side) bool: seen by the image). What is not seen is 0.

    ``view`` is one for all or one for each image; ``half_width_m`` metres from the centre to an edge. Differentiable in
    ``images``, on their device. Who projects many images of one view makes a :class:`BirdsEye` once. Raises
    ParameterError for shapes, numbers of views and lengths that make no sense.
    """
    height, width = checked_images(images).shape[2:]
    project = BirdsEye(
        views_of(view, len(images)),
        height=height,
        width=width,
        side=side,
        half_width_m=half_width_m,
        camera_height_m=camera_height_m,
        device=images.device,
    )
    return project(images)
