"""What pretraining minimises: pairs of sensors, two views of one sensor, or momentum contrast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

import torch
from torch import Tensor, nn

from engine.models.losses.dense import dense_info_nce, valid_at
from engine.models.losses.gather import Gather
from engine.models.losses.infonce import info_nce
from engine.models.losses.moco import KeyQueue, moco_loss, momentum_copy, momentum_update
from engine.models.losses.ntxent import nt_xent, simclr
from engine.models.losses.scale import LogitScale
from engine.models.projection import DualEncoder, Embedder
from engine.models.resnet import ResNet

Batch = dict[str, Tensor]
Augment = Callable[[Batch, torch.Generator], Batch]
"""A batch of ``s1``, ``s2``, ``s1_valid``, ``s2_valid`` (those present) to an augmented one of the same names."""

CrossLoss = Literal["info-nce", "nt-xent", "dense"]
CROSS_LOSSES: dict[str, CrossLoss] = {
    "multimodal": "info-nce",
    "multimodal+aggressive": "info-nce",
    "multimodal-ntxent": "nt-xent",
    "dense": "dense",
}
"""Methods that need both sensors of a place, and their losses."""
DENSE_POINTS = 1024
SENSORS = ("s1", "s2")


class Temperature(nn.Module):
    """A fixed or a learned temperature."""

    def __init__(self, value: float, *, learned: bool) -> None:
        super().__init__()
        self.scale = LogitScale(value) if learned else None
        self._value = value

    def forward(self) -> float | Tensor:
        return self._value if self.scale is None else self.scale()

    def bound(self) -> None:
        """Keep a learned one in its range."""
        if self.scale is not None:
            self.scale.clamp_()


class CrossSensor(nn.Module):
    """The images of a place by two sensors are the positives; ``loss`` tells the negatives.

    "dense" is the mean of the pooled loss and that of places (at stride 16 unless the model is told another level).
    """

    views_ahead = True

    def __init__(
        self,
        model: DualEncoder,
        augment: Augment,
        *,
        loss: CrossLoss,
        temperature: Temperature,
        gather: Gather | None = None,
    ) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature
        self._augment, self._loss, self._gather = augment, loss, gather

    @property
    def encoders(self) -> dict[str, ResNet]:
        """The encoder of each sensor."""
        return {"s1": self.model.s1.encoder, "s2": self.model.s2.encoder}

    def views(self, batch: Batch, generator: torch.Generator) -> Batch:
        """One augmented view of each sensor."""
        return self._augment(batch, generator)

    def forward(self, views: Batch) -> Batch:
        found = self.model(views["s1"], views["s2"], views["s1_valid"], views["s2_valid"])
        a, b, temperature = found.s1.pooled, found.s2.pooled, self.temperature()
        if self._loss == "nt-xent":
            loss = nt_xent(a, b, temperature=temperature, group=self._gather)
        else:
            loss = info_nce(a, b, temperature=temperature, group=self._gather)
        out = {"metric/top1": retrieved(a, b), "metric/temperature": torch.as_tensor(temperature).detach()}
        if found.s1.dense is not None and found.s2.dense is not None:
            shape = (found.s1.dense.shape[2], found.s1.dense.shape[3])
            valid = valid_at(views["s1_valid"] & views["s2_valid"], shape)
            dense = dense_info_nce(
                found.s1.dense,
                found.s2.dense,
                temperature=temperature,
                valid=valid,
                points=DENSE_POINTS,
                group=self._gather,
            )
            out |= {"metric/loss_pooled": loss.detach(), "metric/loss_dense": dense.detach()}
            loss = 0.5 * (loss + dense)
        return {**out, "loss": loss, "embedding/s1": a, "embedding/s2": b}

    def after_step(self, step: int, total: int) -> None:
        """Bound the temperature."""
        self.temperature.bound()


class TwoViews(nn.Module):
    """SimCLR in each sensor by itself: two augmented views of an image are the positives."""

    views_ahead = True

    def __init__(
        self,
        embedders: dict[str, Embedder],
        augment: Augment,
        *,
        temperature: Temperature,
        gather: Gather | None = None,
    ) -> None:
        super().__init__()
        self.model, self.temperature = nn.ModuleDict(embedders), temperature
        self._augment, self._gather = augment, gather

    @property
    def encoders(self) -> dict[str, ResNet]:
        """The encoder of each sensor."""
        return {sensor: cast(Embedder, embedder).encoder for sensor, embedder in self.model.items()}

    def views(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Two augmented views, ``a.s1`` and ``b.s1`` and so on."""
        return two_views(self._augment, batch, generator)

    def forward(self, views: Batch) -> Batch:
        out: Batch = {}
        losses = []
        temperature = self.temperature()
        for sensor, embedder in self.model.items():
            a, b = (embedder(views[f"{view}.{sensor}"], views[f"{view}.{sensor}_valid"]).pooled for view in "ab")
            losses.append(simclr(a, b, temperature=temperature, group=self._gather))
            out |= {f"metric/top1_{sensor}": retrieved(a, b), f"embedding/{sensor}": a}
            out[f"metric/loss_{sensor}"] = losses[-1].detach()
        return {**out, "loss": torch.stack(losses).mean()}

    def after_step(self, step: int, total: int) -> None:
        """Bound the temperature."""
        self.temperature.bound()


