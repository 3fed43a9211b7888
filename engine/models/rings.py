"""Learned features of the ground around a camera, for turning a photo's rings over an overhead image's.

Rings and sectors of azimuth go through convolutions that go round, so that a turned photo has turned features; both
sides are compared at all turns at once. What such features are for is Shi et al. 2020, "Where am I looking at? Joint
Location and Orientation Estimation by Cross-View Matching"; here they lie on rings of metres of the ground.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RINGS = 16
"""Rows of every ring image, from near to far."""
FEATURES = 8
_SHOWN = 0.25
"""A cell counts as shown where more than this share of it is."""


class RingBranch(nn.Module):
    """(N, ``inputs``, :data:`RINGS`, A) → (N, ``width``, :data:`RINGS`, A / 2); A is even."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, (3, 5), stride=(1, 2))
        self.first_norm = nn.GroupNorm(4, width)
        self.second = nn.Conv2d(width, width, 3, dilation=(1, 2))
        self.second_norm = nn.GroupNorm(4, width)
        self.column = nn.Conv1d(width * RINGS, width, 1)
        self.third = nn.Conv2d(2 * width, width, 3, dilation=(1, 3))

    def forward(self, values: Tensor) -> Tensor:
        x = F.relu(self.first_norm(self.first(_round(values, 2))))
        x = F.relu(self.second_norm(self.second(_round(x, 2))))
        column = F.relu(self.column(x.flatten(1, 2)))  # all of an azimuth, from near to far
        # The third convolution is of both together. A column is the same in all rings, so its part needs one ring: the
        # whole takes about half the time that convolving (x, column repeated) took.
        weight, width, (_, far) = self.third.weight, x.shape[1], self.third.dilation
        own = F.conv2d(_round(x, far), weight[:, :width], self.third.bias, dilation=(1, far))
        wide = F.pad(column, (far, far), mode="circular")
        return F.relu(own + F.conv1d(wide, weight[:, width:].sum(dim=2), dilation=far)[:, :, None])


class RingNetwork(nn.Module):
    """Features of a photo's rings and of an overhead image's, of branches with weights apart, ``width`` channels
    between (a multiple of 4). The photo's branch weighs its cells too, and sees what stands above the horizon."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.width = width
        self.ground_branch, self.overhead_branch = RingBranch(8, width), RingBranch(5, width)
        self.ground_out, self.overhead_out = nn.Conv2d(width, FEATURES, 1), nn.Conv2d(width, FEATURES, 1)
        self.weight = nn.Conv2d(width, 1, 1)
        self.scale = nn.Parameter(torch.tensor(3.0))
        """Logarithm of what a contrast multiplies similarities by in training."""

    def ground(self, lab: Tensor, seen: Tensor, above: Tensor) -> Tensor:
        """``lab`` (N, 3, R, A) L*a*b* of the ground, ``seen`` (N, R, A) share of a cell that is seen, ``above`` (N, 3,
        R, A) −1…1 what stands above the horizon at each azimuth, highest first, 0 where not shown → (N,
        :data:`FEATURES`, R, A / 2), all of an image together at unit length."""
        x = self.ground_branch(torch.cat([_normal(lab, seen), _place(lab), above], dim=1))
        return _unit(self.ground_out(x).float() * torch.sigmoid(self.weight(x).float()))

    def overhead(self, lab: Tensor, covered: Tensor) -> Tensor:
        """The same of an overhead image: ``lab`` (N, 3, R, A), ``covered`` (N, R, A); 0 where it shows nothing."""
        x = self.overhead_branch(torch.cat([_normal(lab, covered), _place(lab)], dim=1))
        return _unit(self.overhead_out(x).float() * (covered[:, None, :, ::2] > _SHOWN))


def mirrored(values: Tensor) -> Tensor:
    """East and west change places: sector j of (…, A) becomes −j."""
    return values.flip(-1).roll(1, -1)


def turned_similarity(ground: Tensor, overhead: Tensor, turns: int) -> Tensor:
    """(Q, N, ``turns``) inner products of photos' features (Q, K, R, B) and images' (N, K, R, B): at turn k of
    ``turns`` the photo's azimuth φ lies on the image's φ + 360° k / turns. Between sectors they are drawn by the
    Fourier transform."""
    return turned_spectra(spectra(ground), spectra(overhead), ground.shape[3], turns)


def spectra(features: Tensor) -> Tensor:
    """Fourier transforms over azimuth of features (N, K, R, B) → (N, K · R, B // 2 + 1)."""
    return torch.fft.rfft(features.float()).flatten(1, 2)


def turned_spectra(ground: Tensor, overhead: Tensor, sectors: int, turns: int) -> Tensor:
    """:func:`turned_similarity` of :func:`spectra` of features of ``sectors`` (B) azimuths."""
    spectrum = torch.einsum("qcf,ncf->qnf", ground.conj().resolve_conj(), overhead)
    if turns > sectors and sectors % 2 == 0:  # the highest wave then has a mirror image, and stands for both
        spectrum = torch.cat([spectrum[..., :-1], spectrum[..., -1:] / 2], dim=-1)
    return torch.fft.irfft(spectrum, n=turns) * (turns / sectors)


def _round(values: Tensor, sectors: int) -> Tensor:
    """Padded by sectors round the circle, and by a repeated ring at either end."""
    return F.pad(F.pad(values, (sectors, sectors, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")


def _normal(lab: Tensor, share: Tensor) -> Tensor:
    """(N, 4, R, A): less their mean over what is shown, light by its deviation, colours by 15; and what is shown."""
    shown = (share > _SHOWN).to(lab.dtype)[:, None]
    count = shown.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    apart = (lab - (lab * shown).sum(dim=(2, 3), keepdim=True) / count) * shown
    spread = (apart[:, :1].square().sum(dim=(2, 3), keepdim=True) / count).sqrt().clamp(min=3)
    return torch.cat([apart[:, :1] / spread, apart[:, 1:] / 15, shown], dim=1)


def _place(lab: Tensor) -> Tensor:
    """(N, 1, R, A): −1 for the nearest ring to 1 for the farthest."""
    rings = torch.linspace(-1, 1, lab.shape[2], dtype=lab.dtype, device=lab.device)
    return rings[None, None, :, None].expand(len(lab), 1, -1, lab.shape[3])


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features.flatten(1), dim=1).view_as(features)
