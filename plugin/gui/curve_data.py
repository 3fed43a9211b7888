"""The figures of a training run while it goes on: read from its ``metrics.jsonl`` as that grows."""

from __future__ import annotations

import json
import math
from pathlib import Path

METRICS = "metrics.jsonl"
_SHARES = ("accuracy", "miou", "iou", "f1", "precision", "recall")


class CurveData:
    """Series by name: (step, value) pairs. :meth:`read` takes what was added since; a log that shrank is read anew."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / METRICS
        self.series: dict[str, list[tuple[float, float]]] = {}
        self._read_to = 0
        self._rest = b""

    def read(self) -> bool:
        """Whether there was something new."""
        try:
            size = self.path.stat().st_size
            if size < self._read_to:
                self.series, self._read_to, self._rest = {}, 0, b""
            if size == self._read_to:
                return False
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                added = file.read()
        except OSError:
            return False  # not there yet
        self._read_to += len(added)
        *lines, self._rest = (self._rest + added).split(b"\n")
        return sum(self._take(line) for line in lines) > 0

    def losses(self) -> dict[str, list[tuple[float, float]]]:
        """Series of losses: what is minimised."""
        return {name: points for name, points in self.series.items() if name.split("/")[-1].endswith("loss")}

    def shares(self) -> dict[str, list[tuple[float, float]]]:
        """Series of validation figures between 0 and 1: accuracy, IoU and the like."""
        return {name: points for name, points in self.series.items() if any(part in name.lower() for part in _SHARES)}

    def _take(self, line: bytes) -> bool:
        try:
            row = json.loads(line)
        except ValueError:
            return False
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            return False
        new = False
        for name, value in row.items():
            if (
                name != "step"
                and isinstance(value, (int, float))
                and not isinstance(value, bool)
                and math.isfinite(value)
            ):
                self.series.setdefault(name, []).append((row["step"], float(value)))
                new = True
        return new


def ticks(low: float, high: float, most: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``most`` of them at most; ``whole``: no fractions."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, most - 1)
    rough = max(1.0, rough) if whole else rough
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def as_number(value: float) -> str:
    """A tick's text: short, without needless zeros."""
    return f"{value:.6g}"
