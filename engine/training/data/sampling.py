"""The order in which samples are drawn: seeded, resumable, without repetition over processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import DamagedFileError
from engine.training.data.crops import Sample

Indices = NDArray[np.int64]


class EpochSampler:
    """Batches of one process: every epoch a new order of all samples, no sample twice in an epoch over all processes.

    The order of epoch e comes from (``seed``, e) alone and is cut into global batches of ``batch`` × ``world``
    samples, of which process ``rank`` takes its share. ``drop_last`` leaves out what does not fill a global batch;
    otherwise the last one is shared out as evenly as possible, and a process whose share is empty gets an empty batch,
    so that all processes do the same number of steps. ``indices`` restricts the samples drawn (default: all ``count``).

    With ``weights``, one for each of the pool and ≥ 0, an epoch is as long but draws each sample in proportion to its
    weight: as often as expected, rounded down or up by lot (systematic sampling); some come twice or not at all.

    Iterating goes on from where :meth:`state` stands, to the end of the epoch, and then stands at the next epoch.
    """

    def __init__(
        self,
        count: int,
        *,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = True,
        indices: Sequence[int] | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        if batch < 1 or world < 1 or not 0 <= rank < world:
            raise ValueError(f"batch {batch}, rank {rank} of {world} cannot be.")
        self._pool = np.arange(count, dtype=np.int64) if indices is None else np.asarray(indices, np.int64)
        if weights is not None and (weights.shape != self._pool.shape or not weights.sum() > 0 or weights.min() < 0):
            raise ValueError(f"weights {weights.shape} for {len(self._pool)} samples cannot be.")
        self._ends = None if weights is None else np.cumsum(weights) / weights.sum()
        self.batch, self.seed, self.rank, self.world, self.drop_last = batch, seed, rank, world, drop_last
        self.epoch = 0
        self.step = 0

    @property
    def steps(self) -> int:
        """Batches of an epoch, the same for every process."""
        whole = self.batch * self.world
        return len(self._pool) // whole if self.drop_last else -(-len(self._pool) // whole)

    def order(self, epoch: int) -> Indices:
        """The samples of that epoch in their order."""
        generator = np.random.default_rng([self.seed, epoch])
        if self._ends is None:
            return generator.permutation(self._pool)
        ticks = (np.arange(len(self._pool)) + generator.random()) / len(self._pool)
        drawn = np.searchsorted(self._ends, ticks, side="right").clip(max=len(self._pool) - 1)
        return generator.permutation(self._pool[drawn])

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Indices]:
        order, whole = self.order(self.epoch), self.batch * self.world
        while self.step < self.steps:
            together = order[self.step * whole : (self.step + 1) * whole]
            self.step += 1  # before the yield: a state taken while this batch is in use stands after it
            yield together[self.rank :: self.world]
        self.epoch, self.step = self.epoch + 1, 0

    def state(self) -> dict[str, Any]:
        """What :meth:`load_state` goes on from; JSON. Taken while a batch is in use, it stands after that batch."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "step": self.step,
            "count": len(self._pool),
            "global_batch": self.batch * self.world,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there. The number of processes may differ if batch × world is the same.

        Raises DamagedFileError when the state belongs to other data, another batch size or another seed.
        """
        mine = self.state()
        for key in ("seed", "count", "global_batch"):
            if state.get(key) != mine[key]:
                raise DamagedFileError(
                    f"The sampler's state has {key} {state.get(key)}; expected {mine[key]}.",
                    remedy="Go on with the data, batch size and seed that the run was started with.",
                )
        epoch, step = state.get("epoch"), state.get("step")
        if not isinstance(epoch, int) or not isinstance(step, int) or epoch < 0 or not 0 <= step <= self.steps:
            raise DamagedFileError(
                f"The sampler's state stands at epoch {epoch}, step {step}; expected a step up to {self.steps}.",
                remedy="Start again from an earlier checkpoint.",
            )
        self.epoch, self.step = epoch, step


def group_weights(groups: Sequence[str], balance: float) -> NDArray[np.float64]:
    """Weights of samples so that a group of n together weighs n^(1 − ``balance``): 0 samples alike, 1 groups alike."""
    _, inverse, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse], np.float64) ** -balance


class TimePartners:
    """Resampling in time as an augmentation: for each sample, those of the same spot whose Sentinel-2 image was taken
    within ``max_days`` of its Sentinel-1 image. A sample is always its own partner."""

    def __init__(self, samples: Sequence[Sample], *, max_days: float) -> None:
        by_spot: dict[str, list[int]] = {}
        for i, sample in enumerate(samples):
            by_spot.setdefault(sample.spot, []).append(i)
        self._partners: dict[int, Indices] = {}
        for spot in by_spot.values():
            if len(spot) < 2:
                continue
            optical = {j: _seconds(samples[j].s2_date) for j in spot}
            for i in spot:
                radar = _seconds(samples[i].s1_date)
                near = [
                    j for j, when in optical.items()
                    if j == i or (radar is not None and when is not None and abs(radar - when) <= max_days * 86400)
                ]  # fmt: skip
                if len(near) > 1:
                    self._partners[i] = np.asarray(near, np.int64)

    def of(self, index: int) -> Indices:
        """The partners of a sample, itself among them."""
        return self._partners.get(int(index), np.asarray([index], np.int64))

    def draw(self, indices: Indices, generator: np.random.Generator) -> Indices:
        """One partner for each of ``indices``, all equally likely: ``s2_indices`` for ``PairDataset.batch``."""
        return np.asarray([generator.choice(self.of(int(i))) for i in indices], np.int64)


def _seconds(date: str | None) -> float | None:
    if date is None:
        return None
    moment = datetime.fromisoformat(date)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
