"""Progress of a study: which cell, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.events import Reporter
from engine.training.progress import duration


class StudyPace:
    """Cells have weights (their share of the work); those that were done before this process are ``done`` already."""

    def __init__(self, weights: list[float], done: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._whole, self._before = sum(weights), done
        self._now, self._clock = done, clock
        self._began = clock()

    def reporter(self, parent: Reporter, title: str, weight: float) -> Reporter:
        """For one cell: its 0…1 is the cell's part of ``parent``, each message says which cell and the time left."""
        return _CellReporter(parent, self, title, weight, self._now)

    def finished(self, weight: float) -> None:
        """A cell is done."""
        self._now += weight

    def fraction(self, at: float) -> float:
        """Of all the work, with ``at`` of the weights done."""
        return at / self._whole if self._whole > 0 else 1.0

    def left(self, at: float) -> str:
        """What is left in words, from the pace of this process; nothing before a hundredth of the work is done."""
        done = at - self._before
        if done < 0.01 * self._whole or done <= 0:
            return ""
        return f", {duration((self._clock() - self._began) / done * (self._whole - at))} left for the study"


class _CellReporter(Reporter):
    """Warnings of a cell are the cell's own: the study says them once for all cells."""

    def __init__(self, parent: Reporter, pace: StudyPace, title: str, weight: float, start: float) -> None:
        super().__init__(None, token=parent.token)
        self._parent, self._pace, self._title, self._weight, self._start = parent, pace, title, weight, start

    def progress(self, fraction: float, stage: str, message: str = "") -> None:
        at = self._start + self._weight * min(1.0, max(0.0, fraction))
        told = f": {message}" if message else ""
        self._parent.progress(self._pace.fraction(at), "cells", f"{self._title}{told}{self._pace.left(at)}")

    def log(self, message: str) -> None:
        self._parent.log(f"{self._title}: {message}")

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)
