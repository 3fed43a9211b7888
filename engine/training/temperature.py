"""Calibration: one temperature that makes probabilities mean what they say (Guo et al. 2017, section 4.2)."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

LOWEST, HIGHEST = 0.2, 10.0
_GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature (0.2…10) that gives the labelled pixels the smallest mean −log p.

    ``logits`` (n, classes), ``labels`` (n,) int64. The objective is convex in 1/T, so a golden-section search over
    log T finds the one minimum. 1 without a pixel or with one class only in the labels.
    """
    if len(labels) == 0 or bool((labels == labels[0]).all()):
        return 1.0
    values = logits.double()

    def cost(log_t: float) -> float:
        return float(F.cross_entropy(values / math.exp(log_t), labels))

    low, high = math.log(LOWEST), math.log(HIGHEST)
    a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    cost_a, cost_b = cost(a), cost(b)
    while high - low > 1e-3:
        if cost_a < cost_b:
            high, b, cost_b = b, a, cost_a
            a = high - _GOLDEN * (high - low)
            cost_a = cost(a)
        else:
            low, a, cost_a = a, b, cost_b
            b = low + _GOLDEN * (high - low)
            cost_b = cost(b)
    return math.exp((low + high) / 2)
