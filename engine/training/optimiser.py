"""Optimisers with layer-wise rates, and freezing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from engine.errors import ParameterError

OptimiserName = Literal["adamw", "sgd"]
Frozen = Literal["none", "stem", "layer1", "layer2", "layer3", "encoder"]
_DEPTH = re.compile(r"(?:^|\.)(?:(conv1|bn1)|layer([1-4]))(?:\.|$)")
_TOP = 5


def depth_of(name: str) -> int:
    """Depth of a ResNet encoder's parameter: 0 the stem, 1…4 its stages; 5 for whatever comes after an encoder."""
    if not re.search(r"(^|\.)(encoder|s1|s2|encoders)(\.|$)", name):
        return _TOP
    match = _DEPTH.search(name)
    if match is None:
        return _TOP
    return int(match[2]) if match[2] else 0


def parameter_groups(module: nn.Module, *, rate: float, decay: float, layer_decay: float = 1.0) -> list[dict[str, Any]]:
    """Groups of the parameters that are trained, by rate and weight decay.

    The rate of an encoder's stage is ``rate`` × ``layer_decay`` ** (5 − depth), that of decoders and heads ``rate``.
    Vectors (biases, normalisations) and scalars (a learned temperature) have no weight decay. ``base`` holds the
    rate that the schedule scales. Raises ParameterError when nothing is left to train.
    """
    if not 0 < layer_decay <= 1:
        raise ParameterError(f"The decay of rates by layer must be above 0 and at most 1, found {layer_decay}.")
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        own_rate = rate * layer_decay ** (_TOP - depth_of(name))
        own_decay = decay if parameter.ndim > 1 else 0.0
        group = groups.setdefault(
            (own_rate, own_decay), {"params": [], "lr": own_rate, "base": own_rate, "weight_decay": own_decay}
        )
        group["params"].append(parameter)
    if not groups:
        raise ParameterError("Nothing is left to train: every parameter is frozen.")
    return list(groups.values())


def make_optimiser(
    name: OptimiserName,
    module: nn.Module,
    *,
    rate: float,
    decay: float,
    layer_decay: float = 1.0,
    momentum: float = 0.9,
) -> torch.optim.Optimizer:
    """AdamW, or SGD with ``momentum``, over :func:`parameter_groups`."""
    groups = parameter_groups(module, rate=rate, decay=decay, layer_decay=layer_decay)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)
    return torch.optim.SGD(groups, lr=rate, momentum=momentum, weight_decay=decay)


def set_rate(optimiser: torch.optim.Optimizer, factor: float) -> float:
    """Scale the rate of every group by ``factor``; gives the largest."""
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * factor
    return max(float(group["lr"]) for group in optimiser.param_groups)


def freeze(encoder: nn.Module, upto: Frozen) -> Callable[[], None]:
    """Stop the training of an encoder's first stages, ``upto`` included ("encoder": all of it).

    Gives a function to be called after every ``train()``: it puts the frozen parts back into evaluation mode, so that
    their running statistics stand still too.
    """
    order = ("stem", "layer1", "layer2", "layer3", "layer4")
    count = {"none": 0, "encoder": len(order)}.get(upto, order.index(upto) + 1 if upto in order else 0)
    parts: list[nn.Module] = []
    for stage in order[:count]:
        names = ("conv1", "bn1") if stage == "stem" else (stage,)
        parts += [encoder.get_submodule(name) for name in names]
    for part in parts:
        part.requires_grad_(False)

    def hold() -> None:
        for part in parts:
            part.eval()

    hold()
    return hold
