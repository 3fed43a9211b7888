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

from engine.training.labels.logistic import Floats, Ints, Logistic, class_balance, cross_entropy, fit_logistic

WAVES = 128
"""Random cosines, where they are used."""
_LENGTH = 1.0
"""Pixels further apart than so many times the square root of the number of inputs are told apart by cosines."""
_ROUGH = 1e-6
"""Heads that only serve to choose and to measure are fitted so far."""


@dataclass(frozen=True)
class Choice:
    """One way to fit: the L2 ``penalty``, and whether cosines are added."""

    penalty: float
    waves: bool = False

    @property
    def words(self) -> str:
        """For people."""
        return f"penalty {self.penalty:g}{' with cosines' if self.waves else ''}"


CHOICES = (Choice(0.01), Choice(0.003), Choice(0.001), Choice(0.0003), Choice(0.001, waves=True))
_TEMPERATURES = tuple(2.0 ** (step / 2) for step in range(-2, 9))
"""½ to 16: a head is judged as it is after calibration, and not for how sure it is."""


@dataclass(frozen=True)
class Waves:
    """``weight`` (inputs, waves) and ``bias`` (waves,) of :class:`engine.models.pixel.PixelSegmenter`'s cosines."""

    weight: Floats
    bias: Floats

    @classmethod
    def drawn(cls, inputs: int, generator: torch.Generator) -> Waves:
        """Drawn for standardised inputs."""
        weight = torch.randn(inputs, WAVES, generator=generator, dtype=torch.float64) / (_LENGTH * math.sqrt(inputs))
        bias = 2 * math.pi * torch.rand(WAVES, generator=generator, dtype=torch.float64)
        return cls(weight.numpy(), bias.numpy())

    def of(self, inputs: Floats) -> Floats:
        """(n, inputs + waves)."""
        return np.concatenate([inputs, math.sqrt(2 / WAVES) * np.cos(inputs @ self.weight + self.bias)], axis=1)


@dataclass(frozen=True)
class Selected:
    """The ``choice`` and the head fitted to all labels; ``held_out`` (n, classes) logits of every pixel from heads that
    saw neither its fold nor were chosen by it (NaN with fewer than two folds); ``losses`` of each choice."""

    choice: Choice
    head: Logistic
    held_out: Floats
    losses: tuple[tuple[Choice, float], ...]


Told = Callable[[float, str, dict[str, float]], None]


def select(
    inputs: Floats,
    labels: Ints,
    fold: Ints,
    fit_on: Ints,
    unit: Ints,
    classes: int,
    *,
    waves: Waves,
    choices: Sequence[Choice] = CHOICES,
    told: Told = lambda share, words, row: None,
) -> Selected:
    """Choose, measure and fit. ``inputs`` (n, inputs), standardised; ``labels`` (n,); ``fold`` (n,) from 0;
    ``fit_on``: indexes of the pixels that heads are fitted to (large polygons thinned); ``unit`` (n,): the polygon of
    each. ``told`` hears the share done, what is going on and figures for the log."""
    trial = _Trial(inputs, labels, fold, fit_on, unit, classes, waves)
    done, total = 0, len(choices) * len(trial.pairs) + 1
    for choice in choices:
        for pair in trial.pairs:
            trial.fit(choice, pair)
            done += 1
            told(done / total, f"{choice.words}: fold {pair[0] + 1} of {trial.folds}", {})
        if trial.pairs:
            loss, right = trial.judged(choice, apart=None)
            told(done / total, choice.words, {"validation_loss": loss, "validation_accuracy": right})
    losses = tuple((choice, trial.judged(choice, apart=None)[0]) for choice in choices) if trial.pairs else ()
    best = min(losses, key=lambda one: one[1])[0] if losses else choices[min(1, len(choices) - 1)]
    held_out = np.full((len(labels), classes), np.nan)
    for a in range(trial.folds if trial.pairs else 0):
        # With two folds the one without a cannot be cut again: the choice is then not apart.
        chosen = min(choices, key=lambda c: trial.judged(c, apart=a)[0]) if trial.folds > 2 else best
        rows = np.flatnonzero(fold == a)
        held_out[rows] = trial.heads[chosen, a, a].logits(trial.of(chosen, rows))

    def last(step: int, loss: float) -> None:
        told(done / total, f"{best.words}, all labels: step {step}", {"loss": loss} if step % 5 == 1 else {})

    head = fit_logistic(
        trial.of(best, fit_on),
        labels[fit_on],
        classes,
        penalty=best.penalty,
        weights=class_balance(labels[fit_on], classes, unit[fit_on]),
        told=last,
    )
    return Selected(best, head, held_out, losses)


class _Trial:
    """Heads of every choice without every pair of folds. A head without a and b serves twice: to judge b where a is
    kept apart, and a where b is."""

    def __init__(
        self, inputs: Floats, labels: Ints, fold: Ints, fit_on: Ints, unit: Ints, classes: int, waves: Waves
    ) -> None:
        self._inputs, self._labels, self._fold, self._fit_on = inputs, labels, fold, fit_on
        self._classes, self._waves, self._unit = classes, waves, unit
        self._owner = fold[fit_on]
        self._weights = class_balance(labels[fit_on], classes, unit[fit_on])
        self.folds = int(fold.max()) + 1 if len(fold) else 0
        both = itertools.combinations_with_replacement(range(self.folds), 2)
        self.pairs = list(both) if self.folds > 1 else []
        self.heads: dict[tuple[Choice, int, int], Logistic] = {}

    def of(self, choice: Choice, rows: Ints) -> Floats:
        """The inputs of these pixels, with cosines where the choice has them."""
        return self._waves.of(self._inputs[rows]) if choice.waves else self._inputs[rows]

    def fit(self, choice: Choice, pair: tuple[int, int]) -> None:
        """Fit the head without these folds."""
        rows = self._fit_on[~np.isin(self._owner, pair)]
        if len(rows) == 0:  # two folds, both kept apart
            return
        self.heads[choice, pair[0], pair[1]] = fit_logistic(
            self.of(choice, rows),
            self._labels[rows],
            self._classes,
            penalty=choice.penalty,
            weights=class_balance(self._labels[rows], self._classes, self._unit[rows]),
            start=self.heads.get((choice, pair[0], pair[0])),
            tolerance=_ROUGH,
        )

    def judged(self, choice: Choice, *, apart: int | None) -> tuple[float, float]:
        """Class-balanced cross entropy of held-out folds, calibrated by one temperature, and the share of right
        pixels; ``apart``: the fold that neither trains nor is judged. Pixels of classes that the head never saw do not
        count."""
        scores, truth, weights = [], [], []
        for b in range(self.folds):
            a = b if apart is None else apart
            if b == apart:
                continue
            trained = ~np.isin(self._owner, (a, b))
            met = np.isin(np.arange(self._classes), self._labels[self._fit_on[trained]])
            rows = np.flatnonzero((self._owner == b) & met[self._labels[self._fit_on]])
            if len(rows) == 0 or not trained.any():
                continue
            index = self._fit_on[rows]
            scores.append(self.heads[choice, min(a, b), max(a, b)].logits(self.of(choice, index)))
            truth.append(self._labels[index])
            weights.append(self._weights[rows])
        if not scores:
            return math.inf, 0.0
        logits, labels, share = np.concatenate(scores), np.concatenate(truth), np.concatenate(weights)
        share = share / share.sum()
        loss = min(float((cross_entropy(logits / t, labels) * share).sum()) for t in _TEMPERATURES)
        return loss, float((logits.argmax(1) == labels).mean())
