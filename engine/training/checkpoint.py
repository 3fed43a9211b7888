"""Checkpoints that survive kill −9 and power cuts: one safetensors file, made aside, moved into place, no pickle.

``checkpoint.safetensors`` holds every tensor, and in its header the JSON of everything else: one file, so that its
parts always belong together. The one before stays as ``checkpoint-previous.safetensors``. ``state.json`` repeats the
JSON for people and is never read back.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import plainjson
from engine.errors import DamagedFileError, MissingFileError
from engine.outputs import explain_os_error, sync
from engine.version import VERSION

CHECKPOINT, PREVIOUS, STATE = "checkpoint.safetensors", "checkpoint-previous.safetensors", "state.json"
FORMAT = 1
_HEADER = "samescene"


@dataclass
class Checkpoint:
    """What a run is at a moment: ``step`` is the next step to do; ``tensors`` by name; ``facts`` are JSON-able."""

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below ``prefix.``, by the rest of their names."""
        start = prefix + "."
        return {name[len(start) :]: value for name, value in self.tensors.items() if name.startswith(start)}


def joined(**parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of several parts as ``part.name``, for :class:`Checkpoint`."""
    return {f"{part}.{name}": value for part, tensors in parts.items() for name, value in tensors.items()}


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint of a run; the one before becomes the previous one.

    A process that is killed at any moment leaves one or two whole checkpoints. Raises OutputError (disk full …); the
    checkpoints that were there stay.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = folder / CHECKPOINT
    partial = folder / f".{CHECKPOINT}.partial-{os.getpid()}"
    facts = {**checkpoint.facts, "step": checkpoint.step, "format": FORMAT, "engine_version": VERSION}
    text = plainjson.dumps(facts)
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in checkpoint.tensors.items()}
    try:
        try:
            save_file(tensors, partial, metadata={_HEADER: text})
            sync(partial)
            if target.exists():
                target.replace(folder / PREVIOUS)
            partial.replace(target)
            sync(folder)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
        _write_for_people(folder, facts)
    except SafetensorError as error:  # it wraps what the system says while writing
        raise explain_os_error(OSError(str(error)), target) from error
    except OSError as error:
        raise explain_os_error(error, target) from error
    return target


def load_checkpoint(folder: Path) -> tuple[Checkpoint, str | None]:
    """The newest whole checkpoint of a run, on the processor, and a warning when it is not the last one written.

    Raises MissingFileError when there is none, DamagedFileError when none can be read.
    """
    damaged: list[str] = []
    for name in (CHECKPOINT, PREVIOUS):
        path = folder / name
        if not path.is_file():
            continue
        try:
            found = _read(path)
        except _DamagedError as error:
            damaged.append(f"{path} ({error})")
            continue
        return found, f"Damaged: {damaged[0]}; resumed from the one before, step {found.step}." if damaged else None
    if damaged:
        raise DamagedFileError(
            f"No checkpoint can be read: {'; '.join(damaged)}.", remedy="Start the run anew with --overwrite."
        )
    raise MissingFileError(
        f"{folder}: there is no checkpoint to resume from.", remedy="Start the run without --resume."
    )


class _DamagedError(Exception):
    pass


def _read(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            facts = json.loads((file.metadata() or {})[_HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        step = facts["step"]
        if facts["format"] != FORMAT or not isinstance(step, int):
            raise _DamagedError(f"format {facts['format']}, expected {FORMAT}")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise _DamagedError(" ".join(str(error).split()) or type(error).__name__) from error
    return Checkpoint(step, tensors, facts, path)


def _write_for_people(folder: Path, facts: dict[str, Any]) -> None:
    partial = folder / f".{STATE}.partial-{os.getpid()}"
    try:
        partial.write_text(plainjson.dumps(facts, indent=2) + "\n", encoding="utf-8")
        partial.replace(folder / STATE)
    finally:
        partial.unlink(missing_ok=True)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser as tensors named ``INDEX.KEY``; its rates belong to the schedule."""
    return {
        f"{index}.{key}": value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for index, state in optimiser.state_dict()["state"].items()
        for key, value in state.items()
        if value is not None
    }


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put :func:`optimiser_tensors` back into an optimiser over the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
