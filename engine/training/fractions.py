"""Fewer labels: nested shares of the labelled samples, drawn by event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.training.rng import derive_seed


def nested_fraction(groups: Sequence[str], fraction: float, *, seed: int) -> list[int]:
    """Indexes of about ``fraction`` (0…1) of the samples, whose events are ``groups``, in order.

    Whole events come in an order drawn from ``seed``; of the event in which the share is reached, only as many samples
    as are missing, in an order of their own. So a smaller share is part of every larger one of the same seed, and a
    small share has few events, as in practice. At least one sample. Raises ValueError outside 0…1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"A share lies above 0 and at most at 1, found {fraction}.")
    wanted = min(len(groups), max(1, round(fraction * len(groups))))
    events = sorted(set(groups))
    order = np.random.default_rng(derive_seed(seed, "events")).permutation(len(events))
    taken: list[int] = []
    for number in order:
        inside = [i for i, group in enumerate(groups) if group == events[number]]
        shuffled = np.random.default_rng(derive_seed(seed, "event", events[number])).permutation(inside)
        taken += [int(i) for i in shuffled[: wanted - len(taken)]]
        if len(taken) == wanted:
            break
    return sorted(taken)


def held_out(groups: Sequence[str], share: float, *, seed: int) -> tuple[list[int], list[int]]:
    """(training, validation) indexes: whole events, together at least ``share`` of the samples, are held out; never
    all. With one event nothing can be held out by event, and validation is empty."""
    events = sorted(set(groups))
    order = np.random.default_rng(derive_seed(seed, "validation")).permutation(len(events))
    chosen: set[str] = set()
    for number in order[: len(events) - 1]:
        if sum(group in chosen for group in groups) >= share * len(groups):
            break
        chosen.add(events[number])
    validation = [i for i, group in enumerate(groups) if group in chosen]
    return [i for i, group in enumerate(groups) if group not in chosen], validation
