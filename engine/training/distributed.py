"""Several processes, one run: started by torchrun, joined by its environment variables; one process works without."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine.device import Device, choose_device
from engine.errors import DeviceError, ParameterError
from engine.models.losses.gather import Gather
from engine.models.two_sensor import TwoSensorSegmenter
from engine.training.processes import number_of

_TIMEOUT = timedelta(minutes=10)
"""Until all processes have come, and for what they do together."""
_ALONE = timedelta(days=7)
"""For what one process does while the others wait: restyling and a last evaluation may take hours. Who waits for one
that is gone is told at once, by the closed connection and by torchrun."""


@dataclass(frozen=True)
class World:
    """This process among those of the run. ``control`` is a group for small messages over the processor's network,
    which never waits for a GPU, and has patience with a process that works alone."""

    rank: int = 0
    size: int = 1
    device: Device = Device("cpu")  # noqa: RUF009 - frozen
    control: Any = None

    @property
    def main(self) -> bool:
        """True in the process that writes files and reports."""
        return self.rank == 0

    @property
    def gather(self) -> Gather:
        """For the losses that need the embeddings of all processes."""
        return Gather(self.rank, self.size)

    def any(self, flag: bool) -> bool:
        """True in every process when ``flag`` is true in one."""
        if self.size == 1:
            return flag
        value = torch.tensor([int(flag)])
        dist.all_reduce(value, op=dist.ReduceOp.MAX, group=self.control)
        return bool(value)

    def stacked(self, value: Tensor) -> Tensor:
        """``value`` (equal shape and type everywhere, on the processor) of all processes, first axis the rank."""
        if self.size == 1:
            return value[None]
        parts = [torch.empty_like(value) for _ in range(self.size)]
        dist.all_gather(parts, value.contiguous(), group=self.control)
        return torch.stack(parts)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            dist.barrier(group=self.control)

    def wrapped(self, module: nn.Module) -> nn.Module:
        """``module`` whose gradients are averaged over the processes; itself when there is one."""
        if self.size == 1:
            return module
        if self.device.kind == "cuda":
            module = with_shared_statistics(module)
        ids = [self.device.index] if self.device.kind == "cuda" else None
        return DistributedDataParallel(module, device_ids=ids, find_unused_parameters=False)


def with_shared_statistics(module: nn.Module) -> nn.Module:
    """``module`` with normalisations whose statistics are those of all processes' batches. A network of two sensors
    keeps each process's own: it leaves an encoder out where no image of the batch has that sensor, and the other
    processes would wait there for one that never comes."""
    if any(isinstance(part, TwoSensorSegmenter) for part in module.modules()):
        return module
    shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    return shared


@contextmanager
def joined_world(device: str) -> Iterator[World]:
    """Join the processes that torchrun started, on NCCL for CUDA devices and on gloo for processors.

    Each process takes the CUDA device of its local rank. Raises DeviceError when there are fewer, ParameterError for
    environment variables that do not fit.
    """
    size, rank = number_of("WORLD_SIZE", 1), number_of("RANK", 0)
    if size < 1 or not 0 <= rank < size:
        raise ParameterError(f"RANK is {rank} and WORLD_SIZE {size}: there is no such process.", remedy="Use torchrun.")
    if size == 1:
        yield World(device=choose_device(device))
        return
    own = _device_of(device, number_of("LOCAL_RANK", 0))
    if own.kind == "cuda":
        torch.cuda.set_device(own.torch)
    backend = "nccl" if own.kind == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, timeout=_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise DeviceError(
            f"Process {rank} of {size} cannot join the others ({' '.join(str(error).split())[:200]}).",
            remedy="Start all of them with one torchrun.",
        ) from error
    try:
        control = dist.new_group(backend="gloo", timeout=_ALONE)
        world = World(rank, size, own, control)
        yield world
        world.wait()  # one that leaves early closes its connections under the hands of the others
    finally:
        gc.collect()  # a wrapped module is in a cycle and would hold the group, and its threads, until the very end
        dist.destroy_process_group()


def _device_of(request: str, number: int) -> Device:
    if ":" in request:
        raise ParameterError(
            f"With several processes each takes its own device; found --device {request}.", remedy="Use --device cuda."
        )
    chosen = choose_device(request)
    if chosen.kind == "cuda":
        return choose_device(f"cuda:{number}")
    if chosen.kind == "mps":
        raise DeviceError("Several processes cannot share an Apple GPU.", remedy="Use --device cpu, or one process.")
    return chosen
