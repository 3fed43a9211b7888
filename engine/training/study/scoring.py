"""Scoring a model on test data: counts by chip, reliability of all pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.device import choose_device
from engine.errors import ParameterError
from engine.events import Reporter
from engine.models.bundle import Bundle
from engine.training.calibration import calibrate
from engine.training.data.crops import Sample
from engine.training.data.dataset import PairDataset
from engine.training.labelled import open_labelled, statistics_of
from engine.training.study.measures import Measure

_AT_ONCE = {"cpu": 2}
"""Squares at a time: few on a processor, so that a cancel is heard within a second or so."""


@dataclass(frozen=True)
class Chips:
    """The data that every model is scored on: packs, their labelled squares that have every sensor, and the chip that
    each square is of."""

    packs: list[PairDataset]
    squares: list[list[int]]
    chips: list[list[int]]
    names: list[str]

    @classmethod
    def open(cls, paths: Sequence[str], bands: Mapping[str, tuple[str, ...]], measure: Measure) -> Chips:
        """Raises ParameterError when no square has a label, and what opening a pack raises."""
        task, quiet = measure.task, Reporter()
        packs = [open_labelled([path], bands, side=0, broken=1.0, reporter=quiet, task=task) for path in paths]
        squares = [[i for i, sample in enumerate(pack.samples) if _counts(sample, bands)] for pack in packs]
        names: dict[str, int] = {}
        chips = []
        for number, (pack, chosen) in enumerate(zip(packs, squares, strict=True)):
            prefix = f"{number + 1}:" if len(packs) > 1 else ""  # a name may stand in two places
            own = [f"{prefix}{pack.samples[i].name.rpartition('/')[0]}" for i in chosen]
            chips.append([names.setdefault(name, len(names)) for name in own])
        if not names:
            raise ParameterError(
                f"{', '.join(paths)}: no test item has a label and {' and '.join(bands)}.",
                remedy="Give labelled test data.",
            )
        return cls(packs, squares, chips, list(names))

    def left_out(self) -> list[dict[str, str]]:
        """Items that are not scored, and why."""
        return [{"name": one.name, "why": one.why} for pack in self.packs for one in pack.left_out]


def _counts(sample: Sample, sensors: Iterable[str]) -> bool:
    there = {"s1": sample.has_s1, "s2": sample.has_s2}
    return sample.labelled and all(there[sensor] for sensor in sensors)


def score_model(bundle: Bundle, test: Chips, device: str, reporter: Reporter, *, measure: Measure) -> dict[str, Any]:
    """``items`` (names of chips), ``counts`` (what ``measure`` counts of each) and ``reliability`` ((2, 101) pixels
    by whether it came true and probability in per cent, after the card's temperature). Scored: pixels with a label,
    valid in all bands of a sensor.
    """
    chosen = choose_device(device)
    two = bundle.card.network.architecture == "two-sensor-unet"
    network = (bundle.two_sensor() if two else bundle.network()).to(chosen.torch).eval()
    statistics = {
        sensor: statistics_of([band for band in bundle.card.bands if band.sensor == sensor])
        for sensor in bundle.card.sensors
    }
    at_once = _AT_ONCE.get(chosen.kind, 16)
    mapped = [one.value for one in bundle.card.classes]
    values = [*mapped, *(value for value in measure.values if value not in mapped)]
    numbers = {value: number for number, value in enumerate(values)}
    sums = np.zeros((len(test.names), len(values), len(mapped)), np.int64)
    table = np.zeros((2, 101), np.int64)
    total, done = sum(map(len, test.squares)), 0
    for pack, squares, chips in zip(test.packs, test.squares, test.chips, strict=True):
        data = pack.normalised_by(statistics).relabelled(numbers, legend=pack.legend)
        for start in range(0, len(squares), at_once):
            reporter.progress(done / total, "score", f"test square {done + 1} of {total}")
            part = squares[start : start + at_once]
            found = calibrate(
                network,
                data,
                part,
                tables=measure.task.tables,
                fit=False,
                temperature=bundle.card.temperature,
                at_once=at_once,
                truths=len(values),
            )
            for chip, matrix, own in zip(chips[start:], found.matrices, found.tables, strict=False):
                sums[chip] += matrix
                table += own
            done += len(part)
    counts = [measure.counts(matrix, values) for matrix in sums]
    return {"items": test.names, "counts": counts, "reliability": table.tolist()}
