"""InfoNCE where not every row has a partner, and not every other row is a negative.

Three things that the plain loss gets wrong on real sets: a tile that stands twice in a batch would be its own negative;
a tile that shows the place in its outer parts is no negative either; and a row without a (pseudo-)label has no partner
at all: it goes to a dustbin, a column of constant similarity 0 (after the optimal matching layer of Sarlin et al. 2020,
SuperGlue).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import ParameterError
from engine.models.losses.gather import Gather
from engine.models.losses.scale import check_temperature
from engine.models.losses.similarity import full_precision, unit

NONE = -1


@dataclass(frozen=True)
class Assignment:
    """Who belongs to whom in a batch of n rows, by whole numbers that stand for images.

    ``a`` (n,) and ``b`` (n,): what row i of either side is. ``labelled`` (n,) bool: row i of both sides belong
    together. ``also`` (n, k): images of side b that are no negatives of row i of side a; :data:`NONE` fills up.
    """

    a: Tensor
    b: Tensor
    labelled: Tensor
    also: Tensor

    @classmethod
    def of_pairs(cls, a: Tensor, b: Tensor) -> Assignment:
        """Every row has its partner, and nothing else is known."""
        return cls(a, b, torch.ones_like(a, dtype=torch.bool), a.new_full((len(a), 1), NONE))

    def gathered(self, gather: Gather) -> Assignment:
        """That of the rows of all processes."""
        if gather.world == 1:
            return self
        rows = torch.cat([self.a[:, None], self.b[:, None], self.labelled[:, None].to(self.a), self.also], dim=1)
        every, _ = gather.gather(rows)
        return Assignment(every[:, 0], every[:, 1], every[:, 2] > 0, every[:, 3:])

    def silent(self) -> Tensor:
        """(n, n) bool: pairs of a row of side a and a row of side b that are neither partners nor negatives."""
        same_a = self.a[:, None] == self.a[None, :]
        same_b = self.b[:, None] == self.b[None, :]
        # Row j says that a_j belongs to b_j; so does every row of the same a, and every column of the same b.
        known = (same_a & self.labelled[None, :]) | (same_b & self.labelled[:, None])
        near = (self.also[:, :, None] == self.b[None, None, :]).any(1)
        own = torch.eye(len(self.a), dtype=torch.bool, device=self.a.device) & self.labelled[:, None]
        return (known | near) & ~own


def assigned_info_nce(
    a: Tensor,
    b: Tensor,
    who: Assignment,
    *,
    temperature: float | Tensor,
    smoothing: float = 0.0,
    dustbin: bool = False,
    group: Gather | None = None,
    loose: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE of rows ``a`` and ``b`` (both (n, D), any length) as ``who`` assigns them.

    ``a`` may be (n, T, D), each row as seen at T turns of which the first is right: the other turns of a partner are
    negatives like another row, and so are all turns of what is one. ``loose`` (n,) bool: rows of which nobody knows the
    turn; any of a partner's is right (the sum of their probabilities).

    The mean over labelled rows of both directions of the cross entropy over their partner and their negatives, with
    ``smoothing`` spread evenly over both; what is neither is left out of the sum. With ``dustbin`` there is one more
    column of logit 0, which is right for rows without a label, and all rows count. 0 where no row counts. ``group`` as
    in :mod:`engine.models.losses.gather`. Raises ParameterError for shapes that do not fit.
    """
    n = len(a)
    seen = a if a.ndim == 3 else a[:, None]
    if seen.ndim != 3 or seen[:, 0].shape != b.shape:
        raise ParameterError(f"Embeddings {tuple(a.shape)} and {tuple(b.shape)} do not fit: expected n rows of each.")
    if who.a.shape != (n,) or who.b.shape != (n,) or who.labelled.shape != (n,) or who.also.shape[:1] != (n,):
        raise ParameterError(f"The assignment is for {len(who.a)} rows, the batch has {n}.")
    if not 0 <= smoothing < 1:
        raise ParameterError(f"A smoothing must lie in 0 to 1, found {smoothing}.")
    with full_precision(a):
        check_temperature(temperature)
        both = unit(torch.cat([seen, b[:, None]], dim=1).flatten(0, 1)).view(n, -1, b.shape[1])
        seen, b = both[:, :-1], both[:, -1]
        gather = group or Gather()
        both, start = gather.gather(both)
        every = who.gathered(gather)
        silent = every.silent()
        own = torch.arange(start, start + n, device=a.device)
        counted = every.labelled if not dustbin else torch.ones_like(every.labelled)
        terms = [
            _terms(logits.flatten(1) / temperature, shut, own, every.labelled[own], smoothing, dustbin, loose)
            for logits, shut in (
                (torch.einsum("ntd,md->ntm", seen, both[:, -1]), silent[own]),
                (torch.einsum("nd,mtd->ntm", b, both[:, :-1]), silent[:, own].T),
            )
        ]
        kept = counted[own].to(both.dtype)
        return gather.mean(torch.cat(terms) * kept.repeat(2), 2 * int(counted.sum()))


def _terms(
    logits: Tensor,
    shut: Tensor,
    own: Tensor,
    labelled: Tensor,
    smoothing: float,
    dustbin: bool,
    loose: Tensor | None,
) -> Tensor:
    """(n,) cross entropy of each row; ``logits`` (n, T · m) are those of the turns one after the other, ``shut``
    (n, m)."""
    target, count = own, shut.shape[1]
    turns = logits.shape[1] // count
    shut = shut.repeat(1, turns)
    if dustbin:
        logits = torch.cat([logits, logits.new_zeros(len(logits), 1)], dim=1)
        shut = torch.cat([shut, shut.new_zeros(len(shut), 1)], dim=1)
        target = torch.where(labelled, own, logits.shape[1] - 1)
    # A shut column must not be the row's own target, even where that does not count in the end.
    shut = shut & (torch.arange(logits.shape[1], device=own.device)[None, :] != target[:, None])
    log_p = torch.log_softmax(logits.masked_fill(shut, -torch.inf), dim=1)
    right = -log_p.gather(1, target[:, None])[:, 0]
    if loose is not None and turns > 1:
        any_turn = own[:, None] + count * torch.arange(turns, device=own.device)
        right = torch.where(loose & labelled, -log_p.gather(1, any_turn).logsumexp(1), right)
    if not smoothing:
        return right
    spread = -log_p.masked_fill(shut, 0.0).sum(1) / (~shut).sum(1)
    return (1 - smoothing) * right + smoothing * spread
