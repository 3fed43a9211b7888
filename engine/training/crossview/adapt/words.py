"""What an adaptation may be expected to be worth, and what it was worth, in plain sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.metrics.bootstrap import mean_estimate

FEW, MANY = 200, 2000
NAMES = {
    "chance": "by chance",
    "geometric": "geometric method, not trained",
    "before": "before the training",
    "after": "after the training",
    "search_before": "before the training (verified)",
    "search_after": "after the training (verified)",
}
FIRST = "recall@1<50m"
_FIRST_M = 50.0


def expectation(photos: int, *, from_model: bool, believed: int = 0, right: dict[str, Any] | None = None) -> list[str]:
    """What to expect of so many photos, before anything is trained; of ``believed`` a search has found the places, of
    which ``right`` are right (:func:`engine.training.crossview.adapt.measure.places_right`)."""
    if believed:
        lines = [
            f"No position that a photo tells is used: {believed} of {photos} photos are learned from at the places "
            "where a search by the model finds them with confidence.",
            *([_of_found(right)] if right else []),
            "Of 400 photos of a simulated suburb the starter model learned to place 59 of 100 others within 50 m at "
            "the first guess, 53 before.",
        ]
    else:
        lines = [
            "No pair of photo and place is used: the network learns from what photos and imagery show by themselves, "
            "which is worth far less than pairs."
        ]
        lines += _of_few(photos, from_model=from_model)
    lines.append("The figures on photos kept apart decide; without photos of known position nothing is measured.")
    return lines


def _of_found(right: dict[str, Any]) -> str:
    said = f"The search expects {100 * right['expected']:.0f} % of these places to be within 25 m of the truth"
    one = right["measured"]
    if one is None:
        return f"{said}; too few of these photos tell where they were taken to check it."
    interval = f"{100 * one['low']:.0f} to {100 * one['high']:.0f} %"
    return f"{said}; of the {right['n']} whose position is known {100 * one['value']:.0f} % ({interval}) are."


def _of_few(photos: int, *, from_model: bool) -> list[str]:
    if from_model and photos < MANY:
        return [
            f"{photos} photos are few: going on with a trained model may make it worse, as 400 of a simulated town did "
            "(22 of 100 others placed within 50 m at the first guess, 34 before)."
        ]
    if not from_model and photos < FEW:
        return [
            f"{photos} photos are few: 128 of a simulated city taught a network that started at random nothing, where "
            "the geometric method, which needs no training, placed every second photo within 50 m."
        ]
    if not from_model and photos < MANY:
        return [f"{photos} photos carry a small network; published results without pairs come from tens of thousands."]
    return []


def verdict(away: dict[str, NDArray[np.float64]], *, start: str) -> list[str]:
    """What the photos of a group say: ``away`` method → (n, K) metres to the candidates, of the same photos. A model is
    judged as it is used: by the whole search where it has one."""
    before, after = ("search_before", "search_after") if "search_after" in away else ("before", "after")
    own = _hits(away[after])
    lines = []
    for name in (before, "geometric"):
        if name not in away:
            continue
        other = _hits(away[name])
        gain = mean_estimate(own - other)
        what = f"{start} before the training" if name == before else "the geometric method"
        lines.append(_compared(gain.value or 0.0, gain.low or 0.0, gain.high or 0.0, what))
    return lines


def _compared(value: float, low: float, high: float, what: str) -> str:
    range_ = f"{100 * value:+.0f} points, interval {100 * low:+.0f} to {100 * high:+.0f}"
    if low > 0:
        return f"The first guess is within 50 m more often than with {what} ({range_})."
    if high < 0:
        return f"The first guess is within 50 m less often than with {what} ({range_}): search with that instead."
    return f"The first guess cannot be told apart from that of {what} ({range_})."


def _hits(away: NDArray[np.float64]) -> NDArray[np.float64]:
    return (away[:, 0] < _FIRST_M).astype(np.float64)


def summary_line(group: str, measured: dict[str, Any]) -> str:
    """One line of a group's figures: the share whose first guess is within 50 m, method by method."""
    n = next(iter(measured.values()))["n"]
    hidden = ("before", "after") if "search_after" in measured else ()
    parts = [
        f"{100 * one['pooled'][FIRST]['value']:.0f} % {NAMES[name]}"
        for name, one in measured.items()
        if name not in hidden
    ]
    whose = "kept apart" if group == "apart" else "learned from (their positions were not)"
    return f"Of {n} photos {whose}, the first guess is within 50 m for: {', '.join(parts)}."
