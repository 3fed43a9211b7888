"""Which weights of a run are kept, decided without a label.

On panoramas that were held out, against all tiles: how many choose a tile that chooses them back and that both halves
of the embedding find (its even and its odd numbers: two measurements of one image, as the halves of a test are in
psychometrics), times how many of these choices stand since the epoch before. An embedding that is constant or
has not settled scores 0. No true pair is looked at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine import plainjson
from engine.models.crossview import CrossViewNetwork
from engine.resultfile import write_whole
from engine.training.crossview.matching import nearest
from engine.training.crossview.pseudo import consistent

RECORDS, WEIGHTS = "choice.json", "chosen.safetensors"


@dataclass(frozen=True)
class Agreement:
    """``matches`` (n,) tiles, −1 for none. ``mutual``: share of panoramas that are chosen back; ``agreed``: of those
    that have a match; ``stable``: share of the matches of before that still stand (0 where there were none);
    ``score`` = agreed · stable."""

    matches: Tensor
    mutual: float
    agreed: float
    stable: float

    @property
    def score(self) -> float:
        """0 to 1; what is to be large."""
        return self.agreed * self.stable


def agreement(panoramas: Tensor, tiles: Tensor, before: Tensor | None) -> Agreement:
    """The :class:`Agreement` of embeddings (n, D), or (n, T, D) at several turns, and (m, D), D at least 2; ``before``:
    matches of the epoch before."""
    full = nearest(panoramas, tiles)
    parts = [
        nearest(F.normalize(panoramas[..., start::2].float(), dim=-1), F.normalize(tiles[:, start::2].float(), dim=1))
        for start in (0, 1)
    ]
    matches = consistent(full, (parts[0], parts[1]))
    kept = 0.0
    if before is not None and bool((before >= 0).any()):
        there = before >= 0
        kept = float((matches[there] == before[there]).float().mean())
    return Agreement(matches, float(full.mutual().float().mean()), float((matches >= 0).float().mean()), kept)


class Chooser:
    """Keeps the weights of the best epoch in ``folder``, and what was measured of each in :data:`RECORDS`.

    ``resumed_at``: the step that a checkpoint stands before; what was measured later is measured anew.
    """

    def __init__(self, folder: Path, *, resumed_at: int | None) -> None:
        self._folder = folder
        self.records: list[dict[str, Any]] = []
        if resumed_at is not None:
            self.records = [one for one in _read(folder / RECORDS) if one["step"] <= resumed_at]

    @property
    def before(self) -> Tensor | None:
        """Matches of the last epoch that was measured."""
        return torch.tensor(self.records[-1]["matches"], dtype=torch.int64) if self.records else None

    @property
    def best(self) -> dict[str, Any] | None:
        """The record of the highest score, the later of equals; None before any."""
        return max(self.records, key=lambda one: (one["score"], one["step"])) if self.records else None

    def see(self, step: int, found: Agreement, network: CrossViewNetwork, *, write: bool) -> dict[str, float]:
        """Take what was found of the weights before ``step``; gives the figures for the log. ``write``: this process
        keeps files."""
        told = {
            "match_mutual": found.mutual,
            "match_agreed": found.agreed,
            "match_stable": found.stable,
            "match_score": found.score,
        }
        self.records.append({"step": step, "score": found.score, **told, "matches": found.matches.tolist()})
        best = self.best
        if write:
            if best is not None and best["step"] == step:
                self._keep(network)
            write_whole(self._folder / RECORDS, plainjson.dumps(self.records))
        return told

    def _keep(self, network: CrossViewNetwork) -> None:
        from safetensors.torch import save

        state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        write_whole(self._folder / WEIGHTS, save(state))

    def load(self, network: CrossViewNetwork) -> None:
        """Put the best weights into ``network``."""
        from safetensors.torch import load_file

        network.load_state_dict(load_file(self._folder / WEIGHTS))


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("step"), int)]
