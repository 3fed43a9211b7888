"""ConvNeXt encoders (Liu et al. 2022, "A ConvNet for the 2020s").

Parameters carry the names of timm (``stem.0``, ``stages.1.blocks.0.conv_dw`` …), the ones that most published
checkpoints have; :mod:`engine.models.convnext_weights` brings torchvision's and the authors' names to them.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.models.names import ConvNextName

_SIZES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "convnext_tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "convnext_small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "convnext_base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
}
STEM_CHANNELS = {name: channels[0] for name, (_, channels) in _SIZES.items()}
_EPS = 1e-6
_LAYER_SCALE = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, H, W), at each place by itself."""

    def forward(self, x: Tensor) -> Tensor:
        moved = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return moved.permute(0, 3, 1, 2)


class Mlp(nn.Module):
    """Linear, GELU, linear over the last axis."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class ConvNextBlock(nn.Module):
    """7 × 7 depthwise convolution, normalisation, an MLP at each place, a scale for each channel, and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPS)
        self.mlp = Mlp(channels)
        self.gamma = nn.Parameter(_LAYER_SCALE * self.conv_dw.weight.new_ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.mlp(self.norm(self.conv_dw(x).permute(0, 2, 3, 1))) * self.gamma
        return x + y.permute(0, 3, 1, 2)


class ConvNextStage(nn.Module):
    """A stage: halve the resolution (all but the first), then blocks."""

    def __init__(self, channels_in: int, channels: int, blocks: int, *, first: bool) -> None:
        super().__init__()
        self.downsample: nn.Module = nn.Identity()
        if not first:
            self.downsample = nn.Sequential(
                ChannelNorm(channels_in, eps=_EPS), nn.Conv2d(channels_in, channels, 2, stride=2)
            )
        self.blocks = nn.Sequential(*(ConvNextBlock(channels) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.downsample(x))
        return out


class ConvNext(nn.Module):
    """An encoder without a classifier.

    ``bands`` input channels; ``width`` multiplies every channel count and ``depth`` every number of blocks (at least
    one stays; 1 and 1 are the published size); ``stages`` 1 to 4 of its stages. :meth:`forward` takes (N, bands, rows,
    columns), both at least :attr:`stride`, and gives the features at strides 4, 8, 16 and 32 (as many as stages),
    finest first; :attr:`channels` are their channel counts. Raises ParameterError for other names and sizes.
    """

    def __init__(
        self, name: ConvNextName = "convnext_tiny", *, bands: int = 3, width: float = 1.0, depth: float = 1.0,
        stages: int = 4,
    ) -> None:  # fmt: skip
        super().__init__()
        if name not in _SIZES:
            raise ParameterError(f"There is no encoder {name!r}; there are {', '.join(_SIZES)}.")
        if bands < 1 or width <= 0 or depth <= 0 or not 1 <= stages <= 4:
            raise ParameterError(
                f"An encoder needs at least 1 band, a positive width and depth and 1 to 4 stages, found {bands}, "
                f"{width}, {depth} and {stages}."
            )
        blocks, channels = _SIZES[name]
        self.name, self.bands, self.width, self.depth = name, bands, width, depth
        self.channels = tuple(max(1, round(c * width)) for c in channels[:stages])
        self.blocks = tuple(max(1, round(n * depth)) for n in blocks[:stages])
        self.stride = 4 * 2 ** (stages - 1)
        self.stem = nn.Sequential(
            nn.Conv2d(bands, self.channels[0], 4, stride=4), ChannelNorm(self.channels[0], eps=_EPS)
        )
        before = (self.channels[0], *self.channels[:-1])
        self.stages = nn.Sequential(
            *(
                ConvNextStage(*sizes, first=number == 0)
                for number, sizes in enumerate(zip(before, self.channels, self.blocks, strict=True))
            )
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
