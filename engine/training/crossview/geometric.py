"""Whom the matcher without weights pairs: the first pseudo-labels of a run, before its network knows anything.

Every panorama of the training is compared with every tile (:mod:`engine.crossview.geometric`); what chooses each other,
and how clear of the rest, is kept in a file of the run. No true pair is looked at. How many pairs are chance is told by
decoys, as in the search of spectra for proteins (Elias and Gygi, Nature Methods 2007): the same panoramas turned by a
quarter, or mirrored where the heading is not known, are compared too, and whatever they pair is false.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from engine.crossview.geometric.matcher import GeometricMatcher, Standing, Template
from engine.errors import DamagedFileError, ParameterError
from engine.events import Reporter
from engine.outputs import explain_os_error
from engine.resultfile import write_whole
from engine.training.crossview.images import MOST_COLUMNS, FrameStore, read_image
from engine.training.crossview.matching import Choices, Nearest
from engine.training.crossview.plan import FOLDER
from engine.training.distributed import World
from engine.training.feed import read_ahead

FILE = "geometric.safetensors"
PHOTOS, TILES = 256, 256
"""Compared at a time: their rings and scores take about 250 MB."""
NOTHING = -1.0
"""Score of a photo that shows no ground with any tile: it chooses none."""
_PARTS = ("tile", "gap", "panorama", "back_gap")
_WHOSE = ("near", "decoys")


@dataclass(frozen=True)
class Matched:
    """What was found for the panoramas (``near``) and for their decoys."""

    near: Nearest
    decoys: Nearest

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

    A panorama whose heading is known and used is compared as it stands, another at its best turn. A tile of unknown
    scale counts as wide as the bird's-eye views. Each process compares a share of the panoramas. Memory grows with
    tiles (:attr:`GeometricMatcher.code_length` bytes, 6 KB) and not with panoramas. What was found is read again from
    ``folder`` when a run goes on. Raises DamagedFileError for images and for a file of the run that cannot be read,
    OutputError.
    """
    path = folder / FOLDER / FILE
    if world.any(world.main and path.is_file()):
        return _shared(_read(path) if world.main else None, len(grounds), len(store.data.overheads), world)
    matcher = matcher or GeometricMatcher(device=world.device.torch)
    with torch.inference_mode():
        codes = tile_codes(store, matcher, world, workers, reporter.part(0.0, 0.15))
        seen = [Choices(len(codes), matcher.device) for _ in range(2)]
        for block in compared(store, grounds, codes, matcher, world, workers, reporter.part(0.15, 1.0)):
            for choices, scores in zip(seen, block, strict=True):
                choices.see(scores)
        found = Matched(*(_merged(choices, len(grounds), world) for choices in seen))
    if world.main:
        _write(path, found)
    world.wait()
    return found


def tile_codes(store: FrameStore, matcher: GeometricMatcher, world: World, workers: int, reporter: Reporter) -> Tensor:
    """(M, K) uint8 codes of all tiles, on the processor, the same in every process. Raises DamagedFileError."""
    items = store.data.overheads

    def one(index: int) -> tuple[Tensor, float]:
        item = items[index]
        pixels = read_image(item.file)[None].float() / 255
        gsd = item.gsd_m or 2 * store.framing.half_width_m / min(pixels.shape[2:])
        return pixels, gsd

    per, own = _share(len(items), world)
    table = torch.zeros(per, matcher.code_length, dtype=torch.uint8)
    feed = read_ahead(one, own.start, own.stop, workers=workers, one_core=world.device.kind == "cpu")
    for row, (pixels, gsd) in enumerate(feed):
        reporter.progress(row / len(own), "geometric", f"Reading tile {row + 1} of {len(own)}")
        table[row] = matcher.codes(pixels, gsd)[0].cpu()
    return world.stacked(table).flatten(0, 1)[: len(items)]


