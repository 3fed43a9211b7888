"""The list of runs: what is running, what ran, from wherever it was started."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QObject, pyqtSignal

from .command_line import engine_command

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
FINISHED = (DONE, FAILED, CANCELLED)
KEPT_FINISHED = 30
KEPT_LINES = 2000
KEPT_LINES_STORED = 100
_KEY = "samescene/runs"


@dataclass(frozen=True)
class RunRecord:
    """A run as it stands now; a snapshot that never changes.

    ``fraction`` 0..1; ``stage`` and ``message`` of the last progress; ``log``: (level, line) with level info, warning
    or error; times are UTC; ``result`` is the engine's, None unless done; ``out`` the result folder.
    """

    id: str
    job: str
    title: str
    params: dict[str, Any]
    state: str = QUEUED
    fraction: float = 0.0
    stage: str = ""
    message: str = ""
    log: tuple[tuple[str, str], ...] = ()
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    started: datetime | None = None
    finished: datetime | None = None
    result: dict[str, Any] | None = None
    error: str = ""
    out: str = ""

    @property
    def is_finished(self) -> bool:
        """Done, failed or cancelled."""
        return self.state in FINISHED

    @property
    def command(self) -> str:
        """The ``engine`` command that does the same."""
        return engine_command(self.job, self.params)

    @property
    def seconds(self) -> float | None:
        """How long it has run (or ran); None before the start."""
        if self.started is None:
            return None
        return ((self.finished or datetime.now(timezone.utc)) - self.started).total_seconds()

    @property
    def report(self) -> str:
        """Path of the HTML report; empty when there is none."""
        return self._output("report.html")

    @property
    def result_file(self) -> str:
        """Path of result.json; empty unless done."""
        return f"{self.out}/result.json" if self.state == DONE and self.out else ""

    def _output(self, name: str) -> str:
        made = (self.result or {}).get("outputs") or {}
        return f"{self.out}/{name}" if self.out and name in made.values() else ""


class RunRegistry(QObject):
    """All runs of this session and the last finished ones of earlier sessions.

    Every method may be called from any thread; a slot of an object that lives in the GUI thread is called there. The
    plugin owns the one registry and hands it to provider and dock.
    """

    added = pyqtSignal(str)
    """A run's id, when it was added."""
    changed = pyqtSignal(str)
    """A run's id, when its state, progress or result changed."""
    logged = pyqtSignal(str, str, str)
    """A run's id, level and line, for each line of its log."""
    removed = pyqtSignal(str)
    """A run's id, after it left the list."""

    def __init__(self, store: QgsSettings | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.RLock()
        self._store = store
        self._records: dict[str, RunRecord] = {}
        self._logs: dict[str, deque[tuple[str, str]]] = {}
        self._cancels: dict[str, threading.Event] = {}
        self._held: deque[Any] = deque(maxlen=200)
        for record in self._stored():
            self._records[record.id] = record
            self._logs[record.id] = deque(record.log, maxlen=KEPT_LINES)

    # reading

    def runs(self) -> list[RunRecord]:
        """All runs, the newest first."""
        with self._lock:
            return [self._snapshot(key) for key in reversed(self._records)]

    def run(self, run_id: str) -> RunRecord | None:
        """One run, None when it is not (or no longer) listed."""
        with self._lock:
            return self._snapshot(run_id) if run_id in self._records else None

    def newest_of(self, folder: str) -> RunRecord | None:
        """The newest run that wrote, or should have written, to a folder."""
        wanted = Path(folder).absolute()
        return next((r for r in self.runs() if r.out and Path(r.out).absolute() == wanted), None)

    def active(self) -> list[RunRecord]:
        """Runs that are queued or running."""
        return [record for record in self.runs() if not record.is_finished]

    # what a run tells

    def add(self, job: str, title: str, params: Mapping[str, Any]) -> str:
        """A new, queued run; the answer is its id."""
        run_id = uuid.uuid4().hex
        record = RunRecord(run_id, job, title, dict(params), out=str(params.get("out") or ""))
        with self._lock:
            self._records[run_id] = record
            self._logs[run_id] = deque(maxlen=KEPT_LINES)
            self._cancels[run_id] = threading.Event()
        self.added.emit(run_id)
        return run_id

    def start(self, run_id: str) -> None:
        """It runs now."""
        self._update(run_id, state=RUNNING, started=datetime.now(timezone.utc))

    def progress(self, run_id: str, fraction: float, stage: str, message: str) -> None:
        """How far it is."""
        self._update(run_id, fraction=fraction, stage=stage, message=message)

    def log(self, run_id: str, level: str, line: str) -> None:
        """One line of its log; level info, warning or error."""
        with self._lock:
            if run_id not in self._logs:
                return
            self._logs[run_id].append((level, line))
        self.logged.emit(run_id, level, line)

    def done(self, run_id: str, result: dict[str, Any]) -> None:
        """It ended well."""
        self._finish(run_id, state=DONE, fraction=1.0, result=result)

    def failed(self, run_id: str, error: str) -> None:
        """It ended with an error, in one line."""
        self.log(run_id, "error", error)
        self._finish(run_id, state=FAILED, error=error)

    def was_cancelled(self, run_id: str) -> None:
        """It has stopped because the user asked."""
        self._finish(run_id, state=CANCELLED)

    # what the user asks

    def cancel(self, run_id: str) -> None:
        """Ask a run to stop; it ends as cancelled within about two seconds."""
        event = self._cancels.get(run_id)
        if event is not None:
            event.set()

    def cancel_all(self) -> None:
        """Ask every run to stop (QGIS closes, the plugin is unloaded)."""
        for record in self.active():
            self.cancel(record.id)

    def stop_all(self, *, timeout_s: float = 10.0) -> bool:
        """Cancel every run and wait until all have ended; whether they have. For the plugin's unload."""
        self.cancel_all()
        deadline = time.monotonic() + timeout_s
        while self.active() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.active()

    def cancel_requested(self, run_id: str) -> bool:
        """Whether :meth:`cancel` was called for it."""
        event = self._cancels.get(run_id)
        return event is not None and event.is_set()

    def remove(self, run_id: str) -> None:
        """Take a finished run off the list; its files stay."""
        with self._lock:
            record = self._records.get(run_id)
            if record is None or not record.is_finished:
                return
            self._forget(run_id)
            self._save()
        self.removed.emit(run_id)

    def hold(self, *objects: Any) -> None:
        """Keep objects alive that QGIS uses without owning them (layer post-processors)."""
        self._held.extend(objects)

    # inside

    def _snapshot(self, run_id: str) -> RunRecord:
        return replace(self._records[run_id], log=tuple(self._logs[run_id]))

    def _update(self, run_id: str, **changes: Any) -> None:
        with self._lock:
            if run_id not in self._records:
                return
            self._records[run_id] = replace(self._records[run_id], **changes)
        self.changed.emit(run_id)

    def _finish(self, run_id: str, **changes: Any) -> None:
        gone: list[str] = []
        with self._lock:
            if run_id not in self._records or self._records[run_id].is_finished:
                return
            self._records[run_id] = replace(
                self._records[run_id], finished=datetime.now(timezone.utc), stage="", message="", **changes
            )
            self._cancels.pop(run_id, None)
            finished = [key for key, record in self._records.items() if record.is_finished]
            gone = finished[:-KEPT_FINISHED]
            for key in gone:
                self._forget(key)
            self._save()
        self.changed.emit(run_id)
        for key in gone:
            self.removed.emit(key)

    def _forget(self, run_id: str) -> None:
        for table in (self._records, self._logs, self._cancels):
            table.pop(run_id, None)

    def _settings(self) -> QgsSettings:
        # QgsSettings is not thread-safe: one of its own for each use, unless a test gave one.
        return QgsSettings() if self._store is None else self._store

    def _save(self) -> None:
        kept = [self._snapshot(key) for key, record in self._records.items() if record.is_finished]
        self._settings().setValue(_KEY, json.dumps([_to_json(record) for record in kept]))

    def _stored(self) -> list[RunRecord]:
        try:
            items = json.loads(str(self._settings().value(_KEY, "[]") or "[]"))
        except ValueError:
            return []
        records = (_from_json(item) for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
        return [record for record in records if record is not None]


def _to_json(record: RunRecord) -> dict[str, Any]:
    item = {name: getattr(record, name) for name in ("id", "job", "title", "params", "state", "error", "out")}
    item["fraction"] = record.fraction
    item["log"] = [list(entry) for entry in record.log[-KEPT_LINES_STORED:]]
    for name in ("created", "started", "finished"):
        moment = getattr(record, name)
        item[name] = moment.isoformat() if moment else None
    result = record.result or {}
    item["outputs"] = result.get("outputs")
    return item


def _from_json(item: dict[str, Any]) -> RunRecord | None:
    """The stored run; None when a release that noted other things wrote it (the list is a convenience)."""
    try:
        return _parsed(item)
    except (KeyError, TypeError, ValueError):
        return None


def _parsed(item: dict[str, Any]) -> RunRecord:
    times = {
        name: datetime.fromisoformat(item[name]) if item[name] else None for name in ("created", "started", "finished")
    }
    if item["state"] not in FINISHED or times["created"] is None:
        raise ValueError(item["state"])
    return RunRecord(
        id=str(item["id"]),
        job=str(item["job"]),
        title=str(item["title"]),
        params=dict(item["params"]),
        state=item["state"],
        fraction=float(item["fraction"]),
        log=tuple((str(level), str(line)) for level, line in item["log"]),
        created=times["created"],
        started=times["started"],
        finished=times["finished"],
        result={"outputs": item["outputs"]} if item["outputs"] else None,
        error=str(item["error"]),
        out=str(item["out"]),
    )
