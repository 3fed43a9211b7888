"""Joint geometry of whole batches: every sample cut, resampled, mirrored and turned by its own draw.

A cut is resampled along rows, then along columns, each as a weighted sum of whole rows that are looked up (columns
become rows by transposing, which half of the eight symmetries want anyway). Mirroring reverses the look-up. So there
is no loop over samples on a GPU, and on a processor a few samples at a time that stay in its cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from engine.training.data.memory import room, whole

Batch = dict[str, Tensor]
_LABELS = ("label",)
_IMAGES = ("s1", "s2")
_CACHE_BYTES = 1 << 21
"""On a processor so much of a layer is worked on at a time: little stays in the cache, but every call has its price."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """``area``: share of the square that is cut, drawn evenly between the two, then brought to ``size`` pixels;
    (1, 1) with the same size cuts nothing. ``size`` None: the size that comes in. With ``window`` the cut has exactly
    ``size`` pixels at a place drawn at random, and nothing is resampled. ``flips``, ``turns``: mirrored, turned by 90°
    steps, all eight equally likely when both are on."""

    size: int | None = None
    area: tuple[float, float] = (1.0, 1.0)
    window: bool = False
    flips: bool = True
    turns: bool = True


@dataclass(frozen=True)
class Axis:
    """Where a layer's rows (or columns) come from: for each sample and each of ``size`` pixels, ``at`` (N, size, T)
    pixels of the source with ``weights`` that sum to 1, and ``nearest`` (N, size) of them."""

    at: Tensor
    weights: Tensor
    nearest: Tensor

    def part(self, samples: slice) -> Axis:
        """Of these samples."""
        return Axis(self.at[samples], self.weights[samples], self.nearest[samples])


@dataclass(frozen=True)
class Plan:
    """What is done to each sample: rows and columns looked up, then, where ``transposed`` (N,), both exchanged."""

    rows: Axis
    cols: Axis
    transposed: Tensor
    size: int

    def part(self, samples: slice) -> Plan:
        """Of these samples."""
        return Plan(self.rows.part(samples), self.cols.part(samples), self.transposed[samples], self.size)


def joint_geometry(batch: Batch, geometry: Geometry, generator: Generator) -> Batch:
    """The batch with every sample cut, mirrored and turned by its own draw, all its layers alike.

    Images are resampled bilinearly over valid pixels (where the size changes; with a wider kernel where it shrinks),
    validity and labels by the nearest pixel. Other keys pass through. Raises ValueError for a square that is smaller
    than the window.
    """
    images = [key for key in _IMAGES if key in batch]
    plan = draw_plan(batch[images[0]], geometry, generator)
    out = dict(batch)
    for key in images:
        out[f"{key}_valid"] = nearest(batch[f"{key}_valid"], plan)
        out[key] = room_for(batch[key], plan)
        whole_ones = whole(batch[f"{key}_valid"])
        for part in in_cache(batch[key], plan):
            valid = None if all(whole_ones[part]) else batch[f"{key}_valid"][part]
            resample(batch[key][part], valid, plan.part(part), into=out[key][part])
        if not all(whole_ones):
            out[key].mul_(out[f"{key}_valid"])
    for key in _LABELS:
        if key in batch:
            out[key] = nearest(batch[key][:, None], plan)[:, 0]
    return out


def draw_plan(image: Tensor, geometry: Geometry, generator: Generator) -> Plan:
    """A plan for the samples of ``image`` (N, bands, side, side), drawn from ``generator``, on its device."""
    number, side = image.shape[0], image.shape[-1]
    size = geometry.size or side
    if geometry.window and size > side:
        raise ValueError(f"A window of {size} pixels cannot be cut from squares of {side}.")
    uniform = torch.rand((number, 3), generator=generator, device=generator.device).to(image.device)
    code = torch.randint(0, 8, (number,), generator=generator, device=generator.device).to(image.device)
    if geometry.window:
        cut = torch.full_like(code, size)
    else:
        low, high = geometry.area
        cut = (side * (low + (high - low) * uniform[:, 0]).sqrt()).round().long().clamp(1, side)
    row, col = (torch.minimum((uniform[:, i] * (side - cut + 1)).long(), side - cut) for i in (1, 2))
    mirror = (code % 2 == 1) & geometry.flips
    turns = code // 2 if geometry.turns else torch.zeros_like(code)
    taps = 2 if size >= side else int(2 * side / size) + 2
    # A quarter turn is a mirroring of one axis and an exchange of both; bit 0 of the code mirrors first.
    return Plan(
        _axis(row, cut, size, turns >= 2, taps),
        _axis(col, cut, size, mirror ^ ((turns == 1) | (turns == 2)), taps),
        turns % 2 == 1,
        size,
    )


def _axis(start: Tensor, cut: Tensor, size: int, reverse: Tensor, taps: int) -> Axis:
    """A tent over each pixel, as wide as a pixel of source or result, whichever is larger, within the cut."""
    pixels = torch.arange(size, device=start.device)
    pixels = torch.where(reverse[:, None], size - 1 - pixels, pixels)
    step = (cut.float() / size)[:, None]
    centre = (pixels + 0.5) * step
    spread = step.clamp_min(1.0)
    source = (centre - spread + 0.5).floor().long()[:, :, None] + torch.arange(taps, device=start.device)
    last = (cut - 1)[:, None, None]
    weights = (1 - (source - centre[:, :, None] + 0.5).abs() / spread[:, :, None]).clamp_min(0)
    weights = weights * ((source >= 0) & (source <= last))
    at = torch.minimum(source.clamp_min(0), last)
    close = torch.minimum(centre.long(), last[:, :, 0])
    first = start[:, None]
    return Axis(first[:, :, None] + at, weights / weights.sum(2, keepdim=True), first + close)


def room_for(image: Tensor, plan: Plan) -> Tensor:
    """Where the result of ``image`` goes."""
    return room((*image.shape[:2], plan.size, plan.size), image.dtype, image.device)


def in_cache(image: Tensor, plan: Plan) -> Iterator[slice]:
    """Samples that are worked on together: on a processor as many as its cache holds, on a GPU all."""
    number, bands = image.shape[:2]
    many = number
    if image.device.type == "cpu":
        many = max(1, _CACHE_BYTES // (bands * max(plan.size, image.shape[-1]) ** 2 * image.element_size()))
    for start in range(0, number, many):
        yield slice(start, start + many)


def resample(image: Tensor, valid: Tensor | None, plan: Plan, *, into: Tensor) -> None:
    """``into`` (n, bands, size, size) becomes ``image`` (n, bands, side, side; 0 where not ``valid``, None: all is) as
    the plan says, bilinearly over valid pixels. Pixels whose nearest one is not valid hold anything finite."""
    _exchange(_both_axes(image, plan), plan.transposed, into)
    if valid is not None:
        weight = torch.empty_like(into[:, :1])
        _exchange(_both_axes(valid.to(image.dtype), plan), plan.transposed, weight)
        into.div_(weight.clamp_min_(1e-6))


def nearest(layer: Tensor, plan: Plan) -> Tensor:
    """``layer`` (N, 1, side, side) of any type, by the nearest pixel."""
    number, side = layer.shape[0], layer.shape[-1]
    if layer.dtype == torch.bool and all(whole(layer)):
        return layer.new_ones((number, 1, plan.size, plan.size))
    rows = torch.where(plan.transposed[:, None], plan.cols.nearest, plan.rows.nearest)
    cols = torch.where(plan.transposed[:, None], plan.rows.nearest, plan.cols.nearest)
    steps = torch.where(plan.transposed, 1, side)[:, None], torch.where(plan.transposed, side, 1)[:, None]
    at = (rows * steps[0])[:, :, None] + (cols * steps[1])[:, None, :]
    return layer.reshape(number, -1).gather(1, at.view(number, -1)).view(number, 1, plan.size, plan.size)


def _both_axes(image: Tensor, plan: Plan) -> Tensor:
    """(n, bands, columns, rows): the image resampled, transposed."""
    first, stop = 0, image.shape[-1]
    if image.device.type == "cpu":  # columns that no sample asks for need not be touched
        first, stop = int(plan.cols.at.min()), int(plan.cols.at.max()) + 1
    tall = _rows(image[..., first:stop], plan.rows.at, plan.rows.weights)
    return _rows(tall.transpose(-1, -2).contiguous(), plan.cols.at - first, plan.cols.weights)


def _rows(image: Tensor, at: Tensor, weights: Tensor) -> Tensor:
    """(n, bands, size, W): sums of rows ``at`` (n, size, T) of ``image`` (n, bands, H, W) with ``weights``."""
    number, bands, height, width = image.shape
    flat = image.reshape(-1, width)
    above = torch.arange(number * bands, device=image.device).view(number, bands, 1) * height
    weights = weights.to(image.dtype)

    def looked_up(tap: int) -> Tensor:
        rows = flat.index_select(0, (above + at[:, None, :, tap]).view(-1))
        return rows.view(number, bands, -1, width)

    if at.shape[2] == 2:
        return looked_up(0).lerp_(looked_up(1), weights[:, None, :, 1, None])
    total = looked_up(0).mul_(weights[:, None, :, 0, None])
    for tap in range(1, at.shape[2]):
        total.addcmul_(looked_up(tap), weights[:, None, :, tap, None])
    return total


def _exchange(image: Tensor, kept: Tensor, into: Tensor) -> None:
    """``into`` becomes ``image`` where ``kept`` (n,), its transpose elsewhere."""
    turned = image.transpose(-1, -2)
    if image.device.type != "cpu":
        into.copy_(torch.where(kept[:, None, None, None], image, turned))
        return
    for number, as_it_is in enumerate(kept.tolist()):
        into[number].copy_(image[number] if as_it_is else turned[number])
