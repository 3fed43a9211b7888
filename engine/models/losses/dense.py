"""Dense contrast: InfoNCE of pixels instead of images (after Wang et al. 2021, DenseCL; correspondence by geometry).

Two sensors on one grid need no matching: the partner of a pixel is the pixel at the same place.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.models.losses.gather import Gather
from engine.models.losses.infonce import info_nce


def dense_info_nce(
    a: Tensor,
    b: Tensor,
    *,
    temperature: float | Tensor,
    valid: Tensor | None = None,
    points: int | None = None,
    generator: torch.Generator | None = None,
    group: Gather | None = None,
) -> Tensor:
    """:func:`info_nce` of the pixels of ``a`` and ``b``, both (N, D, h, w): negatives are all other pixels of the
    other sensor in the batch (of all processes, with ``group``).

    ``valid`` (N, h, w) or (N, 1, h, w) bool leaves pixels out; see :func:`valid_at` to bring one from input
    resolution. ``points`` draws that many of the valid pixels at most, from ``generator`` (its device may differ), to
    bound the memory, which grows with the square of their number. 0 when no pixel is valid. Raises ParameterError on
    shapes that do not fit.
    """
    if a.shape != b.shape or a.ndim != 4:
        raise ParameterError(
            f"Paired maps must have one shape (N, D, rows, columns), found {tuple(a.shape)} and {tuple(b.shape)}."
        )
    if points is not None and points < 1:
        raise ParameterError(f"At least one point must be drawn, found {points}.")
    rows_a, rows_b = (x.movedim(1, 3).reshape(-1, x.shape[1]) for x in (a, b))
    chosen: Tensor | None = None
    if valid is not None:
        mask = valid[:, 0] if valid.ndim == 4 else valid
        if mask.shape != (a.shape[0], *a.shape[2:]):
            raise ParameterError(f"The mask is {tuple(valid.shape)} for maps of {tuple(a.shape)}.")
        chosen = mask.reshape(-1).nonzero()[:, 0]
    count = len(rows_a) if chosen is None else len(chosen)
    if points is not None and count > points:
        device = torch.device("cpu") if generator is None else generator.device
        drawn = torch.randperm(count, generator=generator, device=device)[:points].to(a.device)
        chosen = drawn if chosen is None else chosen[drawn]
    if chosen is not None:
        rows_a, rows_b = rows_a[chosen], rows_b[chosen]
    return info_nce(rows_a, rows_b, temperature=temperature, group=group)


def valid_at(valid: Tensor, shape: tuple[int, int], *, share: float = 0.5) -> Tensor:
    """``valid`` (N, 1, H, W) bool on the grid of features, (N, 1, *shape) bool: true where more than ``share`` of the
    input pixels under a cell are valid."""
    return F.adaptive_avg_pool2d(valid.float(), shape) > share
