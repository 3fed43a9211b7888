"""Which panoramas are trained on, which are held out without labels, and which true pairs may be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.crossview.data.items import CrossViewSet
from engine.training.rng import derive_seed

FEWEST = 8
"""With fewer panoramas to hold out none are: agreement among so few says nothing."""


@dataclass(frozen=True)
class Split:
    """Numbers of panoramas: ``train``, ``held_out``, and ``labelled`` (among ``train``) whose true tile may be used."""

    train: tuple[int, ...]
    held_out: tuple[int, ...]
    labelled: tuple[int, ...]


def split(data: CrossViewSet, *, labels: float, validation: float, seed: int) -> Split:
    """Panoramas held out at random, about ``validation`` of all (none where that is fewer than :data:`FEWEST`), and
    about ``labels`` of the pairs of the rest, at least one where ``labels`` is above 0.

    A smaller share of labels is part of every larger one of the same seed. Which pairs are true is read for
    ``labelled`` alone.
    """
    count = len(data.grounds)
    order = np.random.default_rng(derive_seed(seed, "held out")).permutation(count)
    aside = round(validation * count)
    aside = aside if aside >= FEWEST else 0
    held_out, train = sorted(order[:aside].tolist()), sorted(order[aside:].tolist())
    labelled: list[int] = []
    if labels > 0:
        paired = [i for i in train if data.matches[i].positive is not None]
        shuffled = np.random.default_rng(derive_seed(seed, "labels")).permutation(paired).tolist()
        labelled = sorted(int(i) for i in shuffled[: max(1, round(labels * len(paired)))])
    return Split(tuple(train), tuple(held_out), tuple(labelled))


def not_negative(data: CrossViewSet, grounds: Sequence[int]) -> list[list[int]]:
    """The further tiles that show the place of each labelled panorama of ``grounds``: no negatives of it."""
    return [list(data.matches[i].semi) for i in grounds]
