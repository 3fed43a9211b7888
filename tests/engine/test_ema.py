"""The moving average of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.errors import ParameterError
from engine.training.ema import MovingAverage


def network() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_it_is_the_weighted_mean_of_all_weights_that_were():
    module = network()
    average = MovingAverage(module, decay=0.5)
    expected = module[0].weight.detach().double().clone()
    for n in range(8):
        with torch.no_grad():
            module[0].weight.add_(0.3 * (n + 1))
        average.update(module)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * module[0].weight.detach().double()
    torch.testing.assert_close(average.values["0.weight"].double(), expected, rtol=1e-5, atol=1e-6)


def test_counters_are_copied_and_running_statistics_averaged():
    module = network()
    average = MovingAverage(module, decay=0.9)
    module(torch.randn(16, 3))
    average.update(module)
    assert int(average.values["1.num_batches_tracked"]) == 1
    assert not average.values["1.running_mean"].equal(module[1].running_mean)
    assert average.values["1.running_mean"].abs().sum() > 0


def test_applied_gives_the_own_weights_back_even_after_an_error():
    module = network()
    average = MovingAverage(module, decay=0.9)
    with torch.no_grad():
        module[0].bias.fill_(9)
    with pytest.raises(RuntimeError), average.applied(module):
        assert not (module[0].bias == 9).any()
        raise RuntimeError
    assert (module[0].bias == 9).all()


def test_a_decay_of_one_is_refused():
    with pytest.raises(ParameterError):
        MovingAverage(network(), decay=1.0)
