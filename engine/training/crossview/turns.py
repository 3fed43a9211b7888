"""Panoramas whose heading is not known, looked at in all directions: which way fits which tile, by the network itself.

A panorama's features are computed at as few turns as its frame allows (two where sixteen headings are tried and a place
of the features spans an eighth of the circle) and rolled for the others; a strip of the other side is laid on either
edge before, for the features there must not depend on where the circle was cut. Rolled features are not those of a
rolled image to the last bit, but they choose nearly the same tiles and turns at a sixth of the cost
(docs/studies/cross-view.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.crossview.headings import likeliest
from engine.crossview.learned_describer import HEADINGS
from engine.models.crossview import CrossViewNetwork
from engine.training.crossview.embed import embed_grounds, embed_rounds
from engine.training.crossview.images import FrameStore
from engine.training.crossview.matching import Choices, Nearest
from engine.training.distributed import World

BLOCK = 256
"""Panoramas at a time: at sixteen turns their embeddings of 1,024 numbers take 17 MB."""
_MOST = 2**24
"""Similarities that are computed at a time."""


def round_about(network: CrossViewNetwork, turns: int = HEADINGS) -> Callable[[Tensor], Tensor]:
    """A branch: images (N, 3, rows, columns) of the whole way round, normalised → (N, ``turns``, dim) embeddings, the
    k-th as of the image rolled right by :func:`columns_of` k, from features that are rolled."""
    stride, width = network.stride, network.ground_size[1]
    moves = [columns_of(turn, turns, width) for turn in range(turns)]

    def branch(images: Tensor) -> Tensor:
        features = {}
        for offset in sorted({move % stride for move in moves}):
            closed = F.pad(images.roll(offset, dims=3), (stride, stride, 0, 0), mode="circular")
            features[offset] = network.ground_encoder(closed)[-1][..., 1:-1]
        heads = [network.ground_head(features[move % stride].roll(move // stride, dims=3)) for move in moves]
        return torch.stack(heads, dim=1)

    return branch


def columns_of(turn: int, turns: int, width: int) -> int:
    """How many of ``width`` columns a panorama is rolled by at the ``turn``-th of ``turns`` headings."""
    return round(turn * width / turns)


def turn_of(heading_deg: Tensor, assumed_deg: Tensor, width: int) -> Tensor:
    """(n,) columns by which frames are rolled so that their middle looks north: of panoramas whose centres look
    ``heading_deg`` and whose frames were made as if they looked ``assumed_deg``."""
    return ((heading_deg - assumed_deg) * (width / 360.0)).round().long() % width


def headings_right(store: FrameStore, grounds: Sequence[int], turn: Tensor) -> dict[str, float]:
    """``headings_right``: the share of the panoramas whose ``turn`` (n,) lies within 10° of the heading that the data
    tell. Told, never used; nothing where they tell none."""
    width = store.framing.ground.size[1]
    apart = []
    for index, columns in zip(grounds, turn.tolist(), strict=True):
        item = store.data.grounds[index]
        if item.heading_known and columns >= 0:
            found = store.view(index).heading_deg + columns * 360.0 / width
            apart.append(abs((found - item.view.heading_deg + 180.0) % 360.0 - 180.0))
    return {"headings_right": sum(one <= 10.0 for one in apart) / len(apart)} if apart else {}


@dataclass(frozen=True)
class Looked:
    """What the network finds for n panoramas: ``near``, as by embeddings of known headings; ``turn`` (n,) columns that
    each frame is rolled by to look north, as its nearest tile has it; ``table`` (n, dim) embeddings at about that
    turn."""

    near: Nearest
    turn: Tensor
    table: Tensor


def look_round(
    network: CrossViewNetwork,
    store: FrameStore,
    indices: Sequence[int],
    tiles: Tensor,
    world: World,
    *,
    given: Tensor | None = None,
    **options: Any,
) -> Looked:
    """:class:`Looked` of the panoramas ``indices`` among ``tiles`` (M, dim), the same in every process.

    A panorama is as like a tile as at its best turn. ``given`` (n,): turns in columns that are known already, −1 for
    none; such a panorama is seen at that turn alone. ``options`` of :func:`embed_grounds`. Memory does not grow with
    panoramas × turns.
    """
    width = network.ground_size[1]
    turn = torch.full((len(indices),), -1) if given is None else given.clone()
    table = torch.zeros(len(indices), network.dim)
    choices, columns = Choices(len(tiles), tiles.device), tiles.float().T
    for start in range(0, len(indices), BLOCK):
        rows = torch.arange(start, min(start + BLOCK, len(indices)))
        scores = torch.empty(len(rows), len(tiles), device=tiles.device)
        sure = turn[rows] >= 0
        if bool(sure.any()):
            one = embed_grounds(
                network, store, [indices[i] for i in rows[sure]], world, rolls=turn[rows[sure]].tolist(), **options
            )
            table[rows[sure]] = one
            scores[sure.to(tiles.device)] = one.to(tiles.device) @ columns
        if not bool(sure.all()):
            open_ = rows[~sure]
            seen = embed_rounds(network, store, [indices[i] for i in open_], world, round_about(network), **options)
            found, at, which = _best_turns(seen.to(tiles.device), columns, width)
            scores[(~sure).to(tiles.device)] = found
            turn[open_] = at.cpu()
            table[open_] = seen[torch.arange(len(open_)), which.cpu()]
        choices.see(scores)
    return Looked(choices.nearest(), turn, table)


def _best_turns(seen: Tensor, columns: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings (n, turns, dim) and tiles (dim, M) → (n, M) similarities at the best turn, (n,) columns of the nearest
    tile's turn, drawn between those that were tried, and (n,) which of them is nearest."""
    turns = seen.shape[1]
    headings = torch.arange(turns, device=seen.device) * (360.0 / turns)
    parts = []
    for part in seen.split(max(1, _MOST // (turns * columns.shape[1]))):
        every = part @ columns
        found = every.amax(1)
        tile = found.argmax(1)
        curve = every.gather(2, tile[:, None, None].expand(-1, turns, 1))[..., 0]
        degrees = likeliest(curve, headings)[1]
        parts.append((found, (degrees * (width / 360.0)).round().long() % width, curve.argmax(1)))
    found, at, which = zip(*parts, strict=True)
    return torch.cat(found), torch.cat(at), torch.cat(which)
