"""A matcher's ring images made small, so that many photos are turned over many images in a moment and only what looks
promising is compared in full.

Of every channel the lowest frequencies over azimuth are kept, of neighbouring rings the mean, of all guesses of the
camera the mean too; an image is normalised once, as if a photo saw all of its ground. Then a turn of all photos over
all images is one matrix product a frequency and one short Fourier transform a pair.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.crossview.geometric.correlation import FLAT, TurningTemplate, normalised

FREQUENCIES, TURNS, MERGED = 16, 32, 2
"""Frequencies over azimuth that are kept, turns that are tried, rings that become one. On 160 panoramas and the 4,000
tiles of forty simulated cities every best tile with a gap of .02 (121 of them) stood among the first 16 of a sketch, of
all best tiles 99 % among the first 64 (images normalised under the cover of these photos, there); whole frequencies and
rings found no more. docs/studies/cross-view.md has what a shortlist by the form as it is loses."""
_TILES = 1024
"""Images that are compared at a time: with 256 photos they take 70 MB."""


def image_sketches(values: Tensor, channel_weights: Tensor, ring_weights: Tensor) -> Tensor:
    """``values`` (N, C, R, A) of overhead ring images, finite, weights of the channels (C,) and of the rings (R, 1) →
    (F, K, N) complex sketches."""
    normal = normalised(values)
    share = (ring_weights / ring_weights.sum() / values.shape[-1]).expand(values.shape[-2:])
    mean = (normal * share).sum((-2, -1), keepdim=True)
    variance = ((normal - mean).square() * share).sum((-2, -1), keepdim=True).clamp(min=FLAT)
    scale = (channel_weights / channel_weights.sum())[:, None, None] / variance.sqrt()
    merged = (scale * (normal - mean)).unflatten(2, (-1, _merged(values.shape[2]))).mean(3)
    return _lowest(torch.fft.rfft(merged)).flatten(1, 2).permute(2, 1, 0).contiguous()


def photo_sketch(template: TurningTemplate) -> Tensor:
    """The photo of ``template`` → (F, K) complex sketch, ready to be multiplied with those of images."""
    pattern = template.pattern.mean(0)  # (C, R, frequencies)
    merged = pattern.unflatten(1, (-1, _merged(pattern.shape[1]))).sum(2)
    return _lowest(merged).flatten(0, 1).T.conj().resolve_conj().contiguous()


def sketch_scores(photos: Tensor, images: Tensor) -> Tensor:
    """``photos`` (F, Q, K) and ``images`` (F, K, N) → (Q, N) correlation of the best of :data:`TURNS` turns; close to
    the matcher's where a photo sees most of its ground, and meant for order alone."""
    parts = images.split(_TILES, dim=2)
    return torch.cat([torch.fft.irfft(photos @ part, n=TURNS, dim=0).mul_(TURNS).amax(0) for part in parts], dim=1)


def _lowest(spectra: Tensor) -> Tensor:
    return spectra[..., :FREQUENCIES]


def _merged(rings: int) -> int:
    return MERGED if rings % MERGED == 0 else 1
