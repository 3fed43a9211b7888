"""What fine-tuning minimises: a segmenter of one sensor or two over augmented, labelled squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.models.resnet import ResNet
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter
from engine.training.data.augment import Geometry, Photometry, joint_geometry, photometry
from engine.training.data.items import IGNORE
from engine.training.daylight import Daylight, Reflectances, relit
from engine.training.objectives import Batch
from engine.training.segmentation_losses import FOCUS, cross_entropy, dice
from engine.training.shrinking import shrunk
from engine.training.symmetry import turned

Network = Segmenter | TwoSensorSegmenter


@dataclass(frozen=True, kw_only=True)
class Variation:
    """How squares are varied beside mirroring and turning, each sample by its own draw.

    ``jitter``: every band is moved by up to so many standard deviations; ``common_jitter``: all bands of a sensor
    together (calibration and incidence move the polarisations alike); ``gain``: deviations from the mean are multiplied
    by 1 − gain … 1 + gain; ``scale``: magnified up to so many times, all sensors and the label alike (1: never);
    ``shrink``: reduced up to so many times (see :mod:`engine.training.shrinking`); ``hide``: share of the samples in
    which bands are set to their mean, each of the bands whose numbers ``hidden`` has by even chance; ``daylight``:
    other light on the bands of Sentinel-2, which ``optical`` describes; ``drop_sensor``: probability that one of two
    sensors, either equally likely, is masked.
    """

    jitter: float = 0.15
    common_jitter: float = 0.0
    gain: float = 0.0
    scale: float = 1.0
    shrink: float = 1.0
    hide: float = 0.0
    hidden: tuple[int, ...] = ()
    daylight: Daylight = Daylight()  # noqa: RUF009 - frozen
    optical: Reflectances | None = None
    drop_sensor: float = 0.0

    @property
    def photometry(self) -> Photometry:
        """The photometric part."""
        return Photometry(
            gain=self.gain, offset=self.jitter, common=self.common_jitter, blur=0.0, drop=0.0, speckle=0.0
        )

    @property
    def geometry(self) -> Geometry:
        """The geometric part where something is magnified: the share of the square's area that is seen."""
        return Geometry(area=(self.scale**-2, 1.0))


class Segmentation(nn.Module):
    """A network and its objective. ``network`` takes the bands of ``sensors``: one of them, or s1 and s2."""

    views_ahead = True

    def __init__(
        self,
        network: Network,
        *,
        sensors: Sequence[str],
        loss: str,
        weights: Tensor | None,
        variation: Variation | None = None,
        smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.network, self.sensors = network, tuple(sensors)
        self.variation = variation or Variation()
        self._loss, self._smoothing = loss, smoothing
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def views(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The augmented inputs and labels."""
        layers = [name for sensor in self.sensors for name in (sensor, f"{sensor}_valid")]
        kept = {name: batch[name] for name in (*layers, "label")}
        if self.variation.scale > 1:
            seen = joint_geometry(kept, self.variation.geometry, generator)
        else:
            seen = turned(kept, (*layers, "label"), generator)
        if self.variation.shrink > 1:
            seen = shrunk(kept, seen, self.variation.scale, self.variation.shrink, generator)
        if len(self.sensors) == 2 and self.variation.drop_sensor > 0:
            seen = _one_dropped(seen, self.sensors, self.variation.drop_sensor, generator)
        if "s2" in self.sensors and self.variation.daylight and self.variation.optical is not None:
            seen["s2"] = relit(seen["s2"], seen["s2_valid"], self.variation.optical, self.variation.daylight, generator)
        for sensor in self.sensors:
            seen[sensor] = photometry(seen[sensor], seen[f"{sensor}_valid"], self.variation.photometry, generator)
        if "s2" in self.sensors and self.variation.hide > 0 and self.variation.hidden:
            seen["s2"] = _bands_hidden(seen["s2"], self.variation, generator)
        return seen

    def forward(self, views: Batch) -> Batch:
        logits = predicted(self.network, views, self.sensors)
        label = known_label(views, self.sensors)
        focus = FOCUS if self._loss.startswith("focal") else 0.0
        loss = cross_entropy(logits, label, weights=self.weights, focus=focus, smoothing=self._smoothing)
        if self._loss.endswith("dice"):
            loss = loss + dice(logits, label)
        known = label != IGNORE
        right = ((logits.detach().argmax(1) == label) & known).sum() / known.sum().clamp(min=1)
        return {"loss": loss, "metric/accuracy": right}

    def after_step(self, step: int, total: int) -> None:
        """Nothing follows a step."""


def _one_dropped(batch: Batch, sensors: tuple[str, ...], share: float, generator: torch.Generator) -> Batch:
    """``batch`` with one sensor of about ``share`` of the samples masked; a sample that has one sensor keeps it."""
    first, second = (f"{sensor}_valid" for sensor in sensors)
    draws = torch.rand((2, len(batch["label"])), generator=generator, device=generator.device).to(batch[first].device)
    whole = batch[first].flatten(1).any(1) & batch[second].flatten(1).any(1)
    dropped = whole & (draws[0] < share)
    out = dict(batch)
    for sensor, chosen in zip(sensors, (draws[1] < 0.5, draws[1] >= 0.5), strict=True):
        gone = (dropped & chosen)[:, None, None, None]
        out[sensor] = batch[sensor].masked_fill(gone, 0.0)
        out[f"{sensor}_valid"] = batch[f"{sensor}_valid"] & ~gone
    return out


def _bands_hidden(image: Tensor, variation: Variation, generator: torch.Generator) -> Tensor:
    """``image`` (N, bands, H, W) with bands at 0, their mean."""
    drawn = torch.rand((2, *image.shape[:2]), generator=generator, device=generator.device).to(image.device)
    allowed = torch.zeros(image.shape[1], dtype=torch.bool, device=image.device)
    allowed[list(variation.hidden)] = True
    gone = (drawn[0, :, :1] < variation.hide) & (drawn[1] < 0.5) & allowed
    return image.masked_fill(gone[:, :, None, None], 0.0)


def predicted(network: Network, batch: Batch, sensors: Sequence[str]) -> Tensor:
    """Logits (N, classes, H, W) from the ``sensors`` of a batch (N, bands, H, W); a two-sensor network may be given
    one of its two."""
    if isinstance(network, TwoSensorSegmenter):
        given = {name: batch[name] for sensor in sensors for name in (sensor, f"{sensor}_valid")}
        both: Tensor = network(**given)
        return both
    one: Tensor = network(batch[sensors[0]])
    return one


def known_label(batch: Batch, sensors: Sequence[str]) -> Tensor:
    """The label (N, H, W), −1 where none of the ``sensors`` has a valid pixel."""
    valid = batch[f"{sensors[0]}_valid"][:, 0]
    for sensor in sensors[1:]:
        valid = valid | batch[f"{sensor}_valid"][:, 0]
    return torch.where(valid, batch["label"], IGNORE)


def encoders_of(network: Network) -> list[ResNet]:
    """The network's encoders."""
    return [network.s1, network.s2] if isinstance(network, TwoSensorSegmenter) else [network.encoder]


def whole_cells(batch: Batch) -> Batch:
    """The upper left of the squares, as far as the network's divisor reaches."""
    side = batch["label"].shape[-1] // Segmenter.divisor * Segmenter.divisor
    return {name: value[..., :side, :side] if value.ndim >= 3 else value for name, value in batch.items()}
