"""What a task of fine-tuning must say of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from engine.training.calibration import Calibrated, Plain
from engine.training.data.dataset import Batch, PairDataset
from engine.training.data.items import Labels
from engine.training.report.charts import Rgb

Picture = tuple[str, Rgb]


@dataclass(frozen=True)
class TaskClass:
    """A class that is learned, its number being its place: ``value`` in maps and cards, ``name``, ``color``."""

    value: int
    name: str
    color: str | None = None

    def plain(self) -> dict[str, Any]:
        """As a card has it."""
        return {"value": self.value, "name": self.name} | ({"color": self.color} if self.color else {})


@dataclass(frozen=True)
class Measured:
    """What validation told. ``checked``: by what was mapped from ("s1", "s2", "both"); ``sensors``: the way that
    counts; ``squares``: number of validation squares; ``own``: they came from ``--validation``."""

    checked: Mapping[str, Calibrated]
    sensors: str
    squares: int
    own: bool

    @property
    def whole(self) -> Calibrated:
        """From all sensors of the model."""
        return self.checked[self.sensors]

    @property
    def what(self) -> str:
        """The data, for a card."""
        return "validation data" if self.own else "held-out events of the training data"


class Task(Protocol):
    """One of the tasks that ``--task`` names."""

    labels: Labels
    noun: str
    """The model of a title: "Flood model"."""
    reliability: str
    """The vertical axis of a reliability diagram."""
    features: int
    """Fewest channels of a decoder block of a new network."""
    s2_bands: tuple[str, ...]
    """Sentinel-2 bands where nothing else is asked for."""

    def prepared(self, data: PairDataset, place: str) -> PairDataset:
        """``data`` of one place with labels in the task's own codes; raises ParameterError where they mean another
        thing."""

    def classes(self, sets: Sequence[PairDataset]) -> tuple[TaskClass, ...]:
        """What is learned from ``sets`` after :meth:`prepared`; raises ParameterError for fewer than two classes."""

    def tables(self, probability: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Of pixels (n, classes) with labels (n,): the probability (n,) that must be calibrated, and whether (n,) that
        of which it is the probability is true."""

    def on_the_way(self, checked: Calibrated) -> dict[str, float]:
        """Figures for the curve, from validation while training goes on."""

    def figures(self, measured: Measured, classes: Sequence[TaskClass]) -> dict[str, Any]:
        """What ``result.json`` tells of validation."""

    def card(self, measured: Measured, classes: Sequence[TaskClass], sensors: Sequence[str]) -> dict[str, Any]:
        """``task``, ``title``, ``classes``, ``figures`` and what else only this task states in a card."""

    def tiles(self, figures: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Figures at the top of the report."""

    def sample_rows(
        self, data: PairDataset, indices: Sequence[int], probability: Tensor, batch: Batch, classes: Sequence[TaskClass]
    ) -> list[list[Picture]]:
        """Rows of pictures: images, label and prediction, ``probability`` (N, classes, H, W)."""


def shown(figure: Plain) -> str:
    """A figure with its interval, for people."""
    if figure["value"] is None:
        return "–"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
