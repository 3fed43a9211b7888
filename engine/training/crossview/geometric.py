"""Whom the matcher without weights pairs: the first pseudo-labels of a run, before its network knows anything.

Every panorama of the training is compared with every tile (:mod:`engine.crossview.geometric`); what chooses each other,
and how clear of the rest, is kept in a file of the run. No true pair is looked at. How many pairs are chance is told by
decoys, as in the search of spectra for proteins (Elias and Gygi, Nature Methods 2007): the same panoramas turned by a
quarter, or mirrored where the heading is not known, are compared too, and whatever they pair is false.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.crossview.geometric.matcher import GeometricMatcher
from engine.errors import DamagedFileError
from engine.events import Reporter
from engine.outputs import explain_os_error
from engine.resultfile import write_whole
from engine.training.crossview.comparing import compared, share_of, tile_codes
from engine.training.crossview.images import FrameStore
from engine.training.crossview.matching import Choices, Nearest
from engine.training.crossview.plan import FOLDER
from engine.training.distributed import World

FILE = "geometric.safetensors"
_PARTS = ("tile", "gap", "panorama", "back_gap")
_WHOSE = ("near", "decoys")


@dataclass(frozen=True)
class Matched:
    """What was found for the panoramas (``near``) and for their decoys; ``heading`` (N,) degrees, compass direction of
    each panorama's centre as its best tile has it."""

    near: Nearest
    decoys: Nearest
    heading: Tensor

    def doubt(self, threshold: float, *, mutual: bool = True, gap: str = "both") -> float:
        """The share of the pairs with gaps of at least ``threshold`` that chance would make too, 0 to 1: how many the
        decoys have for one that the panoramas have. An upper estimate, for chance has more room where nothing is right.
        1 where there is no pair."""
        right, false = (_sure(near, mutual, gap) for near in (self.near, self.decoys))
        pairs = int((right >= threshold).sum())
        return min(1.0, int((false >= threshold).sum()) / pairs) if pairs else 1.0

    def sure_gap(self, start: float, most: float, *, mutual: bool = True, gap: str = "both") -> float:
        """The least gap from ``start`` on that leaves a :meth:`doubt` of at most ``most``; infinite where none does."""
        right, false = (_sure(near, mutual, gap).sort().values for near in (self.near, self.decoys))
        above = torch.nextafter(false[false >= start], torch.tensor(math.inf))
        tried = torch.cat([torch.tensor([start]), above]).contiguous()
        pairs, chance = (len(sure) - torch.searchsorted(sure.contiguous(), tried) for sure in (right, false))
        good = tried[(pairs > 0) & (chance <= most * pairs)]
        return float(good.min()) if len(good) else math.inf


def _sure(near: Nearest, mutual: bool, gap: str) -> Tensor:
    """(n,) the gaps by which the pairs of ``near`` are measured."""
    tile = near.labels(0.0, mutual=mutual, gap=gap)
    has = tile >= 0
    both = torch.minimum(near.gap, near.back_gap[near.tile]) if gap == "both" else near.gap
    return both[has].float()


def match_geometrically(
    store: FrameStore,
    grounds: Sequence[int],
    world: World,
    *,
    folder: Path,
    workers: int,
    reporter: Reporter,
    matcher: GeometricMatcher | None = None,
) -> Matched:
    """:class:`Matched` of the panoramas ``grounds`` and all tiles by the matcher, the same in every process.

    A panorama whose heading is known and used is compared as it stands, another at its best turn with the tiles of a
    shortlist. A tile of unknown scale counts as wide as the bird's-eye views. Each process compares a share of the
    panoramas. Memory grows with tiles (:attr:`GeometricMatcher.code_length` bytes, 6 KB, and as much again for its
    sketch) and not with panoramas. What was found is read again from ``folder`` when a run goes on. Raises
    DamagedFileError for images and for a file of the run that cannot be read, OutputError.
    """
    path = folder / FOLDER / FILE
    if world.any(world.main and path.is_file()):
        return _shared(_read(path) if world.main else None, len(grounds), len(store.data.overheads), world)
    matcher = matcher or GeometricMatcher(device=world.device.torch)
    with torch.inference_mode():
        codes = tile_codes(store, matcher, world, workers, reporter.part(0.0, 0.15))
        near, decoys = (Choices(len(codes), matcher.device) for _ in range(2))
        headings = [torch.zeros(0)]
        for block in compared(store, grounds, codes, matcher, world, workers, reporter.part(0.15, 1.0)):
            near.see(block.scores)
            decoys.see(block.decoys)
            headings.append(block.heading.cpu())
        found = Matched(
            _merged(near, len(grounds), world),
            _merged(decoys, len(grounds), world),
            _every(torch.cat(headings), len(grounds), world),
        )
    if world.main:
        _write(path, found)
    world.wait()
    return found


def _merged(choices: Choices, count: int, world: World) -> Nearest:
    """What all processes saw of ``count`` panoramas, as one process would have seen it."""
    if world.size == 1:
        return choices.nearest()
    tile, gap, first, rest, at = (part.cpu() for part in choices.parts())
    per, _ = share_of(count, world)
    rows = [world.stacked(torch.cat([part, part.new_zeros(per - len(part))])) for part in (tile, gap)]
    columns = [world.stacked(part) for part in (first, rest, at)]
    whole = Choices(len(first))
    for rank in range(world.size):
        held = max(0, min(per, count - rank * per))
        whole.join(rows[0][rank][:held], rows[1][rank][:held], *(part[rank] for part in columns))
    return whole.nearest()


def _every(own: Tensor, count: int, world: World) -> Tensor:
    """(count,) the numbers of all processes' panoramas, of which this one has ``own``."""
    per, _ = share_of(count, world)
    return world.stacked(torch.cat([own, own.new_zeros(per - len(own))])).flatten()[:count]


def _shared(found: Matched | None, panoramas: int, tiles: int, world: World) -> Matched:
    """The main process's in every process; the others give None."""
    if found is None:
        rows, columns = torch.zeros(panoramas), torch.zeros(tiles)
        empty = Nearest(rows.long(), rows, columns.long(), columns)
        found = Matched(empty, empty, rows)
    near, decoys = (
        Nearest(*(world.stacked(getattr(one, name))[0] for name in _PARTS)) for one in (found.near, found.decoys)
    )
    return Matched(near, decoys, world.stacked(found.heading)[0])


def _write(path: Path, found: Matched) -> None:
    from safetensors.torch import save

    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise explain_os_error(error, path.parent) from error
    kept = {f"{whose}.{name}": getattr(getattr(found, whose), name) for whose in _WHOSE for name in _PARTS}
    kept["heading"] = found.heading
    write_whole(path, save({name: table.contiguous() for name, table in kept.items()}))


def _read(path: Path) -> Matched:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        kept = load_file(path)
        near, decoys = (Nearest(*(kept[f"{whose}.{name}"] for name in _PARTS)) for whose in _WHOSE)
        return Matched(near, decoys, kept["heading"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DamagedFileError(
            f"{path}: the pairs of the geometric matcher cannot be read ({' '.join(str(error).split())}).",
            remedy="Start the run anew with --overwrite.",
        ) from error
