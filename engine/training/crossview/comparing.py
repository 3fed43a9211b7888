"""Panoramas compared with tiles by the matcher without weights, a block of panoramas after the other.

A panorama whose heading is known is compared as it stands, with every tile. Where it is not, every turn is tried, which
takes thousands of times as long: then all tiles are ordered by sketches (:mod:`engine.crossview.geometric.sketch`), and
the :data:`SHORTLIST` that look best are compared in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.crossview.geometric.matcher import GeometricMatcher, Standing, Template
from engine.errors import ParameterError
from engine.events import Reporter
from engine.training.crossview.images import MOST_COLUMNS, FrameStore, read_image
from engine.training.distributed import World
from engine.training.feed import read_ahead

PHOTOS, TILES = 256, 256
"""Compared at a time: their rings and scores take about 250 MB."""
SHORTLIST = 128
"""Tiles that a panorama of unknown heading is compared with in full."""
NOTHING = -1.0
"""Score of a photo with a tile that it was not compared with; of one that shows no ground with any."""


@dataclass(frozen=True)
class Block:
    """Some panoramas: ``scores`` (n, M) with all tiles and those of their ``decoys`` (n, M); ``heading`` (n,) degrees,
    compass direction of each panorama's centre as its best tile has it."""

    scores: Tensor
    decoys: Tensor
    heading: Tensor


def share_of(count: int, world: World) -> tuple[int, range]:
    """How many of ``count`` items each process has at most, and this one's."""
    per = -(-count // world.size)
    return per, range(min(count, world.rank * per), min(count, (world.rank + 1) * per))


def tile_codes(store: FrameStore, matcher: GeometricMatcher, world: World, workers: int, reporter: Reporter) -> Tensor:
    """(M, K) uint8 codes of all tiles, on the processor, the same in every process. Raises DamagedFileError."""
    count = len(store.data.overheads)
    per, own = share_of(count, world)
    table = torch.zeros(per, matcher.code_length, dtype=torch.uint8)
    feed = read_ahead(
        lambda index: _tile(store, index), own.start, own.stop, workers=workers, one_core=world.device.kind == "cpu"
    )
    for row, (pixels, gsd) in enumerate(feed):
        reporter.progress(row / len(own), "geometric", f"Reading tile {row + 1} of {len(own)}")
        table[row] = matcher.codes(pixels, gsd)[0].cpu()
    return world.stacked(table).flatten(0, 1)[:count]


def tile_code(store: FrameStore, index: int, matcher: GeometricMatcher) -> Tensor:
    """(1, K) uint8 code of one tile. Raises DamagedFileError."""
    return matcher.codes(*_tile(store, index)).cpu()


def _tile(store: FrameStore, index: int) -> tuple[Tensor, float]:
    """(1, 3, S, S) of 0…1 and metres a pixel."""
    item = store.data.overheads[index]
    pixels = read_image(item.file)[None].float() / 255
    return pixels, item.gsd_m or 2 * store.framing.half_width_m / min(pixels.shape[2:])


def compared(
    store: FrameStore,
    grounds: Sequence[int],
    codes: Tensor,
    matcher: GeometricMatcher,
    world: World,
    workers: int,
    reporter: Reporter,
) -> Iterator[Block]:
    """This process's share of the panoramas ``grounds`` with all tiles, at most :data:`PHOTOS` after the other in their
    order. Raises DamagedFileError."""
    _, own = share_of(len(grounds), world)
    blocks = [range(start, min(start + PHOTOS, own.stop)) for start in range(own.start, own.stop, PHOTOS)]

    def read(number: int) -> list[Tensor]:
        return [read_image(store.data.grounds[grounds[row]].file, most_columns=MOST_COLUMNS) for row in blocks[number]]

    comparison = _Comparison(codes, matcher)
    feed = read_ahead(read, 0, len(blocks), workers=min(1, workers), ahead=1, one_core=world.device.kind == "cpu")
    for number, images in enumerate(feed):
        inside = reporter.part(number / len(blocks), (number + 1) / len(blocks))
        message = f"Comparing panoramas {blocks[number].start - own.start + 1} of {len(own)} with {len(codes)} tiles"
        photos: list[Standing | Template | None] = []
        for row, pixels in zip(blocks[number], images, strict=True):
            inside.progress(0.2 * len(photos) / len(images), "geometric", message)
            photos.append(photo_of(store, grounds[row], pixels, matcher))
        decoys = [None if photo is None else photo.decoy() for photo in photos]
        scores, heading = comparison.of(photos, inside.part(0.2, 0.6), message)
        for row in blocks[number]:
            if isinstance(photos[row - blocks[number].start], Standing):
                heading[row - blocks[number].start] = store.view(grounds[row]).heading_deg
        yield Block(scores, comparison.of(decoys, inside.part(0.6, 1.0), message)[0], heading)


def photo_of(store: FrameStore, index: int, pixels: Tensor, matcher: GeometricMatcher) -> Standing | Template | None:
    """The panorama ready to be compared; None where it shows no ground."""
    item = store.data.grounds[index]
    try:
        if item.heading_known and store.framing.use_heading:
            return matcher.standing(pixels, item.view)
        return matcher.template(pixels, replace(item.view, heading_deg=0.0))
    except ParameterError:
        return None


class _Comparison:
    """Photos against all tiles; sketches of these are made when the first photo needs them."""

    def __init__(self, codes: Tensor, matcher: GeometricMatcher) -> None:
        self._codes, self._matcher = codes, matcher
        self._sketches: Tensor | None = None

    def of(
        self, photos: Sequence[Standing | Template | None], reporter: Reporter, message: str
    ) -> tuple[Tensor, Tensor]:
        """(n, M) scores and (n,) headings; 0 for those of a photo that stands or shows no ground."""
        matcher = self._matcher
        scores = torch.full((len(photos), len(self._codes)), NOTHING, device=matcher.device)
        heading = torch.zeros(len(photos), device=matcher.device)
        still = {row: photo for row, photo in enumerate(photos) if isinstance(photo, Standing)}
        for start in range(0, len(self._codes) if still else 0, TILES):
            reporter.progress(start / len(self._codes), "geometric", message)
            part = self._codes[start : start + TILES].to(matcher.device)
            scores[list(still), start : start + TILES] = matcher.standing_scores(list(still.values()), part)
        turning = {row: photo for row, photo in enumerate(photos) if isinstance(photo, Template)}
        for number, (row, chosen) in enumerate(self._shortlists(turning).items()):
            reporter.progress(number / len(turning), "geometric", message)
            found, turned = matcher.score(turning[row], self._codes[chosen.to(self._codes.device)])
            scores[row, chosen] = found
            heading[row] = turned[found.argmax()]
        return scores, heading

    def _shortlists(self, photos: dict[int, Template]) -> dict[int, Tensor]:
        """The tiles that each photo is compared with in full, in their order."""
        if not photos:
            return {}
        if len(self._codes) <= SHORTLIST:
            every = torch.arange(len(self._codes), device=self._matcher.device)
            return dict.fromkeys(photos, every)
        if self._sketches is None:
            self._sketches = self._matcher.sketches(self._codes)
        found = self._matcher.sketch_scores(list(photos.values()), self._sketches)
        chosen = found.topk(SHORTLIST, dim=1).indices.sort(dim=1).values
        return dict(zip(photos, chosen, strict=True))
