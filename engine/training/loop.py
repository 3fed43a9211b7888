"""The training loop: plain, resumable to the bit, one process or several."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from engine.device import to_device
from engine.errors import Cancelled, EngineError, MissingFileError, ModelError
from engine.events import Reporter
from engine.heap import freed_memory_kept
from engine.training.alarms import CollapseWatch, FiniteWatch
from engine.training.checkpoint import (
    Checkpoint,
    joined,
    load_checkpoint,
    load_optimiser,
    optimiser_tensors,
    save_checkpoint,
)
from engine.training.distributed import World
from engine.training.ema import MovingAverage
from engine.training.feed import AHEAD, read_ahead
from engine.training.metrics_log import MetricsLog
from engine.training.optimiser import OptimiserName, make_optimiser, set_rate
from engine.training.precision import Precision, autocast, choose_precision
from engine.training.progress import Pace
from engine.training.rng import rng_state, set_rng_state, step_generator
from engine.training.schedule import Schedule

Batch = dict[str, Tensor]

_TELL_S = 0.5


class Objective(Protocol):
    """What is learned: an ``nn.Module`` whose :meth:`state_dict` holds all that a checkpoint must.

    Each step: :meth:`views` of each part of the batch (augmentation, no gradient), forward of the views →
    ``{"loss": scalar, "metric/NAME": scalar, "embedding/NAME": (N, D)}``, backward, step, :meth:`after_step`.
    Where an attribute ``views_ahead`` is true, :meth:`views` depends on its arguments alone, and threads may call it.
    """

    def views(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Augmented inputs, drawn from ``generator`` alone."""

    def after_step(self, step: int, total: int) -> None:
        """What follows a step of the optimiser: momentum encoders, queues, bounds of learned scales."""


class Epochs(Protocol):
    """Parts of a run before each of which something is looked up in the network: batches are never made across them."""

    def end(self, step: int) -> int:
        """The first step after the part that ``step`` is in."""

    def begin(self, step: int) -> None:
        """Called in every process before a part's batches are asked for: at its start, or at the step within it that a
        resumed run goes on from. It must draw nothing from global generators."""


