"""From the cells of a study to its figures: means over seeds, differences to the baseline, reliability."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration
from engine.metrics.paired import mean_estimate, paired_difference
from engine.training.study.measures import Score


def cell_figures(cell: dict[str, Any], scores: Mapping[str, Score]) -> dict[str, Any]:
    """A finished cell with its scores (intervals over chips) and calibration, without counts and reliability."""
    counts = _scored(np.asarray(cell["counts"], np.float64))
    pixels = reliability_of([cell])
    hidden = ("items", "counts", "reliability")
    return {
        **{name: value for name, value in cell.items() if name not in hidden},
        **{name: pooled_estimate(score.rows(counts), score.figure).plain() for name, score in scores.items()},
        "ece": pixels.ece(),
        "brier": pixels.brier(),
    }


def _scored(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(…, n, w) without the chips that have no scored pixel: those stay out of pool and bootstrap."""
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
    scores: Mapping[str, Score],
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
                for name, score in scores.items():
                    line[name] = _mean(score, [own[seed] for seed in sorted(own)])
                line["differences"] = (
                    {
                        name: _difference(score, [own[seed] for seed in both], [other[seed] for seed in both])
                        for name, score in scores.items()
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
