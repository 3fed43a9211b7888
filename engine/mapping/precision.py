"""When reduced precision is equal enough to float32: one proof for probabilities, one for maps of classes.

A map of classes shows the likeliest class and how likely it is. Where two classes are nearly equally likely, float32
and bfloat16 may choose differently and neither is better; what counts is how much probability a change gives away. It
is the **lead**: the float32 probability of the class that float32 chooses, less that of the class that the reduced
precision chooses (0 where the class stays). If the probabilities are calibrated, the mean lead over all pixels is
exactly the accuracy that the map can expect to lose. So near ties may change, and hardly anything else
(:class:`ClassProof`). Where the probability itself is the product (floods), sides of 0.5 are counted as they are
(:class:`ProbabilityProof`).
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

Activation = Literal["none", "sigmoid", "softmax"]
Judged = Literal["probabilities", "classes"]

# Probabilities: in every batch that is looked at, at most one pixel in 200 changes its class and the mean probability
# moves by at most half a per cent and that of 999 pixels in 1000 by at most five.
AGREEMENT = 0.995
MEAN_SHIFT = 0.005
TAIL_SHIFT = 0.05

# Classes, over all batches looked at: the expected loss of accuracy is at most a hundredth of a per cent; at most one
# pixel in 10,000 leaves a class that led by more than five per cent; at most one in 100 changes at all; and the
# confidence (which is written in whole per cent) moves by at most half a per cent on average, and by more than three
# for at most one pixel in 1000.
EXPECTED_LOSS = 1e-4
WIDE_LEAD, WIDE_CHANGES = 0.05, 1e-4
CHANGES = 0.01
CONFIDENCE_SHIFT = 0.005
CONFIDENCE_TAIL, CONFIDENCE_TAIL_SHARE = 0.03, 1e-3


class Proof(Protocol):
    """Compares answers of a network, batch by batch."""

    pixels: int
    """Pixels compared so far."""

    def add(self, exact: Tensor, reduced: Tensor, counts: Tensor | None = None) -> None:
        """Take the logits (batch, classes, rows, columns) in float32 and in reduced precision; ``counts`` is bool
        (batch, rows, columns), False for pixels whose answer nobody will see (None: all count)."""

    @property
    def holds(self) -> bool:
        """Is the reduced precision equal enough, by all that was compared?"""

    @property
    def measured(self) -> str:
        """In words, how far apart the answers are."""


def proof_of(judged: Judged, *, activation: Activation, temperature: float) -> Proof:
    """A new proof for what a network's answer becomes."""
    if judged == "classes":
        return ClassProof(sigmoid=activation == "sigmoid", temperature=temperature)
    return ProbabilityProof(activation)


class ProbabilityProof:
    """For maps of a probability: every batch must keep :data:`AGREEMENT`, :data:`MEAN_SHIFT`, :data:`TAIL_SHIFT`."""

    def __init__(self, activation: Activation) -> None:
        self._activation = activation
        self.pixels, self.holds, self.measured = 0, True, "nothing compared yet"

    def add(self, exact: Tensor, reduced: Tensor, counts: Tensor | None = None) -> None:
        """See :class:`Proof`."""
        if counts is not None:
            exact, reduced = (_counted(logits, counts)[None, :, None] for logits in (exact, reduced))
        if not exact.numel():
            return
        agreement, mean, tail = compare_logits(exact, reduced, activation=self._activation)
        self.pixels += exact.shape[0] * exact.shape[2] * exact.shape[3]
        self.holds = self.holds and not (agreement < AGREEMENT or mean > MEAN_SHIFT or tail > TAIL_SHIFT)
        self.measured = (
            f"{agreement:.2%} of pixels keep their class, probabilities move by {mean:.2%} on average and by "
            f"{tail:.1%} at the 99.9th percentile"
        )