class Rates(Protocol):
    """The learning rate over a run."""

    def factor(self, step: int) -> float:
        """The factor (0…1) of the base rate at ``step``."""


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How a run is trained. ``steps`` of the optimiser, each over ``accumulate`` parts of a batch; intervals in steps
    (``checkpoint_s`` in seconds; whichever comes first)."""

    steps: int
    seed: int = 0
    accumulate: int = 1
    optimiser: OptimiserName = "adamw"
    rate: float = 1e-3
    weight_decay: float = 1e-4
    layer_decay: float = 1.0
    warmup: int = 0
    floor: float = 0.0
    clip: float | None = 1.0
    ema: float | None = None
    precision: Precision = "auto"
    workers: int = 0
    log_every: int = 10
    health_every: int = 50
    validate_every: int = 500
    checkpoint_every: int = 500
    checkpoint_s: float = 600.0
    tensorboard: bool = False


class TrainingLoop:
    """Trains ``objective`` on ``batches(step, part)`` and keeps the run's folder.

    ``batches`` gives a part of this process's batch as tensors on the processor; it is called by threads and must
    depend on its arguments alone. ``samples`` is how many items a step takes over all processes. ``facts`` go into
    every checkpoint, and a checkpoint with other facts is refused.
    """

    def __init__(
        self,
        objective: nn.Module,
        batches: Callable[[int, int], Batch],
        *,
        settings: LoopSettings,
        world: World,
        folder: Path,
        reporter: Reporter,
        samples: int,
        facts: dict[str, Any] | None = None,
        after_train_mode: Callable[[], None] = lambda: None,
        validate: Callable[[int], dict[str, float]] | None = None,
        epochs: Epochs | None = None,
        rates: Rates | None = None,
    ) -> None:
        self.settings, self.world, self.folder, self.reporter = settings, world, folder, reporter
        self.device = world.device
        self._torch_device = self.device.torch
        self._batches, self._samples, self._facts = batches, samples, facts or {}
        self.objective = objective.to(self._torch_device)
        self._hold, self._validate = after_train_mode, validate
        self._ahead = self.device.kind == "cpu" and bool(getattr(objective, "views_ahead", False))
        self.optimiser = make_optimiser(
            settings.optimiser,
            self.objective,
            rate=settings.rate,
            decay=settings.weight_decay,
            layer_decay=settings.layer_decay,
        )
        self.average = MovingAverage(self.objective, decay=settings.ema) if settings.ema else None
        self.precision = choose_precision(settings.precision, self.device)
        self._scaler = torch.amp.GradScaler(self.device.kind, enabled=self.precision == "fp16")
        usual = Schedule(steps=settings.steps, warmup=settings.warmup, floor=settings.floor)
        self._schedule: Rates = rates if rates is not None else usual
        self._epochs = epochs
        self._finite = FiniteWatch(self._torch_device)
        self._good: tuple[Path | None, int] = (None, 0)
        self.seconds = 0.0

    def run(self, *, resume: bool = False) -> int:
        """Train from the start, or with ``resume`` from the last checkpoint; gives the step that was started at.

        Raises ModelError when loss or gradient is not finite; Cancelled after a checkpoint was written; OutputError.
        """
        start = self._resume() if resume else 0
        log = None
        if self.world.main:
            log = MetricsLog(self.folder, resumed_at=start if resume else None, tensorboard=self.settings.tensorboard)
        try:
            with contextlib.ExitStack() as stack:
                if log is not None:
                    stack.enter_context(log)
                stack.enter_context(freed_memory_kept())
                self._train(start, log)
        finally:
            self.objective.eval()
        return start

    def _train(self, start: int, log: MetricsLog | None) -> None:
        settings = self.settings
        network = self.world.wrapped(self.objective)
        network.train()
        self._hold()
        watch = CollapseWatch(self.reporter)
        pace = Pace(settings.steps, start, self._samples)
        before, saved_at, saved_time = self.seconds, start, time.monotonic()
        done = start
        told = time.monotonic()
        with contextlib.closing(cast(Any, self._fed(start))) as fed:
            try:
                for step, feed in fed:
                    if self.world.any(self.reporter.token.cancelled):
                        raise Cancelled
                    rate = set_rate(self.optimiser, self._schedule.factor(step))
                    found, norm = self._step(network, step, feed)
                    done = step + 1
                    self._finite.see(step, found["loss"], *([norm] if self.precision != "fp16" else []))
                    last = done == settings.steps
                    look = last or done % settings.health_every == 0
                    over = self._epochs is not None and done == self._epochs.end(step)
                    test = self._validate is not None and (last or over or done % settings.validate_every == 0)
                    log_now = look or test or done % settings.log_every == 0 or step == start
                    now = time.monotonic()
                    if log_now or self.device.kind == "cpu" or now - told > _TELL_S:
                        self._finite.check(*self._good)
                    if log_now or now - told > _TELL_S:
                        pace.seen(done)
                    if log_now:
                        self.seconds = before + pace.seconds
                        row = self._row(step, found, rate, norm, pace)
                        if look:
                            row |= watch.see(step, _named(found, "embedding/"))
                        if test:
                            row |= self._validated(step)
                            network.train()
                            self._hold()
                        if log is not None:
                            log.write(row)
                    if log_now or now - told > _TELL_S:
                        told = now
                        self._tell(done, pace.line(done, float(found["loss"]), rate))
                    late = self.world.any(now - saved_time > settings.checkpoint_s)
                    if last or late or done - saved_at >= settings.checkpoint_every:
                        self._save(done)
                        saved_at, saved_time = done, time.monotonic()
            except Cancelled:
                if done > saved_at:
                    self._save(done)
                raise

    def _fed(self, start: int) -> Iterator[tuple[int, Iterator[Batch]]]:
        """Every step from ``start`` on with the feed that its parts come from."""
        parts, step = self.settings.accumulate, start
        while step < self.settings.steps:
            end = self.settings.steps
            if self._epochs is not None:
                end = min(end, self._epochs.end(step))
                self._epochs.begin(step)
                self.objective.train()
                self._hold()
            feed = read_ahead(
                lambda number: self._part(number // parts, number % parts),
                step * parts,
                end * parts,
                workers=self.settings.workers,
                ahead=1 if self._ahead else AHEAD,
                one_core=self.device.kind == "cpu",
            )
            with contextlib.closing(cast(Any, feed)):
                for number in range(step, end):
                    yield number, feed
            step = end

    def _part(self, step: int, part: int) -> Batch:
        """What the feed's threads make: a part of a batch, on a processor its views at once. There both take cores
        from the network either way, and beside it they take those that it leaves idle."""
        batch = self._batches(step, part)
        return self._views(batch, step, part) if self._ahead else batch

    def _views(self, batch: Batch, step: int, part: int) -> Batch:
        generator = step_generator(self._torch_device, self.settings.seed, "views", step, part, self.world.rank)
        with torch.no_grad():
            return cast(Objective, self.objective).views(batch, generator)

    def _tell(self, done: int, line: str) -> None:
        # A cancel is taken by all processes at one place, between two steps; never from here.
        with contextlib.suppress(Cancelled):
            self.reporter.progress(done / self.settings.steps, "train", line)

    def _step(self, network: nn.Module, step: int, feed: Iterator[Batch]) -> tuple[dict[str, Tensor], Tensor]:
        settings = self.settings
        objective = cast(Objective, self.objective)
        self.optimiser.zero_grad(set_to_none=True)
        found: dict[str, Tensor] = {}
        for part in range(settings.accumulate):
            batch = next(feed)
            views = {name: to_device(value, self._torch_device) for name, value in batch.items()}
            if not self._ahead:
                views = self._views(views, step, part)
            last = part + 1 == settings.accumulate
            quiet = contextlib.nullcontext() if last or self.world.size == 1 else cast(Any, network).no_sync()
            with quiet:
                with autocast(self.precision, self.device):
                    out = network(views)
                loss = out["loss"] / settings.accumulate
                self._scaler.scale(loss).backward()
            for name, value in out.items():
                kept = value.detach()
                if not name.startswith("embedding/") and name in found:
                    kept = found[name] + kept / settings.accumulate
                elif not name.startswith("embedding/"):
                    kept = kept / settings.accumulate
                found[name] = kept
        self._scaler.unscale_(self.optimiser)
        trained = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(trained, settings.clip or float("inf"))
        self._scaler.step(self.optimiser)
        self._scaler.update()
        objective.after_step(step, settings.steps)
        if self.average is not None:
            self.average.update(self.objective)
        return found, norm

    def _row(self, step: int, found: dict[str, Tensor], rate: float, norm: Tensor, pace: Pace) -> dict[str, Any]:
        row: dict[str, Any] = {"step": step, "loss": float(found["loss"]), "rate": rate, "gradient_norm": float(norm)}
        row |= {name: float(value) for name, value in _named(found, "metric/").items()}
        return row | {"samples_per_s": round(pace.rate, 3), "seconds": round(self.seconds, 3)}

    def _validated(self, step: int) -> dict[str, float]:
        if self._validate is None:
            return {}
        self.objective.eval()
        with self.averaged():
            return self._validate(step)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The objective with its averaged weights, where the run keeps an average."""
        with self.average.applied(self.objective) if self.average is not None else contextlib.nullcontext():
            yield

    def _save(self, step: int) -> None:
        """Write a checkpoint in the main process; ``step`` is the next one to do."""
        self._finite.check(*self._good)
        generators = rng_state(self._torch_device)
        everywhere = {name: self.world.stacked(value.cpu()) for name, value in generators.items()}
        path = self.folder
        if self.world.main:
            parts = {
                "model": self.objective.state_dict(),
                "optimiser": optimiser_tensors(self.optimiser),
                "rng": everywhere,
            }
            if self.average is not None:
                parts["average"] = self.average.values
            facts = {
                **self._facts,
                "processes": self.world.size,
                "seconds": self.seconds,
                "scaler": self._scaler.state_dict(),
                "average_updates": self.average.updates if self.average is not None else 0,
            }
            path = save_checkpoint(self.folder, Checkpoint(step, joined(**parts), facts))
        self.world.wait()
        self._good = (path, step)

    def _resume(self) -> int:
        try:
            found, warning = load_checkpoint(self.folder)
        except MissingFileError:  # it was stopped before its first checkpoint
            self.reporter.log("There is no checkpoint yet: the run starts anew.")
            return 0
        if warning:
            self.reporter.warn(warning)
        for name, value in self._facts.items():
            if found.facts.get(name) != value:
                raise ModelError(
                    f"{found.path}: was made with another {name} ({found.facts.get(name)!r}); this run has {value!r}.",
                    remedy="Resume with the options of the run, or start a new one.",
                )
        try:
            self.objective.load_state_dict(found.part("model"))
            load_optimiser(self.optimiser, found.part("optimiser"))
            if self.average is not None:
                self.average.load(found.part("average"), found.facts["average_updates"])
            if found.facts["scaler"]:
                self._scaler.load_state_dict(found.facts["scaler"])
            self.seconds = float(found.facts["seconds"])
        except (RuntimeError, KeyError, ValueError) as error:
            raise ModelError(
                f"{found.path}: does not fit this run ({' '.join(str(error).split())[:200]}).",
                remedy="Resume with the options of the run, or start a new one.",
            ) from error
        if found.step > self.settings.steps:
            raise ModelError(f"{found.path}: stands at step {found.step}, the run has {self.settings.steps}.")
        processes = found.facts.get("processes")
        if processes == self.world.size:
            own = {name: value[self.world.rank].clone() for name, value in found.part("rng").items()}
            set_rng_state(own, self._torch_device)
        else:
            self.reporter.warn(
                f"Resumed on {self.world.size} processes, begun on {processes}: no sample is repeated, but results "
                "differ in the last digits from those of a run that was not interrupted."
            )
        self._good = (found.path, found.step)
        return found.step


def _named(found: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}


def explain_out_of_memory(error: BaseException) -> EngineError | None:
    """The EngineError for a device that ran out of memory, None for other errors."""
    if isinstance(error, torch.OutOfMemoryError):
        return ModelError(
            f"The device has not enough memory for this batch ({' '.join(str(error).split())[:160]}).",
            remedy="Lower --batch and raise --accumulate by the same factor, or lower --crop.",
        )
    return None
