"""From the cells of a study to its figures: means over seeds, differences to the baseline, reliability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.metrics.bootstrap import Figure, pooled_estimate
from engine.metrics.calibration import PercentCalibration
from engine.metrics.paired import mean_estimate, paired_difference
from engine.metrics.segmentation import figures_of_counts, ratio_or_nan

MIN_WATER_SHARE = 0.01
"""``mean_iou`` is over the chips with at least this share of water in their scored pixels, as in evaluation."""

Rows = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Score:
    """A score of counts by chip: ``rows`` (…, n, 4) → (…, n, k) that add up over chips, ``figure`` of their sums."""

    title: str
    rows: Rows
    figure: Figure


def _same(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts


def _ious_of_wet_chips(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(IoU, 1) of chips with enough water, (0, 0) of the others."""
    water = counts[..., 0] + counts[..., 2]
    wet = (water > 0) & (water >= MIN_WATER_SHARE * counts.sum(axis=-1))
    ious = figures_of_counts("iou", counts)
    return np.stack([np.where(wet, ious, 0.0), wet.astype(np.float64)], axis=-1)


SCORES = {
    "iou": Score("Water IoU, all chips together", _same, partial(figures_of_counts, "iou")),
    "f1": Score("Water F1, all chips together", _same, partial(figures_of_counts, "f1")),
    "mean_iou": Score(
        "Mean water IoU of chips with water",
        _ious_of_wet_chips,
        lambda sums: ratio_or_nan(sums[..., 0], sums[..., 1]),
    ),
}


def cell_figures(cell: dict[str, Any]) -> dict[str, Any]:
    """A finished cell with its scores (intervals over chips) and calibration, without counts and reliability."""
    counts = _scored(np.asarray(cell["counts"], np.float64).reshape(-1, 4))
    pixels = reliability_of([cell])
    hidden = ("items", "counts", "reliability")
    return {
        **{name: value for name, value in cell.items() if name not in hidden},
        **{name: pooled_estimate(score.rows(counts), score.figure).plain() for name, score in SCORES.items()},
        "ece": pixels.ece(),
        "brier": pixels.brier(),
    }


def _scored(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, n, 4) without the chips that have no scored pixel: those stay out of pool and bootstrap."""
    some = counts.sum(axis=-1) > 0
    return counts[..., some.reshape(-1, some.shape[-1]).any(axis=0), :]


def reliability_of(cells: Sequence[dict[str, Any]]) -> PercentCalibration:
    """Of the pixels of all these cells together."""
    whole = PercentCalibration()
    for cell in cells:
        whole.add_table(cell["reliability"])
    return whole


def summarise(
    cells: Sequence[dict[str, Any]],
    *,
    methods: Sequence[str],
    modes: Sequence[str],
    fractions: Sequence[float],
    baseline: str,
    check: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """A line for each mode, method and fraction that has a cell: for each score the mean over seeds with its interval
    over chips and the range of the seeds; its paired difference to the baseline over the seeds that both have (None
    for the baseline itself and without one); mean calibration error and Brier score.
    """
    by_key: dict[tuple[str, str, float], dict[int, dict[str, Any]]] = {}
    for cell in cells:
        by_key.setdefault((cell["mode"], cell["method"], cell["fraction"]), {})[cell["seed"]] = cell
    lines = []
    for mode in modes:
        for method in methods:
            for fraction in fractions:
                own = by_key.get((mode, method, fraction), {})
                if not own:
                    continue
                check()
                other = by_key.get((mode, baseline, fraction), {}) if method != baseline else {}
                both = sorted(own.keys() & other.keys())
                line: dict[str, Any] = {"mode": mode, "method": method, "fraction": fraction, "seeds": sorted(own)}
                line["squares"] = float(np.mean([cell["squares"] for cell in own.values()]))
                line["events"] = float(np.mean([cell["events"] for cell in own.values()]))
                for name, score in SCORES.items():
                    line[name] = _mean(score, [own[seed] for seed in sorted(own)])
                line["differences"] = (
                    {
                        name: _difference(score, [own[seed] for seed in both], [other[seed] for seed in both])
                        for name, score in SCORES.items()
                    }
                    if both
                    else None
                )
                line["ece"] = _average([reliability_of([cell]).ece() for cell in own.values()])
                line["brier"] = _average([reliability_of([cell]).brier() for cell in own.values()])
                lines.append(line)
    return lines


def _counts(cells: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    return np.asarray([cell["counts"] for cell in cells], np.float64)


def _mean(score: Score, cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counts = _scored(_counts(cells))
    by_seed = score.figure(score.rows(counts).sum(axis=-2))
    return {**mean_estimate(score.rows(counts), score.figure).plain(), **_range(by_seed)}


def _difference(score: Score, own: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> dict[str, Any]:
    both = _scored(np.stack([_counts(own), _counts(other)]))
    first, second = score.rows(both[0]), score.rows(both[1])
    by_seed = score.figure(first.sum(axis=-2)) - score.figure(second.sum(axis=-2))
    return {**paired_difference(first, second, score.figure).plain(), "seeds": len(own), **_range(by_seed)}


def _range(by_seed: NDArray[np.float64]) -> dict[str, float | None]:
    known = by_seed[np.isfinite(by_seed)]
    return {
        "lowest_seed": float(known.min()) if known.size else None,
        "highest_seed": float(known.max()) if known.size else None,
    }


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
