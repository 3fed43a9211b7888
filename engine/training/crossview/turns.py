"""Panoramas whose heading is not known, looked at in all directions: which way fits which tile, by the network.

To embed a panorama at sixteen headings is to embed sixteen images. Here its features are computed at as few turns as
its frame allows (two where a place of the features spans an eighth of the circle) and rolled for the others; a strip of
the other side is laid on either edge before, for an encoder sees where the circle was cut. What rolled features are
most like tells which headings are likely, and at the :data:`LIKELY` best the panorama itself is embedded. That chooses
the tiles that all sixteen choose, in half of the time (docs/studies/cross-view.md).
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
from engine.training.crossview.matching import Choices, Nearest, similarity
from engine.training.distributed import World

BLOCK = 256
"""Panoramas at a time: at sixteen turns their embeddings of 1,024 numbers take 17 MB."""
LIKELY = 4
"""Headings at which a panorama itself is embedded."""
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


def exactly_round(network: CrossViewNetwork, turns: int = HEADINGS) -> Callable[[Tensor], Tensor]:
    """As :func:`round_about`, with the images themselves rolled: ``turns`` times the time of one embedding."""
    moves = [columns_of(turn, turns, network.ground_size[1]) for turn in range(turns)]
    return lambda images: torch.stack([network.ground(images.roll(move, dims=3)) for move in moves], dim=1)


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
class Round:
    """n panoramas at their likely headings: ``seen`` (n, :data:`LIKELY`, dim) embeddings, ``columns`` (n,
    :data:`LIKELY`) that each was rolled by, and ``rolled`` (n, :data:`~engine.crossview.learned_describer.HEADINGS`,
    dim) of rolled features."""

    seen: Tensor
    columns: Tensor
    rolled: Tensor


def look_around(
    network: CrossViewNetwork, store: FrameStore, indices: Sequence[int], tiles: Tensor, world: World, **options: Any
) -> Round:
    """:class:`Round` of the panoramas ``indices`` among ``tiles`` (M, dim), on the processor, the same in every
    process. A heading is as likely as the tile that fits it best. ``options`` of :func:`embed_grounds`."""
    moves = torch.tensor([columns_of(turn, HEADINGS, network.ground_size[1]) for turn in range(HEADINGS)])
    rolled = embed_rounds(network, store, indices, world, round_about(network), **options)
    likely = [
        (part.to(tiles.device) @ tiles.float().T).amax(2).topk(LIKELY, dim=1).indices.cpu()
        for part in rolled.split(max(1, _MOST // (HEADINGS * len(tiles))))
    ]
    columns = moves[torch.cat(likely)]
    each = [index for index in indices for _ in range(LIKELY)]
    seen = embed_grounds(network, store, each, world, rolls=columns.flatten().tolist(), **options)
    return Round(seen.view(len(indices), LIKELY, -1), columns, rolled)


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

    A panorama is as like a tile as at the best of its likely headings. ``given`` (n,): turns in columns that are known
    already, −1 for none; such a panorama is seen at that turn alone. ``options`` of :func:`embed_grounds`. Memory does
    not grow with panoramas × headings.
    """
    turn = torch.full((len(indices),), -1) if given is None else given.clone()
    table = torch.zeros(len(indices), network.dim)
    choices = Choices(len(tiles), tiles.device)
    for start in range(0, len(indices), BLOCK):
        rows = torch.arange(start, min(start + BLOCK, len(indices)))
        scores = torch.empty(len(rows), len(tiles), device=tiles.device)
        known = turn[rows] >= 0
        if bool(known.any()):
            some = rows[known]
            rolls = turn[some].tolist()
            table[some] = embed_grounds(network, store, [indices[i] for i in some], world, rolls=rolls, **options)
            scores[known.to(tiles.device)] = similarity(table[some].to(tiles.device), tiles)
        if not bool(known.all()):
            some = rows[~known]
            around = look_around(network, store, [indices[i] for i in some], tiles, world, **options)
            found = similarity(around.seen.to(tiles.device), tiles)
            scores[(~known).to(tiles.device)] = found
            turn[some], table[some] = _turned(around, tiles[found.argmax(1)].cpu(), network.ground_size[1])
        choices.see(scores)
    return Looked(choices.nearest(), turn, table)


def _turned(around: Round, tile: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """(n,) columns of the turn that fits each panorama's ``tile`` (n, dim), drawn between the headings that were tried
    where rolled features have their best there too, and (n, dim) its embedding at the nearest of them."""
    tile = tile.float()
    every = torch.arange(len(tile))
    best = torch.einsum("nld,nd->nl", around.seen, tile).argmax(1)
    columns = around.columns[every, best]
    curve = torch.einsum("nkd,nd->nk", around.rolled, tile)
    between = (likeliest(curve, torch.arange(HEADINGS) * (360.0 / HEADINGS))[1] * (width / 360.0)).round().long()
    off = (between - columns + width // 2) % width - width // 2
    near = off.abs() <= width / (2 * HEADINGS) + 0.5
    return torch.where(near, between, columns) % width, around.seen[every, best]
