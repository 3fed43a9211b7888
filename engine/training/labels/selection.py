"""Which head, and how good it is: both by blocks that were held out, and the second apart from the first.

The penalty (and whether cosines help) is chosen by cross-validation over folds of blocks. What is reported of a fold
comes from a head that was chosen without it too (nested cross-validation: Varma and Simon 2006, "Bias in error
estimation when using cross-validation for model selection"). The head that ships is then fitted to all labels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.training.labels.logistic import Logistic, class_balance, fit_logistic

WAVES = 128
"""Random cosines, where they are used."""
_LENGTH = 2.0
"""How far two pixels are apart, in units of the mean distance's root, for cosines to tell them apart."""


@dataclass(frozen=True)
class Choice:
    """One way to fit: the L2 ``penalty``, and whether cosines are added."""

    penalty: float
    waves: bool = False


CHOICES = (
    Choice(0.001),
    Choice(0.003),
    Choice(0.01),
    Choice(0.03),
    Choice(0.001, waves=True),
    Choice(0.004, waves=True),
)


@dataclass(frozen=True)
class Waves:
    """``weight`` (inputs, waves) and ``bias`` (waves,) of the cosines of :class:`engine.models.pixel.PixelSegmenter`."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def drawn(cls, inputs: int, generator: torch.Generator) -> Waves:
        """Drawn for standardised inputs."""
        weight = torch.randn(inputs, WAVES, generator=generator, dtype=torch.float64) / (_LENGTH * math.sqrt(inputs))
        return cls(weight, 2 * math.pi * torch.rand(WAVES, generator=generator, dtype=torch.float64))

    def of(self, inputs: Tensor) -> Tensor:
        """(n, inputs + waves)."""
        return torch.cat([inputs, math.sqrt(2 / WAVES) * torch.cos(inputs @ self.weight + self.bias)], dim=1)


@dataclass(frozen=True)
class Selected:
    """The ``choice`` and the head fitted to all labels; ``held_out`` (n, classes) logits of every pixel from heads that
    saw neither its fold nor were chosen by it (NaN with fewer than two folds); ``losses`` of each choice."""

    choice: Choice
    head: Logistic
    held_out: Tensor
    losses: tuple[tuple[Choice, float], ...]


def select(
    inputs: Tensor,
    labels: Tensor,
    fold: NDArray[np.int64],
    fit_on: NDArray[np.int64],
    classes: int,
    *,
    waves: Waves,
    choices: Sequence[Choice] = CHOICES,
    told: Callable[[float, str, dict[str, float]], None] = lambda share, words, row: None,
) -> Selected:
    """Choose, measure and fit. ``inputs`` (n, inputs) float64, standardised; ``labels`` (n,); ``fold`` (n,) from 0;
    ``fit_on``: indexes of the pixels that heads are fitted to (large polygons thinned). ``told`` hears the share done,
    what is going on and figures for the log."""
    made = {False: inputs, True: waves.of(inputs)} if any(c.waves for c in choices) else {False: inputs}
    folds = int(fold.max()) + 1 if len(fold) else 0
    owner = fold[fit_on]
    pairs = list(itertools.combinations_with_replacement(range(folds), 2)) if folds > 1 else []
    total = len(pairs) * len(choices) + 1
    done = 0

    def fitted(choice: Choice, without: tuple[int, ...], start: Logistic | None) -> Logistic:
        index = torch.from_numpy(fit_on[~np.isin(owner, without)])
        return fit_logistic(made[choice.waves][index], labels[index], classes, penalty=choice.penalty, start=start)

    # Heads without folds a and b serve twice: to judge b where a is kept apart, and a where b is.
    heads: dict[tuple[Choice, int, int], Logistic] = {}
    single: dict[Choice, float] = {}
    for choice in choices:
        for a, b in pairs:
            near = heads.get((choice, a, a))
            heads[choice, a, b] = fitted(choice, (a, b), near)
            done += 1
            told(done / total, f"{_words(choice)}: fold {a + 1} of {folds}", {})
        if pairs:
            single[choice] = _loss(choice, heads, made, labels, fold, fit_on, classes, apart=None)
            told(done / total, _words(choice), {"validation_loss": single[choice]})
    best = min(single, key=lambda c: single[c]) if single else choices[min(2, len(choices) - 1)]
    held_out = torch.full((len(labels), classes), float("nan"), dtype=torch.float64)
    for a in range(folds if pairs else 0):
        inner = {c: _loss(c, heads, made, labels, fold, fit_on, classes, apart=a) for c in choices}
        chosen = min(inner, key=lambda c: inner[c]) if folds > 2 else best
        rows = torch.from_numpy(np.flatnonzero(fold == a))
        held_out[rows] = heads[chosen, a, a].logits(made[chosen.waves][rows])
    index = torch.from_numpy(fit_on)

    def last(step: int, loss: float) -> None:
        told(done / total, f"{_words(best)}: step {step}, loss {loss:.4f}", {"loss": loss})

    head = fit_logistic(made[best.waves][index], labels[index], classes, penalty=best.penalty, told=last)
    return Selected(best, head, held_out, tuple(single.items()))


def _words(choice: Choice) -> str:
    return f"penalty {choice.penalty:g}{' with cosines' if choice.waves else ''}"


def _loss(
    choice: Choice,
    heads: dict[tuple[Choice, int, int], Logistic],
    made: dict[bool, Tensor],
    labels: Tensor,
    fold: NDArray[np.int64],
    fit_on: NDArray[np.int64],
    classes: int,
    *,
    apart: int | None,
) -> float:
    """Class-balanced cross entropy of held-out folds; ``apart``: the fold that neither trains nor is judged."""
    owner = fold[fit_on]
    weights = class_balance(labels[torch.from_numpy(fit_on)], classes)
    total = count = 0.0
    for b in range(int(fold.max()) + 1):
        if b == apart:
            continue
        a = b if apart is None else apart
        head = heads[choice, min(a, b), max(a, b)]
        rows = np.flatnonzero(owner == b)
        index = torch.from_numpy(fit_on[rows])
        entropy = F.cross_entropy(head.logits(made[choice.waves][index]), labels[index], reduction="none")
        share = weights[torch.from_numpy(rows)]
        total += float((entropy * share).sum())
        count += float(share.sum())
    return total / max(count, 1e-12)
