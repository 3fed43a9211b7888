"""Headings of panoramas whose tile is known: the matcher without weights turns each over its own tile."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.crossview.geometric.matcher import GeometricMatcher, Template
from engine.training.crossview.comparing import photo_of, share_of, tile_code
from engine.training.crossview.images import MOST_COLUMNS, FrameStore, read_image
from engine.training.crossview.turns import turn_of
from engine.training.distributed import World
from engine.training.feed import read_ahead


@torch.inference_mode()
def true_turns(
    store: FrameStore,
    labelled: Sequence[int],
    world: World,
    *,
    workers: int,
    matcher: GeometricMatcher | None = None,
) -> Tensor:
    """(all panoramas,) columns by which the frames of the panoramas ``labelled`` are rolled so that they look north, −1
    for the others and for those that show no ground; the same in every process. No heading of the data is read. Raises
    DamagedFileError."""
    matcher = matcher or GeometricMatcher(device=world.device.torch)
    per, own = share_of(len(labelled), world)

    def one(row: int) -> tuple[Tensor, Tensor | None]:
        index = labelled[row]
        photo = read_image(store.data.grounds[index].file, most_columns=MOST_COLUMNS)
        positive = store.data.matches[index].positive
        return photo, None if positive is None else tile_code(store, positive, matcher)

    found = torch.full((per,), -1)
    feed = read_ahead(one, own.start, own.stop, workers=workers, one_core=world.device.kind == "cpu")
    for row, (pixels, code) in zip(own, feed, strict=True):
        photo = photo_of(store, labelled[row], pixels, matcher)
        if isinstance(photo, Template) and code is not None:
            heading = matcher.score(photo, code)[1].cpu()
            assumed = torch.tensor([store.view(labelled[row]).heading_deg])
            found[row - own.start] = turn_of(heading, assumed, store.framing.ground.size[1])[0]
    out = torch.full((len(store.data.grounds),), -1)
    out[torch.tensor(labelled)] = world.stacked(found).flatten()[: len(labelled)]
    return out
