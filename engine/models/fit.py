"""Do weights fit a network?"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from engine.errors import ModelError


def check_fit(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor], *, of: str, source: str, needless: Collection[str] = ()
) -> None:
    """Names and shapes of ``given`` must be those of ``own``, the state of a network ``of`` that name; those that are
    ``needless`` may be absent. Raises ModelError, which names ``source`` and the first that does not fit."""
    missing, unexpected = sorted(set(own) - set(given) - set(needless)), sorted(set(given) - set(own))
    if missing or unexpected:
        first = f"{missing[0]} is missing" if missing else f"{unexpected[0]} is not one of its parameters"
        raise ModelError(
            f"{source}: the weights do not fit a {of}: {first} ({len(missing)} missing, {len(unexpected)} unexpected)."
        )
    for key, value in given.items():
        if value.shape != own[key].shape:
            raise ModelError(
                f"{source}: {key} has shape {tuple(value.shape)}, a {of} of this size needs {tuple(own[key].shape)}."
            )