class ClassProof:
    """For maps of classes: see the bounds above. ``temperature`` divides the logits before they become probabilities;
    with ``sigmoid`` they are of the classes beside one whose logit is 0."""

    def __init__(self, *, sigmoid: bool = False, temperature: float = 1.0) -> None:
        self._sigmoid, self._temperature = sigmoid, temperature
        self.pixels = self._changed = self._wide = self._tail = 0
        self._lead = self._shift = 0.0

    def add(self, exact: Tensor, reduced: Tensor, counts: Tensor | None = None) -> None:
        """See :class:`Proof`; what is not finite in ``reduced`` counts as a change that gives everything away."""
        before, after = self._probabilities(exact, counts), self._probabilities(reduced, counts)
        if not before.shape[1]:
            return
        bad = ~torch.isfinite(after).all(dim=0)
        best, own = before.max(dim=0)
        surest, other = after.max(dim=0)
        lead = (best - before.gather(0, other[None])[0]).masked_fill_(bad, 1.0)
        shift = (surest - best).abs_().masked_fill_(bad, 1.0)
        self.pixels += best.numel()
        self._changed += int(((own != other) | bad).sum())
        self._wide += int((lead > WIDE_LEAD).sum())
        self._tail += int((shift > CONFIDENCE_TAIL).sum())
        self._lead += float(lead.double().sum())
        self._shift += float(shift.double().sum())

    def _probabilities(self, logits: Tensor, counts: Tensor | None) -> Tensor:
        """float32 (classes, pixels)."""
        flat = logits.float().movedim(1, 0).flatten(1) if counts is None else _counted(logits.float(), counts)
        if self._sigmoid:
            flat = torch.cat([torch.zeros_like(flat[:1]), flat])
        return torch.softmax(flat / self._temperature, dim=0)

    @property
    def holds(self) -> bool:
        """See :class:`Proof`."""
        n = max(1, self.pixels)
        return (
            self._lead <= EXPECTED_LOSS * n
            and self._wide <= WIDE_CHANGES * n
            and self._changed <= CHANGES * n
            and self._shift <= CONFIDENCE_SHIFT * n
            and self._tail <= CONFIDENCE_TAIL_SHARE * n
        )

    @property
    def measured(self) -> str:
        """See :class:`Proof`."""
        n = max(1, self.pixels)
        return (
            f"{self._changed / n:.2%} of pixels change their class, of classes that lead by over {WIDE_LEAD:.0%} "
            f"{self._wide / n:.3%}; expected loss of accuracy {self._lead / n:.4%}; confidence moves by "
            f"{self._shift / n:.2%} on average, by over {CONFIDENCE_TAIL:.0%} in {self._tail / n:.2%} of pixels"
        )


def _counted(logits: Tensor, counts: Tensor) -> Tensor:
    """(classes, pixels that count)."""
    return logits.movedim(1, -1)[counts].movedim(-1, 0)


def compare_logits(exact: Tensor, reduced: Tensor, *, activation: Activation) -> tuple[float, float, float]:
    """How far two answers (batch, classes, rows, columns) are apart.

    Returns the share of pixels with the same class (largest logit; for one class or a sigmoid the same side of 0.5),
    the mean and the 99.9th percentile of the absolute difference of probabilities. Not-a-number in ``reduced`` counts
    as a different class and a difference of 1.
    """
    exact, reduced = exact.float(), reduced.float()
    bad = ~torch.isfinite(reduced).all(dim=1)
    if activation == "sigmoid" or exact.shape[1] == 1:
        same = ((exact > 0) == (reduced > 0)).all(dim=1)
        shift = (torch.sigmoid(exact) - torch.sigmoid(reduced)).abs().amax(dim=1)
    else:
        same = exact.argmax(dim=1) == reduced.argmax(dim=1)
        shift = (torch.softmax(exact, 1) - torch.softmax(reduced, 1)).abs().amax(dim=1)
    shift = torch.where(bad, torch.ones_like(shift), shift).flatten()
    rank = max(1, round(shift.numel() * 0.999))
    tail = float(shift.cpu().kthvalue(rank).values)
    return float((same & ~bad).double().mean()), float(shift.double().mean()), tail
