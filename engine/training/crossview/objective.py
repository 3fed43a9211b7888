"""What cross-view training minimises, stage by stage; the names in a batch tell which stage it is of.

intra: ``ground``, ``overhead``: two variations of each image are the positives, in either encoder.
cross: ``ground``, ``birds_eye``, ``style``: a panorama and its own restyled bird's-eye view through the overhead
encoder.
pairs (supervised, curriculum): ``ground``, ``overhead`` and who belongs to whom. With ``birds_eye`` and ``style``
(curriculum) the later half of the rows, those without a label first of all, rehearse the stage cross: a few labels,
some of them wrong, would otherwise undo what the cold start has learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from engine.models.crossview import CrossViewNetwork
from engine.models.losses.assigned import Assignment, assigned_info_nce
from engine.models.losses.gather import Gather
from engine.training.crossview.augment import (
    Variation,
    erased,
    flipped,
    normal,
    quarter_rolls,
    rolled,
    spun,
    turned,
    varied,
)
from engine.training.crossview.looks import disguised, tilted

Batch = dict[str, Tensor]
WHO = ("ground_id", "overhead_id", "labelled", "also")


@dataclass(frozen=True)
class Settings:
    """``smoothing`` of intra and supervised, thrice that of cross, none with a ``dustbin``; ``columns`` of a panorama
    that the network takes (a part where fewer than there are). Headings are wrong by up to ``heading_error`` degrees
    on purpose. ``disguise`` is the strength of :func:`~engine.training.crossview.looks.disguised`, ``tilt`` the
    rows of :func:`~engine.training.crossview.looks.tilted`. ``turns``: at how many headings panoramas are compared
    with the tiles of a batch; 1: at the one that they have."""

    variation: Variation = field(default_factory=Variation)
    smoothing: float = 0.1
    cross_smoothing: float = 0.3
    dustbin: bool = True
    rehearse: float = 1.0
    columns: int = 512
    heading_error: float = 0.0
    disguise: float = 0.0
    tilt: float = 0.0
    turns: int = 1


class CrossViewObjective(nn.Module):
    """The network, the restyler (frozen) and their losses."""

    views_ahead = True

    def __init__(
        self, network: CrossViewNetwork, restyler: nn.Module, settings: Settings, *, gather: Gather | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.restyler = restyler.requires_grad_(False)
        self._settings, self._gather = settings, gather

    def views(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Variations of uint8 images (n, 4, rows, columns); ``unknown`` (n,) bool are panoramas without a heading.

        ``turn`` (n,): headings are found, so panoramas are rolled by these columns before they meet their tiles, −1
        where ``unknown``; with its own bird's-eye view a panorama goes together as both were made."""
        ground = own = _open(batch["ground"])
        alone = batch["unknown"]
        if "turn" in batch:
            ground, alone = _both(rolled, ground, batch["turn"]), torch.zeros_like(batch["unknown"])
        out = {name: batch[name] for name in (*WHO, "dustbin") if name in batch}
        if "labelled" in batch:
            overhead = _open(batch["overhead"])
            out |= self._together(ground, overhead, batch["unknown"], generator, name="overhead")
        if "birds_eye" in batch:
            late = slice(len(batch["unknown"]) - len(batch["birds_eye"]), None)
            seen, mask = _open(batch["birds_eye"])
            style, _ = _open(batch["style"])
            self.restyler.eval()
            fake = self.restyler(seen, mask, style)
            own = (own[0][late], own[1][late])
            made = self._together(own, (fake, mask), alone[late], generator, name="fake")
            return out | {"fake": made["fake"], "ground.own": made["ground.a"]}
        if "labelled" in batch:
            return out
        for view in ("a", "b"):
            images, mask = ground
            turns = self._turns(batch["unknown"], images.shape[3], generator)
            out[f"ground.{view}"] = self._seen(*_both(rolled, (images, mask), turns), generator, narrow=True)
            out[f"overhead.{view}"] = self._seen(*_open(batch["overhead"]), generator)
        return out

    def forward(self, views: Batch) -> Batch:
        network, temperature = self.network, self.network.scale()
        out: Batch = {"metric/temperature": temperature.detach()}
        if "ground.b" in views:
            losses = []
            for branch in ("ground", "overhead"):
                embed = network.ground if branch == "ground" else network.overhead
                a, b = embed(views[f"{branch}.a"]), embed(views[f"{branch}.b"])
                who = Assignment.of_pairs(views[f"{branch}_id"], views[f"{branch}_id"])
                losses.append(self._loss(a, b, who, temperature, self._settings.smoothing))
                out |= {f"metric/loss_{branch}": losses[-1].detach(), f"embedding/{branch}": a}
                out[f"metric/top1_{branch}"] = found_first(a, b, who)
            return {**out, "loss": torch.stack(losses).mean()}
        if "overhead" not in views:
            a, b, who, loss = self._cross(views, temperature)
        else:
            a, b = self._seen_round(views), network.overhead(views["overhead"])
            who = Assignment(*(views[name] for name in WHO))
            dustbin = self._settings.dustbin and "dustbin" in views
            smoothing = 0.0 if "dustbin" in views else self._settings.smoothing
            loss = self._loss(a, b, who, temperature, smoothing, dustbin=dustbin, loose=views.get("loose"))
            out["metric/labelled"] = who.labelled.float().mean()
            if "fake" in views:
                out["metric/loss_labels"] = loss.detach()
                loss = loss + self._settings.rehearse * self._cross(views, temperature)[3]
        out |= {"metric/top1": found_first(a, b, who), "embedding/ground": unturned(a), "embedding/overhead": b}
        return {**out, "loss": loss}

    def _seen_round(self, views: Batch) -> Tensor:
        """(n, dim) embeddings of the panoramas; where several turns are compared (n, turns, dim), the right one
        first."""
        if "turned" not in views:
            return self.network.ground(views["ground.a"])
        turns = self._settings.turns
        found = self.network.ground_turned(views["ground.a"], turns)
        back = (torch.arange(turns, device=found.device)[None] - views["turned"][:, None]) % turns
        return found.gather(1, back[:, :, None].expand_as(found))

    def _cross(self, views: Batch, temperature: Tensor) -> tuple[Tensor, Tensor, Assignment, Tensor]:
        """Panoramas and their own restyled bird's-eye views: embeddings, who belongs to whom, the loss."""
        a, b = self.network.ground(views["ground.own"]), self.network.overhead(views["fake"])
        ids = views["ground_id"][len(views["ground_id"]) - len(a) :]
        who = Assignment.of_pairs(ids, ids)
        return a, b, who, self._loss(a, b, who, temperature, self._settings.cross_smoothing)

    def after_step(self, step: int, total: int) -> None:
        """Bound the temperature."""
        self.network.scale.clamp_()

    def _loss(
        self,
        a: Tensor,
        b: Tensor,
        who: Assignment,
        temperature: Tensor,
        smoothing: float,
        *,
        dustbin: bool = False,
        loose: Tensor | None = None,
    ) -> Tensor:
        group = self._gather
        return assigned_info_nce(
            a, b, who, temperature=temperature, smoothing=smoothing, dustbin=dustbin, group=group, loose=loose
        )

    def _together(
        self,
        ground: tuple[Tensor, Tensor],
        above: tuple[Tensor, Tensor],
        unknown: Tensor,
        generator: torch.Generator,
        *,
        name: str,
    ) -> Batch:
        """A panorama and a square seen from above, mirrored and turned alike, then each varied by itself."""
        n, width = len(ground[0]), ground[0].shape[3]
        mirror = torch.rand(n, generator=generator, device=generator.device) < 0.5
        quarters = torch.randint(4, (n,), generator=generator, device=generator.device)
        ground, above = _both(flipped, ground, mirror), _both(flipped, above, mirror)
        above = _both(turned, above, quarters)
        if name == "fake" and bool(unknown.any()):
            # Without a heading a bird's-eye view may look any way, not only along the panorama's middle.
            degrees = torch.rand(n, generator=generator, device=generator.device) * 360 * unknown
            spun_mask = spun(above[1].float(), degrees) > 0.5
            above = (spun(above[0], degrees) * spun_mask, spun_mask)
        columns = quarter_rolls(quarters, width) + self._turns(unknown, width, generator)
        out: Batch = {}
        if self._settings.turns > 1 and name == "overhead":
            # Cut anywhere: were it cut where the right turn is, the encoder could tell that turn by its padding.
            turns = self._settings.turns
            out = {"turned": cuts(n, turns, generator), "loose": unknown}
            columns = columns + out["turned"] * (width // turns)
        ground = _both(rolled, ground, columns)
        return out | {"ground.a": self._seen(*ground, generator, narrow=True), name: self._seen(*above, generator)}

    def _turns(self, unknown: Tensor, width: int, generator: torch.Generator) -> Tensor:
        """Columns to roll by: any number where the heading is not known or a part is drawn, else those of an error."""
        drawn = torch.randint(width, (len(unknown),), generator=generator, device=generator.device)
        if self._settings.columns != width:
            return drawn
        most = round(self._settings.heading_error * width / 360)
        if not most:
            return drawn * unknown
        wrong = torch.randint(-most, most + 1, (len(unknown),), generator=generator, device=generator.device)
        return torch.where(unknown, drawn, wrong)

    def _seen(self, images: Tensor, mask: Tensor, generator: torch.Generator, *, narrow: bool = False) -> Tensor:
        how = self._settings.variation
        if narrow:
            if self._settings.tilt:
                images, mask = tilted(images, mask, self._settings.tilt, generator)
            images, mask = (middle(x, self._settings.columns) for x in (images, mask))
        shown = erased(mask, how.erase, generator) if how.erase else mask
        return normal(disguised(varied(images, how, generator), self._settings.disguise, generator), shown)


def middle(panoramas: Tensor, columns: int) -> Tensor:
    """The middle ``columns`` of (N, C, H, W)."""
    start = (panoramas.shape[3] - columns) // 2
    return panoramas[..., start : start + columns]


@torch.no_grad()
def found_first(a: Tensor, b: Tensor, who: Assignment) -> Tensor:
    """Share of the labelled rows of ``a`` whose partner is nearest among the negatives of this process; ties count
    against. 0 without any. Rows at several turns, (n, T, D), are as near to another as at the best of them, and to
    their partner as at the first."""
    scores = torch.einsum("ntd,md->ntm", a.float() if a.ndim == 3 else a[:, None].float(), b.float())
    own = scores[:, 0].diagonal()[:, None]
    others = ~who.silent() & ~torch.eye(len(b), dtype=torch.bool, device=b.device)
    alone = ((scores.amax(1) >= own) & others).sum(1) == 0
    return (alone & who.labelled).float().sum() / who.labelled.sum().clamp(min=1)


def cuts(count: int, turns: int, generator: torch.Generator) -> Tensor:
    """(count,) at which of the turns each panorama is cut."""
    return torch.randint(turns, (count,), generator=generator, device=generator.device)


def unturned(a: Tensor) -> Tensor:
    """(n, D) of (n, D), or of (n, T, D) the first turn."""
    return a if a.ndim == 2 else a[:, 0]


def _open(stored: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 3, rows, columns) of 0…1 and (n, 1, rows, columns) bool of uint8 (n, 4, rows, columns)."""
    return stored[:, :3].float() / 255, stored[:, 3:4] > 127


def _both(
    move: Callable[[Tensor, Tensor], Tensor], images: tuple[Tensor, Tensor], how: Tensor
) -> tuple[Tensor, Tensor]:
    return move(images[0], how), move(images[1], how)
