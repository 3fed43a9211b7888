"""ResNet encoders for any number of input bands (He et al. 2016, "Deep Residual Learning for Image Recognition").

Parameters carry the field's usual names (``conv1``, ``bn1``, ``layer1.0.conv1`` …), so state dicts published for
Sentinel-1 and Sentinel-2 load as they are; :func:`load_encoder_state` also drops the classifier and adapts the first
convolution where the number of bands differs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.models.fit import check_fit
from engine.models.memory_format import channels_last
from engine.models.names import EncoderName

_STAGES: dict[str, tuple[int, int, int, int]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
}

_VECTOR = 16
"""Numbers in the widest vector of a processor."""


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, channels * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x.add_(shortcut) if not x.requires_grad else x + shortcut)


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3 (with the stride) and 1 × 1 convolutions and a shortcut."""

    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, channels * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return self.relu(x.add_(shortcut) if not x.requires_grad else x + shortcut)


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and channels_in == channels_out:
        return None
    kind = Thinned if stride > 1 and channels_in < _VECTOR else nn.Conv2d
    return nn.Sequential(kind(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


class Thinned(nn.Conv2d):
    """A 1 × 1 convolution with a stride: pixels are left out first, then the rest is convolved; the same values.

    oneDNN's own way writes past its memory in the backward pass where the input has fewer channels than a vector has
    numbers (8 with AVX2, 16 with AVX-512) and they lie beside each other: wrong gradients, or the process dies
    (oneDNN issue 6035; seen with oneDNN 3.12 of torch 2.13 on AVX2).
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x[..., :: self.stride[0], :: self.stride[1]], self.weight, self.bias)


class ResNet(nn.Module):
    """An encoder without a classifier.

    ``bands`` input channels; ``width`` multiplies every channel count (1 is the published size); ``stages`` 1 to 4 of
    its stages. :meth:`forward` takes (batch, bands, rows, columns) and gives the features at strides 2, 4, 8, 16 and 32
    (as many as stages and one), finest first; :attr:`channels` are their channel counts.
    """

    def __init__(self, name: EncoderName = "resnet18", *, bands: int, width: float = 1.0, stages: int = 4) -> None:
        super().__init__()
        if name not in _STAGES:
            raise ParameterError(f"There is no encoder {name!r}; there are {', '.join(_STAGES)}.")
        if bands < 1 or width <= 0 or not 1 <= stages <= 4:
            raise ParameterError(
                f"An encoder needs at least 1 band, a positive width and 1 to 4 stages, found {bands}, {width} and "
                f"{stages}."
            )
        block: type[BasicBlock] | type[Bottleneck] = Bottleneck if name == "resnet50" else BasicBlock
        base = [max(1, round(c * width)) for c in (64, 64, 128, 256, 512)]
        self.name, self.bands, self.width = name, bands, width
        self.channels = (base[0], *(c * block.expansion for c in base[1 : stages + 1]))
        self.stride = 2 ** (stages + 1)
        self.conv1 = nn.Conv2d(bands, base[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before = base[0]
        sizes = list(zip(_STAGES[name], base[1:], strict=True))[:stages]
        for stage, (blocks, channels) in enumerate(sizes, start=1):
            layers: list[nn.Module] = []
            for index in range(blocks):
                stride = 2 if stage > 1 and index == 0 else 1
                layers.append(block(before, channels, stride))
                before = channels * block.expansion
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [self.relu(self.bn1(self.conv1(channels_last(x))))]
        x = self.maxpool(features[0])
        for stage in range(1, len(self.channels)):
            x = self.get_submodule(f"layer{stage}")(x)
            features.append(x)
        return features


def load_encoder_state(encoder: ResNet, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load published ResNet weights into ``encoder``, in place.

    ``fc.*`` and stages that ``encoder`` does not have are dropped. A first convolution for another number of bands is
    averaged over its bands and spread, with the sum kept (the usual way to reuse weights across sensors). ``source``
    names the weights in errors. Raises ModelError when names or shapes do not fit.
    """
    own = encoder.state_dict()
    absent = tuple(f"layer{stage}." for stage in range(len(encoder.channels), 5))
    given = {key: value for key, value in state.items() if not key.startswith(("fc.", *absent))}
    stem = given.get("conv1.weight")
    if stem is not None and stem.ndim == 4 and stem.shape[1] != encoder.bands:
        given["conv1.weight"] = (stem.sum(1, keepdim=True) / encoder.bands).expand(-1, encoder.bands, -1, -1)
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    check_fit(given, own, of=encoder.name, source=source, needless=counters)
    with torch.no_grad():
        encoder.load_state_dict(given, strict=False)
