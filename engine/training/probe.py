"""A linear probe: how much a frozen encoder's features tell about classes, read by the simplest classifier there is.

Softmax regression with L2 regularisation on standardised features (Alain and Bengio 2016, "Understanding intermediate
layers using linear classifier probes"). The problem is convex, and L-BFGS in float64 solves it: no learning rate, no
seed, the same answer every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import ModelError

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
_ITERATIONS = 500


@dataclass(frozen=True)
class LinearProbe:
    """``weight`` (classes, D) and ``bias`` (classes,) for features standardised by ``mean`` and ``std`` (D,)."""

    weight: Tensor
    bias: Tensor
    mean: Tensor
    std: Tensor

    def predict(self, features: Tensor) -> Tensor:
        """(N, D) features → (N,) number of the class. Raises ModelError for features that are not finite."""
        x = (_checked(features) - self.mean) / self.std
        return (x @ self.weight.T + self.bias).argmax(1)


def fit_linear_probe(features: Tensor, labels: Tensor, *, classes: int, l2: float) -> LinearProbe:
    """The probe of (N, D) ``features`` with ``labels`` (N,) in 0 … ``classes`` − 1: the minimum of the mean cross
    entropy plus ``l2`` / 2 times the squared weights (biases are free). Mean and spread come from these features; one
    that does not vary is left at 0. Raises ModelError for features that are not finite, ValueError for shapes and
    labels that do not fit.
    """
    x = _checked(features)
    if labels.shape != (len(x),) or len(x) == 0:
        raise ValueError(f"Features {tuple(features.shape)} and labels {tuple(labels.shape)} do not fit.")
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise ValueError(f"Labels reach from {int(labels.min())} to {int(labels.max())}; expected 0 to {classes - 1}.")
    labels = labels.detach().cpu().long()
    mean, std = x.mean(0), x.std(0, correction=0)
    std = torch.where(std > 1e-9 * (1 + mean.abs()), std, torch.full_like(std, torch.inf))
    x = (x - mean) / std
    weight = torch.zeros((classes, x.shape[1]), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, tolerance_grad=1e-7, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, labels) + 0.5 * l2 * weight.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(loss)
    return LinearProbe(weight.detach(), bias.detach(), mean, std)


def cross_validated(
    features: Tensor,
    labels: Tensor,
    *,
    classes: int,
    strengths: Sequence[float] = STRENGTHS,
    folds: int = 5,
    seed: int = 0,
) -> tuple[float, float]:
    """(l2, accuracy): the strength with the best accuracy over ``folds`` parts that are held out in turn, each with the
    same share of every class as far as that goes, drawn from ``seed``; the stronger of equal ones. Raises as
    :func:`fit_linear_probe`, ValueError for fewer samples than folds."""
    if not 2 <= folds <= len(labels):
        raise ValueError(f"{len(labels)} samples cannot be cut into {folds} folds.")
    part = stratified_folds(labels.detach().cpu().numpy(), folds, seed=seed)
    best = (float("nan"), -1.0)
    for l2 in sorted(strengths, reverse=True):
        right = 0
        for fold in range(folds):
            held = torch.from_numpy(part == fold)
            probe = fit_linear_probe(features[~held], labels[~held], classes=classes, l2=l2)
            right += int((probe.predict(features[held]) == labels[held].cpu()).sum())
        if right / len(labels) > best[1]:
            best = (l2, right / len(labels))
    return best


def stratified_folds(labels: np.ndarray, folds: int, *, seed: int) -> np.ndarray:
    """(N,) number of the fold of each sample: the samples of a class are dealt out in an order drawn from ``seed``,
    each class going on where the last one stopped, so that folds differ by one sample at most."""
    draw = np.random.default_rng(seed)
    order = np.concatenate([draw.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)])
    found = np.empty(len(labels), np.int64)
    found[order] = np.arange(len(labels)) % folds
    return found


def _checked(features: Tensor) -> Tensor:
    x = features.detach().cpu().double()
    if x.ndim != 2:
        raise ValueError(f"Features are a table (N, D); found shape {tuple(features.shape)}.")
    bad = (~torch.isfinite(x)).any(1).nonzero()
    if len(bad):
        raise ModelError(
            f"The features of sample {int(bad[0])} are not finite ({len(bad)} of {len(x)} are not).",
            remedy="Look for missing pixels in its image, and at the training run.",
        )
    return x
