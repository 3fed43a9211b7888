"""Temperature: a fixed number, or learned as a logit scale (Radford et al. 2021, CLIP, section 2.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from engine.errors import ParameterError

LARGEST_SCALE = 100.0


class LogitScale(nn.Module):
    """The learned temperature. :meth:`forward` gives it as a scalar: 1 / min(exp(``log_scale``), 100).

    At the bound the value stands still and the gradient passes, so that the scale can come back; :meth:`clamp_` after
    each step of the optimiser keeps the parameter itself from drifting beyond. No weight decay should act on it.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        check_temperature(temperature)
        self.log_scale = nn.Parameter(torch.tensor(min(-math.log(temperature), math.log(LARGEST_SCALE))))

    def forward(self) -> Tensor:
        """The temperature, at least 0.01."""
        log = self.log_scale
        beyond = (log - math.log(LARGEST_SCALE)).clamp(min=0).detach()
        return (beyond - log).exp()

    @torch.no_grad()
    def clamp_(self) -> None:
        """Set the parameter back to the bound where a step went beyond."""
        self.log_scale.clamp_(max=math.log(LARGEST_SCALE))


def check_temperature(temperature: float | Tensor) -> None:
    """Raise ParameterError unless a temperature that is a number is finite and above 0 (tensors are not looked at)."""
    if not isinstance(temperature, Tensor) and not (math.isfinite(temperature) and temperature > 0):
        raise ParameterError(f"A temperature must be above 0, found {temperature}.")
