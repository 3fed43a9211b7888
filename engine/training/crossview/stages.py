"""The stages of a run, one after the other in one loop: where each begins, its epochs and its rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.errors import ParameterError
from engine.training.crossview.request import CrossViewTrainRequest, StageName
from engine.training.schedule import Schedule

MAIN_EPOCHS = 40.0


@dataclass(frozen=True)
class Stage:
    """Steps ``first`` to ``first`` + ``steps`` − 1; an epoch has ``epoch_steps`` of them, the last one maybe fewer."""

    name: StageName
    first: int
    steps: int
    epoch_steps: int

    @property
    def stop(self) -> int:
        """The first step after it."""
        return self.first + self.steps

    @property
    def epochs(self) -> int:
        """Epochs, a last short one counted."""
        return -(-self.steps // self.epoch_steps)

    def epoch(self, step: int) -> int:
        """The epoch that ``step`` is in, from 0."""
        return (step - self.first) // self.epoch_steps

    def begins(self, epoch: int) -> int:
        """The first step of an epoch."""
        return self.first + epoch * self.epoch_steps

    def ends(self, epoch: int) -> int:
        """The first step after an epoch."""
        return min(self.begins(epoch + 1), self.stop)


@dataclass(frozen=True)
class Stages:
    """All stages; also the rates of a run (:meth:`factor`): a warm-up and a half cosine in each stage."""

    all: tuple[Stage, ...]
    warmup: float

    @property
    def steps(self) -> int:
        """Of all."""
        return self.all[-1].stop

    def at(self, step: int) -> Stage:
        """The stage of a step; for a step beyond the end the last."""
        return next((stage for stage in self.all if step < stage.stop), self.all[-1])

    def end(self, step: int) -> int:
        """The first step after the epoch that ``step`` is in."""
        stage = self.at(step)
        return stage.ends(stage.epoch(step))

    def factor(self, step: int) -> float:
        """The factor of the learning rate."""
        stage = self.at(step)
        usual = Schedule(steps=stage.steps, warmup=min(stage.steps, round(self.warmup * stage.steps)))
        return usual.factor(step - stage.first)


def plan_stages(request: CrossViewTrainRequest, counts: Mapping[StageName, int], *, world: int) -> Stages:
    """The stages of a request; ``counts`` is how many items a pass of each goes over. Raises ParameterError when a
    stage has nothing to learn from."""
    names: Sequence[StageName] = request.stage_names
    passes = {
        "intra": request.intra_epochs,
        "cross": request.cross_epochs,
        "geometric": request.geometric_epochs,
        "curriculum": request.epochs or MAIN_EPOCHS,
        "supervised": request.epochs or MAIN_EPOCHS,
    }
    whole = request.batch * world
    epoch_steps = {}
    for name in names:
        if counts[name] < 2:
            raise ParameterError(
                f"The stage {name} has {counts[name]} items to learn from; expected at least 2.",
                remedy="Give more data, or more labels.",
            )
        epoch_steps[name] = max(1, counts[name] // whole)
    wanted = {name: max(1, round(passes[name] * epoch_steps[name])) for name in names}
    if request.steps is not None:
        if request.steps < len(names):
            raise ParameterError(f"{request.steps} steps cannot be shared out over {len(names)} stages.")
        wanted = _shared(request.steps, wanted)
    stages, first = [], 0
    for name in names:
        stages.append(Stage(name, first, wanted[name], epoch_steps[name]))
        first += wanted[name]
    return Stages(tuple(stages), request.warmup)


def _shared(steps: int, wanted: dict[StageName, int]) -> dict[StageName, int]:
    """``steps`` in the proportions of ``wanted``, each at least 1, exactly that many together."""
    total = sum(wanted.values())
    out = {name: max(1, steps * n // total) for name, n in wanted.items()}
    longest = max(out, key=lambda name: out[name])
    out[longest] += steps - sum(out.values())
    return out
