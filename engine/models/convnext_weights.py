"""Published ConvNeXt weights under any of the three usual namings: timm's, torchvision's and the authors'."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from engine.errors import ModelError
from engine.models.convnext import STEM_CHANNELS, ConvNext
from engine.models.fit import check_fit
from engine.models.names import ConvNextName

STEMS = ("stem.0.weight", "features.0.0.weight", "downsample_layers.0.0.weight")
"""Name of the first convolution: timm, torchvision, the authors."""
_BLOCKS: dict[tuple[int, ...], tuple[ConvNextName, ...]] = {
    (3, 3, 9, 3): ("convnext_tiny",),
    (3, 3, 27, 3): ("convnext_small", "convnext_base"),
}
_DROPPED = re.compile(r"^(head|norm|norm_pre|classifier|fc)\.")
_TORCHVISION_BLOCK = {"0": "conv_dw", "2": "norm", "3": "mlp.fc1", "5": "mlp.fc2"}
_AUTHORS_BLOCK = {"dwconv": "conv_dw", "norm": "norm", "pwconv1": "mlp.fc1", "pwconv2": "mlp.fc2"}


def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``state`` of one of the three namings, without a prefix, under the names of :class:`ConvNext`. Classifier and the
    norm before it are left out; names that are not known stay as they are."""
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        name = _timm_name(key)
        if not _DROPPED.match(name):
            found[name] = value.reshape(-1) if name.endswith(".gamma") else value
    return found


def _timm_name(key: str) -> str:
    if match := re.fullmatch(r"features\.0\.([01])\.(\w+)", key):
        return f"stem.{match[1]}.{match[2]}"
    if match := re.fullmatch(r"features\.([246])\.([01])\.(\w+)", key):
        return f"stages.{int(match[1]) // 2}.downsample.{match[2]}.{match[3]}"
    if match := re.fullmatch(r"features\.([1357])\.(\d+)\.(?:block\.([0235])\.(\w+)|layer_scale)", key):
        rest = f"{_TORCHVISION_BLOCK[match[3]]}.{match[4]}" if match[3] else "gamma"
        return f"stages.{int(match[1]) // 2}.blocks.{match[2]}.{rest}"
    if match := re.fullmatch(r"downsample_layers\.0\.([01])\.(\w+)", key):
        return f"stem.{match[1]}.{match[2]}"
    if match := re.fullmatch(r"downsample_layers\.([123])\.([01])\.(\w+)", key):
        return f"stages.{match[1]}.downsample.{match[2]}.{match[3]}"
    if match := re.fullmatch(r"stages\.(\d)\.(\d+)\.(?:(dwconv|norm|pwconv1|pwconv2)\.(\w+)|gamma)", key):
        rest = f"{_AUTHORS_BLOCK[match[3]]}.{match[4]}" if match[3] else "gamma"
        return f"stages.{match[1]}.blocks.{match[2]}.{rest}"
    return key


def convnext_of(state: Mapping[str, Tensor], *, source: str) -> ConvNext:
    """The ConvNeXt that ``state`` (no prefix, any of the namings) holds, of the size that its shapes tell.

    ``source`` names the weights in errors. Raises ModelError when names or shapes are not those of a ConvNeXt-T, -S
    or -B of any width.
    """
    given = timm_names(state)
    stem = given.get("stem.0.weight")
    if stem is None or stem.ndim != 4 or tuple(stem.shape[2:]) != (4, 4):
        shape = "missing" if stem is None else str(tuple(stem.shape))
        raise ModelError(f"{source}: not a ConvNeXt: its first convolution is {shape}; expected (C, bands, 4, 4).")
    blocks = tuple(
        len({key.split(".")[3] for key in given if key.startswith(f"stages.{stage}.blocks.")}) for stage in range(4)
    )
    names = _BLOCKS.get(blocks)
    if names is None:
        raise ModelError(f"{source}: a ConvNeXt of {blocks} blocks is not supported; there are T, S and B.")
    channels = int(stem.shape[0])
    name = next((n for n in names if STEM_CHANNELS[n] == channels), names[0])
    encoder = ConvNext(name, bands=int(stem.shape[1]), width=channels / STEM_CHANNELS[name]).eval()
    load_convnext_state(encoder, given, source=source)
    return encoder


def load_convnext_state(encoder: ConvNext, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load weights of any of the namings into ``encoder``, in place; stages that it does not have are left out, and a
    first convolution for another number of bands is averaged over its bands and spread, with the sum kept. Raises
    ModelError when names or shapes do not fit."""
    own = encoder.state_dict()
    given = timm_names(state)
    stages = len(encoder.channels)
    given = {k: v for k, v in given.items() if not re.match(r"stages\.(\d)", k) or int(k[7]) < stages}
    stem = given.get("stem.0.weight")
    if stem is not None and stem.ndim == 4 and stem.shape[1] != encoder.bands:
        given["stem.0.weight"] = (stem.sum(1, keepdim=True) / encoder.bands).expand(-1, encoder.bands, -1, -1)
    check_fit(given, own, of=encoder.name, source=source)
    with torch.no_grad():
        encoder.load_state_dict(given)
