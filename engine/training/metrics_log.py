"""``metrics.jsonl``: one JSON object a line, one line a logged step; always written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from engine import plainjson
from engine.errors import MissingExtraError
from engine.outputs import explain_os_error

METRICS = "metrics.jsonl"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log, in order; a last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


class MetricsLog:
    """Appends to ``metrics.jsonl`` in ``folder``, and to TensorBoard event files if asked to.

    ``resumed_at``: the step that a checkpoint stands before; later lines of an earlier run are dropped first, so that
    no step stands twice. None starts anew. Raises OutputError, MissingExtraError.
    """

    def __init__(self, folder: Path, *, resumed_at: int | None = None, tensorboard: bool = False) -> None:
        self.path = folder / METRICS
        self._board: Any = _board(folder, resumed_at) if tensorboard else None
        kept = [] if resumed_at is None else [row for row in read_metrics(self.path) if row["step"] < resumed_at]
        partial = folder / f".{METRICS}.partial-{os.getpid()}"
        try:
            partial.write_text("".join(plainjson.dumps(row) + "\n" for row in kept), encoding="utf-8")
            partial.replace(self.path)
            self._file: TextIO = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise explain_os_error(error, self.path) from error

    def write(self, row: dict[str, Any]) -> None:
        """Append ``row``, which has a whole number ``step``; on the disk of a killed process it is whole or absent."""
        try:
            self._file.write(plainjson.dumps(row) + "\n")
            self._file.flush()
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        if self._board is not None:
            for name, value in row.items():
                if name != "step" and isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, row["step"])

    def rows(self) -> list[dict[str, Any]]:
        """All lines so far."""
        return read_metrics(self.path)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _board(folder: Path, resumed_at: int | None) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError(
            "The package tensorboard is not installed; --tensorboard needs it.",
            remedy="Install the engine with its extra: pip install 'samescene[tensorboard]', or leave the option out.",
        ) from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_at)


def last_figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of the last logged step, health included."""
    out: dict[str, Any] = {}
    for row in rows:
        out |= {name: value for name, value in row.items() if name not in ("step", "seconds")}
    return {"last": out} if out else {}
