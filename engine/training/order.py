"""Which samples come when."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.errors import ParameterError
from engine.training.data.sampling import EpochSampler


class Order:
    """Batches counted over all epochs: a pure function of the number, so that threads may ask and a resumed run needs
    no state. Raises ParameterError when not one batch can be filled."""

    def __init__(self, sampler: EpochSampler, *, samples: int) -> None:
        if sampler.steps < 1:
            raise ParameterError(
                f"A batch of {sampler.batch * sampler.world} squares cannot be filled: the data has {samples}.",
                remedy="Lower --batch, or --crop for more squares.",
            )
        self._sampler = sampler
        self._known: tuple[int, NDArray[np.int64]] | None = None

    @property
    def steps(self) -> int:
        """Batches an epoch."""
        return self._sampler.steps

    def batch(self, number: int) -> NDArray[np.int64]:
        """This process's samples of batch ``number``."""
        sampler = self._sampler
        epoch, step = divmod(number, sampler.steps)
        known = self._known
        if known is None or known[0] != epoch:
            known = self._known = (epoch, sampler.order(epoch))
        whole = sampler.batch * sampler.world
        return known[1][step * whole : (step + 1) * whole][sampler.rank :: sampler.world]
