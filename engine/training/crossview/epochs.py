"""Between epochs: the whole set is embedded, pseudo-labels and hard negatives are found, a plan is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.crossview.data.items import CrossViewSet
from engine.events import Reporter
from engine.models.crossview import CrossViewNetwork
from engine.training.crossview.choice import Chooser, agreement
from engine.training.crossview.embed import embed_grounds, embed_overheads
from engine.training.crossview.geometric import Matched
from engine.training.crossview.images import FrameStore
from engine.training.crossview.matching import nearest, neighbours, similarity, threshold_at
from engine.training.crossview.mining import mined_batches
from engine.training.crossview.plan import ALSO, Plan, load_plan, save_plan, shared_plan
from engine.training.crossview.pseudo import Labels, pseudo_labels
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.crossview.split import Split
from engine.training.crossview.stages import Stage, Stages
from engine.training.crossview.turns import Looked, headings_right, look_around, look_round, turn_of
from engine.training.distributed import World
from engine.training.rng import derive_seed

_MOST_DOUBT = 0.5
"""Of the matcher's pairs; more is warned of."""
_POOL = 2
"""Neighbours are drawn from so many times their number."""


@dataclass
class Between:
    """The :class:`engine.training.loop.Epochs` of a cross-view run, and its ``validate``.

    ``geometric``: what the matcher without weights paired; ``paired`` (all panoramas,): the turns of those whose tile
    is given, where headings are found (:func:`~engine.training.crossview.true_turns.true_turns`)."""

    request: CrossViewTrainRequest
    data: CrossViewSet
    split: Split
    stages: Stages
    network: CrossViewNetwork
    store: FrameStore
    world: World
    folder: Path
    reporter: Reporter
    chooser: Chooser
    geometric: Matched | None = None
    paired: Tensor | None = None
    precision: str = "fp32"
    resumed_at: int | None = None

    def __post_init__(self) -> None:
        self.plan: Plan | None = None
        self.first = 0
        self.told: dict[str, float] = {}
        self._embedded: tuple[int, Tensor] | None = None

    def end(self, step: int) -> int:
        """The end of the epoch that ``step`` is in."""
        return self.stages.end(step)

    def begin(self, step: int) -> None:
        """Make the plan of the epoch that begins at ``step``, or take that of the epoch that goes on there."""
        stage = self.stages.at(step)
        epoch = stage.epoch(step)
        self.first = stage.begins(epoch)
        shape = (stage.ends(epoch) - self.first, self.request.batch * self.world.size)
        plan = None
        if step > self.first:
            plan = load_plan(self.folder, self.first) if self.world.main else None
        else:
            plan = self._made(stage, epoch, shape)
            if self.world.main:
                save_plan(self.folder, self.first, plan)
        self.plan = shared_plan(plan if self.world.main else None, shape, self.world)

    def validate(self, step: int) -> dict[str, float]:
        """Measure the weights after ``step`` on what was held out; figures of the epoch's labels too."""
        done = step + 1
        told = dict(self.told)
        if done != self.stages.end(step) or not self.split.held_out:
            return told
        tiles = self._near(self._tiles(done))
        held = self._near(self._held_out(tiles))
        found = agreement(held, tiles, self.chooser.before)
        told |= self.chooser.see(done, found, self.network, write=self.world.main)
        truth = torch.tensor([self._tile_of(i) for i in self.split.held_out])
        if bool((truth >= 0).any()):  # told, never used
            scores = similarity(held, tiles).cpu()
            rows = (truth >= 0).nonzero()[:, 0]
            own = scores[rows].gather(1, truth[rows, None])
            first = ((scores[rows] >= own - 1e-6).sum(1) == 1).float()
            told["held_out_r1"] = float(first.mean())
        return told

    def _tile_of(self, ground: int) -> int:
        positive = self.data.matches[ground].positive
        return -1 if positive is None else positive

    def _generator(self, first: int) -> np.random.Generator:
        return np.random.default_rng(derive_seed(self.request.seed, "plan", first))

    def _made(self, stage: Stage, epoch: int, shape: tuple[int, int]) -> Plan:
        draw = self._generator(self.first)
        self.told = {}
        if stage.name == "intra":
            return Plan.make(
                _cycled(np.asarray(self.split.train), shape, draw),
                overhead=_cycled(np.arange(len(self.data.overheads)), shape, draw),
            )
        if stage.name == "cross":
            return Plan.make(
                _cycled(np.asarray(self.split.train), shape, draw),
                style=_cycled(np.arange(len(self.data.overheads)), shape, draw),
            )
        if stage.name == "supervised":
            return self._supervised(epoch, shape, draw)
        train = torch.tensor(self.split.train)
        labels, looked, tiles = self._labels(stage, epoch, shape)
        self._tell(labels, looked.turn, train)
        if stage.name == "geometric" and self.geometric is not None:
            self._doubt(self.geometric, labels.threshold, first=epoch == 0)
        return self._claimed(labels, train, looked, tiles, epoch, shape, draw)

    def _supervised(self, epoch: int, shape: tuple[int, int], draw: np.random.Generator) -> Plan:
        grounds = list(self.split.labelled)
        tiles = [self._tile_of(i) for i in grounds]
        near = None
        if self.request.neighbours and epoch >= self.request.mine_after:
            near = self._mined(grounds, tiles)
        chosen = self._pairs(grounds, tiles, near, shape, draw)
        ground, tile = torch.tensor(grounds)[chosen], torch.tensor(tiles)[chosen]
        turn = None if self.paired is None else self.paired[ground]
        return Plan.make(ground, overhead=tile, labelled=torch.ones_like(ground), turn=turn, also=self._semi(ground))

    def _labels(self, stage: Stage, epoch: int, shape: tuple[int, int]) -> tuple[Labels, Looked, Tensor]:
        """The pseudo-labels of an epoch, by the network or, once and for all, by the matcher without weights; how the
        network sees the panoramas, and its embeddings of tiles."""
        request, found = self.request, self.geometric
        tiles = self._near(self._tiles(stage.begins(epoch)))
        how: dict[str, Any] = {"mutual": request.mutual, "gap": request.gap_of}
        first, threshold = None, threshold_at(epoch, stage.epochs, request.gap) if request.curriculum else request.gap
        if found is not None:
            sure = found.sure_gap(request.geometric_gap, request.geometric_doubt, **how)
            first = found.near.labels(sure, **how)
        if found is not None and stage.name == "geometric":
            looked, first, threshold = self._looked(tiles, found, first, alone=True), None, sure
        else:  # what the matcher is sure of stands beside what the network finds
            looked = self._looked(tiles, found, first, alone=False)
        place = {ground: row for row, ground in enumerate(self.split.train)}
        labels = pseudo_labels(
            looked.near,
            threshold=threshold,
            known={place[i]: self._tile_of(i) for i in self.split.labelled},
            semi={place[i]: self.data.matches[i].semi for i in self.split.labelled},
            least=max(2, shape[1] // 2, round(request.least_labels * len(self.split.train))),
            stage=stage.name,
            first=first,
            overrule=request.gap,
            **how,
        )
        return labels, looked, tiles

    def _looked(self, tiles: Tensor, found: Matched | None, first: Tensor | None, *, alone: bool) -> Looked:
        """How the network sees the panoramas of the training among ``tiles``; those that the matcher or a label has
        turned, at that heading. ``alone``: the matcher's choices in the place of the network's."""
        train = list(self.split.train)
        if self.request.heading != "found":
            table = self._near(self._grounds(train))
            near = found.near if alone and found is not None else nearest(table, tiles)
            return Looked(near, torch.zeros(len(train), dtype=torch.int64), table)
        given = torch.full((len(train),), -1)
        if found is not None and first is not None:
            assumed = torch.tensor([self.store.view(i).heading_deg for i in train])
            turn = turn_of(found.heading, assumed, self.network.ground_size[1])
            given = turn if alone else torch.where(first >= 0, turn, -1)
        if self.paired is not None:
            given = torch.where(self.paired[train] >= 0, self.paired[train], given)
        looked = look_round(self.network, self.store, train, tiles, self.world, given=given, **self._options())
        return replace(looked, near=found.near) if alone and found is not None else looked

    def _claimed(
        self,
        labels: Labels,
        train: Tensor,
        looked: Looked,
        above: Tensor,
        epoch: int,
        shape: tuple[int, int],
        draw: np.random.Generator,
    ) -> Plan:
        """Pseudo-labels with what is near them, and a rest that has none."""
        request = self.request
        pairs = labels.pairs
        grounds, tiles = train[pairs[:, 0]].tolist(), pairs[:, 1].tolist()
        bare = train[labels.tile < 0]
        wanted = max(request.labelled_share, len(pairs) / len(train))
        free = labels.free if request.dustbin else labels.free[:0]
        least = 1 if len(bare) and len(free) else shape[1]
        count = int(min(shape[1], max(least, min(len(pairs), round(wanted * shape[1])))))
        near = None
        if request.neighbours and epoch >= request.mine_after:
            mine = self._near(looked.table[pairs[:, 0]])
            near = neighbours(mine, above, _POOL * request.neighbours + 1).numpy()
        chosen = self._pairs(grounds, tiles, near, (shape[0], count), draw)
        ground, tile = torch.tensor(grounds)[chosen], torch.tensor(tiles)[chosen]
        also = self._semi(ground)
        rest = (shape[0], shape[1] - count)
        if rest[1]:
            more = _cycled(bare.numpy(), rest, draw)
            tile = torch.cat([tile, _cycled(free.numpy(), rest, draw)], dim=1)
            candidate = torch.full((len(self.data.grounds),), -1)
            candidate[train] = labels.candidate
            quiet = torch.full((*rest, ALSO), -1)
            quiet[..., 0] = candidate[more]
            ground, also = torch.cat([ground, more], dim=1), torch.cat([also, quiet], dim=1)
        labelled = torch.zeros_like(ground)
        labelled[:, :count] = 1
        # Every process takes each so-many-th column: labelled rows are shared out evenly by that.
        style = _cycled(np.arange(len(self.data.overheads)), shape, draw)
        turn = torch.full((len(self.data.grounds),), -1)
        turn[train] = looked.turn
        return Plan.make(ground, overhead=tile, labelled=labelled, style=style, turn=turn[ground], also=also)

    def _tell(self, labels: Labels, turn: Tensor, train: Tensor) -> None:
        has = labels.tile >= 0
        self.told = {"labels_share": float(has.float().mean()), "labels_gap": labels.threshold}
        truth = torch.tensor([self._tile_of(int(i)) for i in train])
        known = has & (truth >= 0)
        if bool(known.any()):  # told, never used
            right = [int(labels.tile[i]) in self.data.matches[int(train[i])].tiles for i in known.nonzero()[:, 0]]
            self.told["labels_right"] = float(np.mean(right))
        if self.request.heading == "found":
            self.told |= headings_right(self.store, train[has].tolist(), turn[has])

    def _doubt(self, found: Matched, threshold: float, *, first: bool) -> None:
        doubt = found.doubt(threshold, mutual=self.request.mutual, gap=self.request.gap_of)
        self.told["labels_doubt"] = doubt
        if first and doubt > _MOST_DOUBT:
            self.reporter.warn(
                f"The matcher without weights pairs hardly more panoramas and tiles than chance would: of 100 of its "
                f"pairs about {100 * doubt:.0f} may be false. Start with the stages intra and cross instead."
            )

    def _mined(self, grounds: list[int], tiles: list[int]) -> Any:
        unique = sorted(set(tiles))
        rolls = None if self.paired is None else self.paired[grounds].clamp(min=0).tolist()
        a = self._grounds(grounds, rolls=rolls)
        b = self._overheads(unique)
        found = neighbours(self._near(a), self._near(b), _POOL * self.request.neighbours + 1)
        return torch.tensor(unique)[found].numpy()

    def _pairs(
        self, grounds: list[int], tiles: list[int], near: Any, shape: tuple[int, int], draw: np.random.Generator
    ) -> Tensor:
        found = mined_batches(
            grounds, tiles, near, batch=shape[1], count=shape[0], neighbours=self.request.neighbours, generator=draw
        )
        return torch.from_numpy(found)

    def _semi(self, ground: Tensor) -> Tensor:
        """(…, :data:`ALSO`) further tiles of labelled panoramas; those of others are not known."""
        known = set(self.split.labelled)
        table = torch.full((len(self.data.grounds), ALSO), -1)
        for i in known:
            more = self.data.matches[i].semi[:ALSO]
            table[i, : len(more)] = torch.tensor(more, dtype=torch.int64)
        return table[ground]

    def _tiles(self, step: int) -> Tensor:
        """All tiles by the weights before ``step``; those that a validation has just made are used again."""
        if self._embedded is None or self._embedded[0] != step:
            self._embedded = (step, self._overheads(range(len(self.data.overheads))))
        return self._embedded[1]

    def _near(self, table: Tensor) -> Tensor:
        """The table where similarities are quickest to compute."""
        return table.to(self.world.device.torch)

    def _held_out(self, tiles: Tensor) -> Tensor:
        """(n, dim) embeddings; where headings are found (n, likely headings, dim)."""
        held = self.split.held_out
        if self.request.heading != "found":
            return self._grounds(held)
        return look_around(self.network, self.store, held, tiles, self.world, **self._options()).seen

    def _grounds(self, indices: Any, *, rolls: Sequence[int] | None = None) -> Tensor:
        return embed_grounds(self.network, self.store, list(indices), self.world, rolls=rolls, **self._options())

    def _overheads(self, indices: Any) -> Tensor:
        return embed_overheads(self.network, self.store, list(indices), self.world, **self._options())

    def _options(self) -> dict[str, Any]:
        request = self.request
        return {"batch": request.batch, "workers": request.workers, "precision": self.precision}


def _cycled(pool: Any, shape: tuple[int, int], draw: np.random.Generator) -> Tensor:
    """(steps, batch) members of ``pool`` in orders drawn anew each time that all came."""
    count = shape[0] * shape[1]
    rounds = [draw.permutation(pool) for _ in range(-(-count // max(1, len(pool))))]
    return torch.from_numpy(np.concatenate(rounds)[:count].astype(np.int64).reshape(shape))
