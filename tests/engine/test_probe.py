"""The linear probe: the minimum that it claims, by its conditions and by another solver; what it cannot see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from engine.errors import ModelError
from engine.training.probe import cross_validated, fit_linear_probe, stratified_folds


@pytest.fixture(scope="module")
def blobs():
    """Three classes on 5 features, overlapping, of very different scales; and a feature that is constant."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 200)
    centres = draw.normal(size=(3, 5)) * 1.5
    x = (centres[labels] + draw.normal(size=(200, 5))) * np.array([1, 100, 0.01, 5, 1]) + 7
    x = np.concatenate([x, np.full((200, 1), 3.3)], axis=1)
    return torch.from_numpy(x), torch.from_numpy(labels)


def objective(flat, x, labels, l2):
    """The slow reference: mean cross entropy and penalty, from the definition."""
    weight, bias = flat[:-3].reshape(3, -1), flat[-3:]
    logits = x @ weight.T + bias
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(x)), labels] - np.log(np.exp(logits).sum(axis=1))
    return -chosen.mean() + 0.5 * l2 * (weight**2).sum()


@pytest.mark.parametrize("l2", [1e-3, 0.1])
def test_it_is_the_minimum_that_another_solver_finds(blobs, l2):
    features, labels = blobs
    probe = fit_linear_probe(features, labels, classes=3, l2=l2)
    x = features[:, :5].numpy()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    slow = minimize(objective, np.zeros(18), args=(x, labels.numpy(), l2), method="BFGS", options={"gtol": 1e-7})
    assert np.allclose(probe.weight[:, :5], slow.x[:-3].reshape(3, 5), atol=2e-4)
    own = objective(np.concatenate([probe.weight[:, :5].numpy().ravel(), probe.bias.numpy()]), x, labels.numpy(), l2)
    assert own <= slow.fun + 1e-9
    assert (probe.weight[:, 5] == 0).all(), "what does not vary tells nothing"


def test_scale_and_offset_of_features_change_nothing(blobs):
    features, labels = blobs
    one = fit_linear_probe(features, labels, classes=3, l2=0.01)
    other = fit_linear_probe(1000 * features - 5, labels, classes=3, l2=0.01)
    assert torch.equal(one.predict(features), other.predict(1000 * features - 5))
    assert (one.predict(features) == labels).double().mean() > 0.8


def test_shuffled_labels_give_chance_when_held_out():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn((400, 20), generator=draw)
    labels = torch.randint(0, 4, (400,), generator=draw)
    _, accuracy = cross_validated(features, labels, classes=4, strengths=(0.01,))
    assert accuracy == pytest.approx(0.25, abs=0.08)


def test_the_strength_is_the_best_of_those_held_out_and_the_stronger_of_equal_ones(blobs):
    features, labels = blobs
    strengths = (1e-3, 0.3, 30.0)
    part = torch.from_numpy(stratified_folds(labels.numpy(), 4, seed=2))
    slow = {}
    for l2 in strengths:
        right = 0
        for fold in range(4):
            seen, held = part != fold, part == fold
            probe = fit_linear_probe(features[seen], labels[seen], classes=3, l2=l2)
            right += int((probe.predict(features[held]) == labels[held]).sum())
        slow[l2] = right / len(labels)
    best = max(slow.values())
    expected = (max(l2 for l2 in strengths if slow[l2] == best), best)
    assert cross_validated(features, labels, classes=3, strengths=strengths, folds=4, seed=2) == expected


def test_folds_hold_the_same_share_of_every_class():
    labels = np.repeat([0, 1, 2], [50, 33, 7])
    part = stratified_folds(labels, 5, seed=3)
    assert np.bincount(part).max() - np.bincount(part).min() <= 1
    for c in range(3):
        inside = np.bincount(part[labels == c], minlength=5)
        assert inside.max() - inside.min() <= 1


def test_what_does_not_fit_is_refused(blobs):
    features, labels = blobs
    broken = features.clone()
    broken[4, 0] = torch.nan
    with pytest.raises(ModelError, match="sample 4 are not finite"):
        fit_linear_probe(broken, labels, classes=3, l2=0.1)
    with pytest.raises(ModelError, match="sample 4"):
        fit_linear_probe(features, labels, classes=3, l2=0.1).predict(broken)
    with pytest.raises(ValueError, match="do not fit"):
        fit_linear_probe(features, labels[:-1], classes=3, l2=0.1)
    with pytest.raises(ValueError, match="reach from 0 to 2"):
        fit_linear_probe(features, labels, classes=2, l2=0.1)
    with pytest.raises(ValueError, match="folds"):
        cross_validated(features[:3], labels[:3], classes=3)
