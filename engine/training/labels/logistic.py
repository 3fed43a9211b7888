"""Multinomial logistic regression with an L2 penalty, fitted exactly (the objective is convex)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_MOST_STEPS = 200
_AT_ONCE = 20


@dataclass(frozen=True)
class Logistic:
    """``weight`` (inputs, classes) and ``bias`` (classes,), float64."""

    weight: Tensor
    bias: Tensor

    def logits(self, inputs: Tensor) -> Tensor:
        """(n, classes) of ``inputs`` (n, inputs)."""
        return inputs @ self.weight + self.bias


def class_balance(labels: Tensor, classes: int) -> Tensor:
    """A weight for each label, by the square root of its class's rarity, as in fine-tuning; float64, mean 1."""
    counts = torch.bincount(labels, minlength=classes).double()
    weights = counts.clamp(min=1).rsqrt()[labels]
    return weights / weights.mean()


def fit_logistic(
    inputs: Tensor,
    labels: Tensor,
    classes: int,
    *,
    penalty: float,
    weights: Tensor | None = None,
    start: Logistic | None = None,
    told: Callable[[int, float], None] = lambda step, loss: None,
) -> Logistic:
    """The minimum of the weighted mean cross entropy + ``penalty`` × the sum of squared weights (biases are free).

    ``inputs`` (n, inputs) float64, ``labels`` (n,) int64; ``weights`` default: :func:`class_balance`. Full-batch L-BFGS
    with a line search, so that the same input gives the same bits. ``told`` hears the step and loss now and then and
    may raise. A class without a label here gets a low probability everywhere.
    """
    weights = class_balance(labels, classes) if weights is None else weights
    share = weights / weights.sum()
    if start is None:
        weight = torch.zeros(inputs.shape[1], classes, dtype=torch.float64)
        bias = torch.zeros(classes, dtype=torch.float64)
    else:
        weight, bias = start.weight.clone(), start.bias.clone()
    weight.requires_grad_(True)
    bias.requires_grad_(True)
    optimiser = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_AT_ONCE,
        history_size=20,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        entropy = F.cross_entropy(inputs @ weight + bias, labels, reduction="none")
        # The free bias of a class without labels would run away: a whiff of penalty holds it.
        value = (entropy * share).sum() + penalty * (weight**2).sum() + 1e-6 * (bias**2).sum()
        value.backward()
        return value

    before = float("inf")
    for step in range(0, _MOST_STEPS, _AT_ONCE):
        now = float(optimiser.step(loss))
        told(step, now)
        if before - now < 1e-6 * max(1.0, abs(now)):
            break
        before = now
    return Logistic(weight.detach(), bias.detach())
