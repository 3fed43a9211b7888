"""The pace of a run: samples per second and the time that is left."""

from __future__ import annotations

import time
from collections import deque


class Pace:
    """Measures over the last minute or so; the first step, which warms things up, is left out of the rate."""

    def __init__(self, steps: int, start: int, samples: int) -> None:
        self._steps, self._start, self._samples = steps, start, samples
        self._began = time.monotonic()
        self._seen: deque[tuple[float, int]] = deque(maxlen=64)

    def seen(self, done: int) -> None:
        """``done`` steps are done now."""
        self._seen.append((time.monotonic(), done))

    @property
    def seconds(self) -> float:
        """Since the start of this process's part of the run."""
        return time.monotonic() - self._began

    @property
    def rate(self) -> float:
        """Samples per second; 0 before it can be told."""
        if len(self._seen) < 2:
            return (self._seen[-1][1] - self._start) * self._samples / max(self.seconds, 1e-9) if self._seen else 0.0
        (first, done_first), (last, done_last) = self._seen[0], self._seen[-1]
        return (done_last - done_first) * self._samples / max(last - first, 1e-9)

    def line(self, done: int, loss: float, rate: float) -> str:
        """The live line of a run."""
        left = (self._steps - done) * self._samples / self.rate if self.rate > 0 else None
        text = f"step {done}/{self._steps}  loss {loss:.4f}  rate {rate:.2e}  {self.rate:.1f} samples/s"
        return text if left is None or done >= self._steps else f"{text}  {duration(left)} left"


def duration(seconds: float) -> str:
    """For people: ``42 s``, ``3 min``, ``2 h 05 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
