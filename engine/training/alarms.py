"""Alarms of a run: numbers that are not finite end it, collapsed embeddings are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import ModelError
from engine.events import Reporter
from engine.models.losses.collapse import Health, health


class FiniteWatch:
    """Remembers, on the device and without waiting for it, the first step whose loss or gradient was not finite."""

    def __init__(self, device: torch.device) -> None:
        self._first = torch.full((), -1, dtype=torch.int64, device=device)

    def see(self, step: int, *values: Tensor) -> None:
        """Take scalars of ``step``."""
        fine = torch.stack([torch.isfinite(v.detach()).all() for v in values]).all()
        bad = torch.where(fine, -1, step)
        self._first = torch.where(self._first < 0, bad, self._first)

    def check(self, checkpoint: Path | None, good_step: int) -> None:
        """Raise ModelError when a step was not finite; ``checkpoint`` is the last good one, before ``good_step``."""
        first = int(self._first)
        if first >= 0:
            last = f"the last good checkpoint is {checkpoint}, step {good_step}" if checkpoint else "no checkpoint yet"
            raise ModelError(
                f"The loss or its gradient is not finite at step {first}; {last}.",
                remedy="Lower --lr, raise --warmup, or use --precision fp32; look for odd values with "
                "'engine data check'.",
            )


class CollapseWatch:
    """Looks at embeddings now and then; warns once, at the second alarm in a row (the first steps may be odd)."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._alarms: dict[str, int] = {}

    def see(self, step: int, embeddings: dict[str, Tensor]) -> dict[str, Any]:
        """The figures for the log: ``spread_NAME`` and ``rank_NAME`` of each (N, D) batch of embeddings."""
        row: dict[str, Any] = {}
        for name, values in embeddings.items():
            state: Health = health(values)
            row |= {f"spread_{name}": state.spread, f"rank_{name}": state.rank}
            alarm = state.alarm if state.finite else None
            self._alarms[name] = self._alarms.get(name, 0) + 1 if alarm else 0
            if alarm and self._alarms[name] == 2:
                self._reporter.warn(f"{name}, step {step}: {alarm} Raise --batch, or lower --lr or --temperature.")
        return row
