"""Colours as people see them: CIE L*a*b* under D65 (CIE 15:2004), by which light and paint are told apart."""

from __future__ import annotations

import torch
from torch import Tensor

_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
_WHITE = (0.9505, 1.0, 1.089)


def lab(rgb: Tensor) -> Tensor:
    """``rgb`` (…, 3, rows, columns) sRGB 0…1 → L 0…100, a and b about −100…100, of the same shape. Values outside 0…1
    are clipped."""
    x = rgb.clamp(0, 1)
    linear = torch.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92)
    mix = torch.tensor(_XYZ, dtype=x.dtype, device=x.device) / torch.tensor(
        _WHITE, dtype=x.dtype, device=x.device
    ).unsqueeze(1)
    xyz = torch.einsum("ij,...jrc->...irc", mix, linear)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116)
    fx, fy, fz = f.unbind(-3)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=-3)
