"""Multinomial logistic regression with an L2 penalty, fitted exactly (the objective is convex)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_MOST_STEPS = 400


@dataclass(frozen=True)
class Logistic:
    """``weight`` (inputs, classes) and ``bias`` (classes,)."""

    weight: Floats
    bias: Floats

    def logits(self, inputs: Floats) -> Floats:
        """(n, classes) of ``inputs`` (n, inputs)."""
        return np.asarray(inputs @ self.weight + self.bias, np.float64)


def class_balance(labels: Ints, classes: int, units: Ints | None = None) -> Floats:
    """A weight for each label, mean 1: classes have the square root of their number of labels together, as in
    fine-tuning; within a class a unit (such as a polygon, by number) has the square root of its."""
    counts = np.bincount(labels, minlength=classes)
    weights = np.ones(len(labels))
    if units is not None:
        number = np.unique(units, return_inverse=True)[1].reshape(-1)
        weights = 1 / np.sqrt(np.bincount(number)[number])
    together = np.bincount(labels, weights, minlength=classes)
    weights = weights * (np.sqrt(counts) / np.maximum(together, 1e-12))[labels]
    return np.asarray(weights / max(weights.mean(), 1e-12), np.float64)


def cross_entropy(logits: Floats, labels: Ints) -> Floats:
    """−log p of each label (n,) by the softmax of ``logits`` (n, classes)."""
    return np.asarray(-_log_softmax(logits)[np.arange(len(labels)), labels], np.float64)


def fit_logistic(
    inputs: Floats,
    labels: Ints,
    classes: int,
    *,
    penalty: float,
    weights: Floats | None = None,
    start: Logistic | None = None,
    tolerance: float = 1e-9,
    told: Callable[[int, float], None] = lambda step, loss: None,
) -> Logistic:
    """The minimum of the mean cross entropy, weighted by ``weights``, + ``penalty`` × the sum of squared weights
    (biases are free).

    ``inputs`` (n, inputs), about standardised; ``labels`` (n,); ``weights`` (n,) default: :func:`class_balance`.
    Full-batch L-BFGS (Nocedal 1980), so that the same input gives the same bits, until a step gains less than
    ``tolerance`` of the objective. ``told`` hears step and loss and may raise. A class without a label here gets a low
    probability everywhere.
    """
    count = inputs.shape[1]
    share = class_balance(labels, classes) if weights is None else weights
    share = share / share.sum()
    truth = np.zeros((len(labels), classes))
    truth[np.arange(len(labels)), labels] = share
    first = np.zeros((count + 1, classes))
    if start is not None:
        first[:-1], first[-1] = start.weight, start.bias
    last = 0.0

    def cost(flat: Floats) -> tuple[float, Floats]:
        nonlocal last
        both = flat.reshape(count + 1, classes)
        weight, bias = both[:-1], both[-1]
        logs = _log_softmax(inputs @ weight + bias)
        error = share[:, None] * np.exp(logs) - truth
        slope = np.empty_like(both)
        slope[:-1] = inputs.T @ error + 2 * penalty * weight
        # The free bias of a class without labels would run away: a whiff of penalty holds it.
        slope[-1] = error.sum(0) + 2e-6 * bias
        last = float(-(truth * logs).sum() + penalty * (weight**2).sum() + 1e-6 * (bias**2).sum())
        return last, slope.ravel()

    step = 0

    def after(_: Floats) -> None:
        nonlocal step
        step += 1
        told(step, last)

    options: dict[str, Any] = {"maxiter": _MOST_STEPS, "maxcor": 20, "ftol": tolerance, "gtol": 1e-7}
    found = minimize(cost, first.ravel(), jac=True, method="L-BFGS-B", callback=after, options=options)
    both = np.asarray(found.x, np.float64).reshape(count + 1, classes)
    return Logistic(both[:-1].copy(), both[-1].copy())


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float64)