class MomentumContrast(nn.Module):
    """MoCo-v2 in each sensor by itself: a slow encoder gives the keys, a queue of keys the negatives."""

    views_ahead = True

    def __init__(
        self,
        embedders: dict[str, Embedder],
        augment: Augment,
        *,
        temperature: Temperature,
        queue: int,
        momentum: float,
        dimensions: int,
        seed: int = 0,
        gather: Gather | None = None,
    ) -> None:
        super().__init__()
        self.model, self.temperature = nn.ModuleDict(embedders), temperature
        self.slow = nn.ModuleDict({sensor: momentum_copy(embedder) for sensor, embedder in embedders.items()})
        self.queues = nn.ModuleDict(
            {sensor: KeyQueue(queue, dimensions, seed=seed + number) for number, sensor in enumerate(embedders)}
        )
        self._augment, self._gather, self._momentum = augment, gather, momentum
        self._keys: list[tuple[str, Tensor]] = []

    @property
    def encoders(self) -> dict[str, ResNet]:
        """The encoder of each sensor."""
        return {sensor: cast(Embedder, embedder).encoder for sensor, embedder in self.model.items()}

    def views(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Two augmented views, ``a.s1`` (queries) and ``b.s1`` (keys) and so on."""
        return two_views(self._augment, batch, generator)

    def forward(self, views: Batch) -> Batch:
        out: Batch = {}
        losses = []
        temperature = self.temperature()
        for sensor, embedder in self.model.items():
            query = embedder(views[f"a.{sensor}"], views[f"a.{sensor}_valid"]).pooled
            with torch.no_grad():
                key = self.slow[sensor](views[f"b.{sensor}"], views[f"b.{sensor}_valid"]).pooled
            queue = cast(KeyQueue, self.queues[sensor]).keys
            losses.append(moco_loss(query, key, queue, temperature=temperature, group=self._gather))
            self._keys.append((sensor, key))
            out |= {f"metric/top1_{sensor}": retrieved(query, key), f"embedding/{sensor}": query}
            out[f"metric/loss_{sensor}"] = losses[-1].detach()
        return {**out, "loss": torch.stack(losses).mean()}

    def after_step(self, step: int, total: int) -> None:
        """Move the slow encoders, then queue the keys of the step."""
        self.temperature.bound()
        for sensor, embedder in self.model.items():
            momentum_update(self.slow[sensor], embedder, self._momentum)
        for sensor, key in self._keys:
            cast(KeyQueue, self.queues[sensor]).push(key, group=self._gather)
        self._keys.clear()


def two_views(augment: Augment, batch: Batch, generator: torch.Generator) -> Batch:
    """``augment`` applied twice, names prefixed by ``a.`` and ``b.``."""
    return {f"{view}.{name}": value for view in "ab" for name, value in augment(batch, generator).items()}


@torch.no_grad()
def retrieved(a: Tensor, b: Tensor) -> Tensor:
    """Share of rows of ``a`` (N, D) whose nearest row of ``b`` is their partner; ties count against."""
    scores = a.detach().float() @ b.detach().float().T
    own = scores.diagonal()[:, None]
    beaten = (scores >= own).sum(1) - 1
    return (beaten == 0).float().mean() if len(a) else scores.new_zeros(())