def compared(
    store: FrameStore,
    grounds: Sequence[int],
    codes: Tensor,
    matcher: GeometricMatcher,
    world: World,
    workers: int,
    reporter: Reporter,
) -> Iterator[Tensor]:
    """(2, n, M) scores of this process's share of the panoramas ``grounds`` with all tiles, a block of at most
    :data:`PHOTOS` after the other in their order: of the panoramas, and of their decoys. Raises DamagedFileError."""
    _, own = _share(len(grounds), world)
    blocks = [range(start, min(start + PHOTOS, own.stop)) for start in range(own.start, own.stop, PHOTOS)]

    def read(number: int) -> list[Tensor]:
        return [read_image(store.data.grounds[grounds[row]].file, most_columns=MOST_COLUMNS) for row in blocks[number]]

    feed = read_ahead(read, 0, len(blocks), workers=min(1, workers), ahead=1, one_core=world.device.kind == "cpu")
    for number, images in enumerate(feed):
        inside = reporter.part(number / len(blocks), (number + 1) / len(blocks))
        message = f"Comparing panoramas {blocks[number].start - own.start + 1} of {len(own)} with {len(codes)} tiles"
        photos: list[Standing | Template | None] = []
        for row, pixels in zip(blocks[number], images, strict=True):
            inside.progress(0.2 * len(photos) / len(images), "geometric", message)
            photos.append(_photo(store, grounds[row], pixels, matcher))
        decoys = [None if photo is None else photo.decoy() for photo in photos]
        scores = torch.full((2, len(photos), len(codes)), NOTHING, device=matcher.device)
        for start in range(0, len(codes), TILES):
            inside.progress(0.2 + 0.8 * start / len(codes), "geometric", message)
            part = codes[start : start + TILES].to(matcher.device)
            for found, those in zip(scores[:, :, start : start + TILES], (photos, decoys), strict=True):
                _fill(found, those, part, matcher, inside)
        yield scores


def _photo(store: FrameStore, index: int, pixels: Tensor, matcher: GeometricMatcher) -> Standing | Template | None:
    """The panorama ready to be compared; None where it shows no ground."""
    item = store.data.grounds[index]
    try:
        if item.heading_known and store.framing.use_heading:
            return matcher.standing(pixels, item.view)
        return matcher.template(pixels, replace(item.view, heading_deg=0.0))
    except ParameterError:
        return None


def _fill(
    scores: Tensor,
    photos: Sequence[Standing | Template | None],
    codes: Tensor,
    matcher: GeometricMatcher,
    reporter: Reporter,
) -> None:
    """The scores of all photos with some codes, in place; those of a photo that shows no ground stay."""
    still = {row: photo for row, photo in enumerate(photos) if isinstance(photo, Standing)}
    if still:
        scores[list(still)] = matcher.standing_scores(list(still.values()), codes)
    for row, photo in enumerate(photos):
        if isinstance(photo, Template):
            reporter.check()
            scores[row] = matcher.score(photo, codes)[0]


def _share(count: int, world: World) -> tuple[int, range]:
    """How many of ``count`` items each process has at most, and this one's."""
    per = -(-count // world.size)
    return per, range(min(count, world.rank * per), min(count, (world.rank + 1) * per))


def _merged(choices: Choices, count: int, world: World) -> Nearest:
    """What all processes saw of ``count`` panoramas, as one process would have seen it."""
    if world.size == 1:
        return choices.nearest()
    tile, gap, first, rest, at = (part.cpu() for part in choices.parts())
    per, _ = _share(count, world)
    rows = [world.stacked(torch.cat([part, part.new_zeros(per - len(part))])) for part in (tile, gap)]
    columns = [world.stacked(part) for part in (first, rest, at)]
    whole = Choices(len(first))
    for rank in range(world.size):
        held = max(0, min(per, count - rank * per))
        whole.join(rows[0][rank][:held], rows[1][rank][:held], *(part[rank] for part in columns))
    return whole.nearest()


def _shared(found: Matched | None, panoramas: int, tiles: int, world: World) -> Matched:
    """The main process's in every process; the others give None."""
    if found is None:
        rows, columns = torch.zeros(panoramas), torch.zeros(tiles)
        empty = Nearest(rows.long(), rows, columns.long(), columns)
        found = Matched(empty, empty)
    return Matched(*(
        Nearest(*(world.stacked(getattr(near, name))[0] for name in _PARTS)) for near in (found.near, found.decoys)
    ))  # fmt: skip


def _write(path: Path, found: Matched) -> None:
    from safetensors.torch import save

    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise explain_os_error(error, path.parent) from error
    kept = {f"{whose}.{name}": getattr(getattr(found, whose), name) for whose in _WHOSE for name in _PARTS}
    write_whole(path, save({name: table.contiguous() for name, table in kept.items()}))


def _read(path: Path) -> Matched:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        kept = load_file(path)
        return Matched(*(Nearest(*(kept[f"{whose}.{name}"] for name in _PARTS)) for whose in _WHOSE))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise DamagedFileError(
            f"{path}: the pairs of the geometric matcher cannot be read ({' '.join(str(error).split())}).",
            remedy="Start the run anew with --overwrite.",
        ) from error
