"""Which images meet in every step of an epoch, kept in a file so that a run that was killed within it goes on alike."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import DamagedFileError
from engine.outputs import explain_os_error
from engine.resultfile import write_whole
from engine.training.distributed import World

FOLDER = "plans"
ALSO = 4
"""Tiles at most that are no negatives of a row: three semi-positives of VIGOR, and its own candidate."""
_ROWS = 5 + ALSO


@dataclass(frozen=True)
class Plan:
    """Of one epoch, each (steps, batch): numbers of panoramas and tiles, whether they belong together, the tile that
    gives a style, the columns by which the panorama is rolled so that its middle looks north (``turn``, −1: nobody
    knows), and (steps, batch, :data:`ALSO`) tiles that are no negatives, −1 for none."""

    ground: Tensor
    overhead: Tensor
    labelled: Tensor
    style: Tensor
    turn: Tensor
    also: Tensor

    @classmethod
    def make(
        cls,
        ground: Tensor,
        *,
        overhead: Tensor | None = None,
        labelled: Tensor | None = None,
        style: Tensor | None = None,
        turn: Tensor | None = None,
        also: Tensor | None = None,
    ) -> Plan:
        """A plan whose other parts are empty."""
        zero = torch.zeros_like(ground)
        nothing = torch.full((*ground.shape, ALSO), -1, dtype=torch.int64)
        return cls(
            ground,
            zero if overhead is None else overhead,
            zero if labelled is None else labelled.long(),
            zero if style is None else style,
            zero if turn is None else turn,
            nothing if also is None else also,
        )

    def packed(self) -> Tensor:
        """All of it as one (rows, steps, batch) table."""
        flat = torch.stack([self.ground, self.overhead, self.labelled, self.style, self.turn])
        return torch.cat([flat, self.also.movedim(2, 0)]).contiguous()

    @classmethod
    def unpacked(cls, table: Tensor) -> Plan:
        """The plan of :meth:`packed`."""
        if len(table) != _ROWS:
            raise ValueError(f"{len(table)} tables, expected {_ROWS}")
        ground, overhead, labelled, style, turn = table[:-ALSO]
        return cls(ground, overhead, labelled, style, turn, table[-ALSO:].movedim(0, 2).contiguous())


def shared_plan(plan: Plan | None, shape: tuple[int, int], world: World) -> Plan:
    """The main process's plan in every process; the others give None."""
    table = torch.zeros((_ROWS, *shape), dtype=torch.int64) if plan is None else plan.packed()
    return Plan.unpacked(world.stacked(table)[0])


def save_plan(folder: Path, first: int, plan: Plan) -> None:
    """Keep the plan of the epoch that begins at step ``first``. Raises OutputError."""
    from safetensors.torch import save

    home = folder / FOLDER
    path = home / f"{first}.safetensors"
    try:
        home.mkdir(exist_ok=True)
    except OSError as error:
        raise explain_os_error(error, home) from error
    write_whole(path, save({"plan": plan.packed()}))


def load_plan(folder: Path, first: int) -> Plan:
    """The plan of the epoch that begins at step ``first``. Raises DamagedFileError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / FOLDER / f"{first}.safetensors"
    try:
        return Plan.unpacked(load_file(path)["plan"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DamagedFileError(
            f"{path}: the plan of the epoch that was going on cannot be read ({' '.join(str(error).split())}).",
            remedy="Start the run anew with --overwrite.",
        ) from error


def forget_plans(folder: Path) -> None:
    """Delete all: the run is finished, or begins anew."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
