"""Bird's-eye views restyled by a CycleGAN (Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks"): ResNet generators, patch discriminators, least-squares losses, λ 10, identity .5."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from engine.errors import ParameterError

CYCLE, IDENTITY = 10.0, 0.5
POOL = 50
Batch = dict[str, Tensor]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class Generator(nn.Module):
    """(N, 3, S, S) of 0…1 → the same in the other style; S a multiple of 4. ``blocks`` residual blocks (9 as
    published), ``width`` a factor of its 64 channels."""

    needs_style = False

    def __init__(self, *, blocks: int = 9, width: float = 1.0) -> None:
        super().__init__()
        if blocks < 1 or width <= 0:
            raise ParameterError(f"A generator needs a block and a positive width, found {blocks} and {width}.")
        c = max(1, round(64 * width))
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, c, 7), nn.InstanceNorm2d(c), nn.ReLU()]
        for n in (c, 2 * c):
            layers += [nn.Conv2d(n, 2 * n, 3, stride=2, padding=1), nn.InstanceNorm2d(2 * n), nn.ReLU()]
        layers += [_Residual(4 * c) for _ in range(blocks)]
        for n in (4 * c, 2 * c):
            layers += [
                nn.ConvTranspose2d(n, n // 2, 3, stride=2, padding=1, output_padding=1),
                nn.InstanceNorm2d(n // 2),
                nn.ReLU(),
            ]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(c, 3, 7), nn.Tanh()]
        self.body = nn.Sequential(*layers)
        _initialise(self)

    def forward(self, views: Tensor, mask: Tensor | None = None, style: Tensor | None = None) -> Tensor:
        out: Tensor = (self.body(views * 2 - 1) + 1) / 2
        return out if mask is None else out * mask


class Discriminator(nn.Module):
    """(N, 3, S, S) of 0…1 → (N, 1, s, s): how real each patch of 70 pixels looks (34 for S below 128)."""

    def __init__(self, *, width: float = 1.0, side: int = 256) -> None:
        super().__init__()
        c = max(1, round(64 * width))
        layers: list[nn.Module] = [nn.Conv2d(3, c, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        halvings = 3 if side >= 128 else 2
        for n in range(1, halvings + 1):
            before, after = c * min(2 ** (n - 1), 8), c * min(2**n, 8)
            stride = 1 if n == halvings else 2
            layers += [nn.Conv2d(before, after, 4, stride=stride, padding=1), nn.InstanceNorm2d(after)]
            layers.append(nn.LeakyReLU(0.2))
        layers.append(nn.Conv2d(c * min(2**halvings, 8), 1, 4, padding=1))
        self.body = nn.Sequential(*layers)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.body(images * 2 - 1)
        return out


class CycleGan(nn.Module):
    """The objective of :class:`engine.training.loop.TrainingLoop`: ``view`` and ``tile`` (N, 3, S, S) of 0…1, unpaired.

    Generators and discriminators learn in the same step: the generators' loss sees the discriminators as constants,
    the discriminators' loss sees what was generated, earlier too (:data:`POOL` pictures a side, in buffers so that a
    checkpoint holds them). ``seen`` (N, 1, S, S): what a bird's-eye view shows; its cycle is not asked for the rest.
    """

    views_ahead = True

    def __init__(self, *, side: int, blocks: int = 9, width: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.to_tile, self.to_view = (Generator(blocks=blocks, width=width) for _ in range(2))
        self.is_tile, self.is_view = (Discriminator(width=width, side=side) for _ in range(2))
        self.pool: Tensor
        self.filled: Tensor
        self.register_buffer("pool", torch.zeros(2, POOL, 3, side, side, dtype=torch.uint8))
        self.register_buffer("filled", torch.zeros(2, dtype=torch.int64))
        self._seed = seed
        self._made: list[tuple[int, Tensor]] = []

    def views(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Quarter turns and mirrors of tiles and views, and which earlier pictures the discriminators are shown."""
        n = len(batch["view"])
        out: Batch = {}
        for name in ("view", "tile"):
            quarters = torch.randint(4, (n,), generator=generator, device=generator.device)
            mirror = torch.rand(n, generator=generator, device=generator.device) < 0.5
            images = batch[name].float() / 255
            rows = [
                torch.rot90(x.flip(2) if m else x, int(q), dims=(1, 2))
                for x, q, m in zip(images, quarters, mirror, strict=True)
            ]
            stacked = torch.stack(rows)
            out[name] = stacked[:, :3]
            if name == "view":
                out["seen"] = stacked[:, 3:4] > 0.5
        out["earlier"] = torch.rand(2, n, generator=generator, device=generator.device) < 0.5
        out["which"] = torch.randint(POOL, (2, n), generator=generator, device=generator.device)
        return out

    def forward(self, views: Batch) -> Batch:
        view, tile = views["view"], views["tile"]
        seen = views["seen"].to(view.dtype)
        fake_tile, fake_view = self.to_tile(view), self.to_view(tile)
        fooled = sum(
            F.mse_loss(out, torch.ones_like(out))
            for out in (_frozen(self.is_tile, fake_tile), _frozen(self.is_view, fake_view))
        )
        cycle = _mean_difference(self.to_view(fake_tile), view, seen) + F.l1_loss(self.to_tile(fake_view), tile)
        same = F.l1_loss(self.to_tile(tile), tile) + _mean_difference(self.to_view(view), view, seen)
        told = torch.zeros((), device=view.device)
        self._made = []
        for side, (judge, real, fake) in enumerate(((self.is_tile, tile, fake_tile), (self.is_view, view, fake_view))):
            shown = self._shown(side, fake.detach(), views["earlier"][side], views["which"][side])
            right, wrong = judge(real), judge(shown)
            told = told + 0.5 * (F.mse_loss(right, torch.ones_like(right)) + F.mse_loss(wrong, torch.zeros_like(wrong)))
        makers = fooled + CYCLE * cycle + CYCLE * IDENTITY * same
        return {
            "loss": makers + told,
            "metric/loss_fooled": cast(Tensor, fooled).detach(),
            "metric/loss_cycle": cycle.detach(),
            "metric/loss_judges": told.detach(),
        }

    def after_step(self, step: int, total: int) -> None:
        """Put what was generated into the pool, the oldest first out."""
        with torch.no_grad():
            for side, fake in self._made:
                for image in (fake.clamp(0, 1) * 255).to(torch.uint8):
                    self.pool[side, int(self.filled[side]) % POOL] = image
                    self.filled[side] += 1
        self._made = []

    def _shown(self, side: int, fake: Tensor, earlier: Tensor, which: Tensor) -> Tensor:
        self._made.append((side, fake))
        full = bool(self.filled[side] >= POOL)
        old = self.pool[side][which].to(fake.dtype) / 255
        return torch.where(earlier[:, None, None, None] & full, old, fake)


def _frozen(judge: nn.Module, images: Tensor) -> Tensor:
    """``judge`` of ``images`` with no gradient for its own weights."""
    out: Tensor = functional_call(judge, {k: v.detach() for k, v in judge.named_parameters()}, (images,))
    return out


def _mean_difference(a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
    return ((a - b).abs() * weights).sum() / (3 * weights.sum()).clamp(min=1)


def _initialise(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
