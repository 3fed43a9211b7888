"""Writing an index, unit by unit, so that a killed run goes on where it was and ends with the same files.

Units are appended to the files of the current shard and then to a ledger, each forced to the disk before the next step.
Going on, the files are cut back to what the ledger knows. The folder is hidden beside the target until it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from engine.crossview.index.card import CARD, CELL_DTYPE, FileFacts, IndexCard, LayerFacts
from engine.errors import OutputError
from engine.locks import FileLock
from engine.outputs import explain_os_error, sync

SHARD_CELLS = 1 << 18
_LEDGER, _PLAN, _LOCK = "ledger.jsonl", "plan.json", ".lock"
_SHARD_FILE = re.compile(r"[a-z]+-\d{5}\.bin")
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Written:
    """A unit that is on the disk: ``key`` (row, column), numbers of cells, of gaps, of the shard, and their
    checksum."""

    key: tuple[int, int]
    cells: int
    gaps: int
    shard: int
    crc: int

    def line(self) -> str:
        """As it stands in the ledger."""
        return json.dumps([*self.key, self.cells, self.gaps, self.shard, self.crc]) + "\n"


class IndexWriter:
    """The files of a new index, or those that an update adds, in a hidden folder beside ``target``.

    ``plan`` is what the run was asked for: an unfinished folder of the same plan is gone on with, one of another plan
    is thrown away. ``first_shard`` numbers the files. Raises OutputError when the folder cannot be written, or another
    process is at it.
    """

    def __init__(
        self,
        target: Path,
        plan: Mapping[str, Any],
        layers: tuple[LayerFacts, ...],
        *,
        first_shard: int = 0,
        shard_cells: int = SHARD_CELLS,
    ) -> None:
        self.target, self.folder = target, target.parent / f".{target.name}.building"
        self._layers = {layer.name: layer for layer in layers}
        self._plan = json.dumps(dict(plan), sort_keys=True)
        self._first, self._shard_cells = first_shard, shard_cells
        self.units: list[Written] = []
        self._held: dict[int, int] = {}
        self._files: dict[str, BinaryIO] = {}
        self._open_shard = -1
        self._ledger: BinaryIO | None = None
        self._lock: FileLock | None = None

    def __enter__(self) -> IndexWriter:
        with self._reporting():
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(exist_ok=True)
            self._lock = FileLock(self.folder / _LOCK)
            if not self._lock.acquire():
                self._lock = None
                raise OutputError(
                    f"{self.target}: another process is making this index.",
                    remedy="Wait for it, or choose another folder.",
                )
            plan = self.folder / _PLAN
            if not plan.is_file() or plan.read_text(encoding="utf-8") != self._plan:
                for path in self.folder.iterdir():
                    if path.name != _LOCK:
                        path.unlink()
                _write(plan, self._plan.encode())
            self._recover()
            self._ledger = (self.folder / _LEDGER).open("ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        empty = not self.cells and self.folder.is_dir()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if empty:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def cells(self) -> int:
        """Cells on the disk."""
        return sum(self._held.values())

    @property
    def gaps(self) -> int:
        """Cells that had no imagery."""
        return sum(unit.gaps for unit in self.units)

    def add(self, key: tuple[int, int], cells: NDArray[Any], gaps: int, layers: Mapping[str, NDArray[Any]]) -> None:
        """Append a unit: ``cells`` of the cells table's dtype, ``layers`` (cells, scales, dim) each. It is safe on
        return."""
        arrays = {"cells": np.ascontiguousarray(cells, CELL_DTYPE)}
        for name, facts in self._layers.items():
            arrays[name] = np.ascontiguousarray(layers[name], facts.dtype)
            expected = (len(cells), len(facts.scales_m), facts.dim)
            if arrays[name].shape != expected:
                raise ValueError(f"The layer {name} has {arrays[name].shape}; expected {expected}.")
        crc = 0
        with self._reporting():
            if len(cells):
                shard = self._shard_for(len(cells))
                for name, array in arrays.items():
                    content = array.tobytes()
                    crc = zlib.crc32(content, crc)
                    self._files[name].write(content)
                for file in self._files.values():
                    file.flush()
                    os.fsync(file.fileno())
            else:
                shard = max(self._open_shard, 0)
            unit = Written(key, len(cells), gaps, shard, crc)
            if self._ledger is None:
                raise ValueError("The writer is not open.")
            self._ledger.write(unit.line().encode())
            self._ledger.flush()
            os.fsync(self._ledger.fileno())
        self._take(unit)

    def shard_files(self) -> list[tuple[int, dict[str, FileFacts]]]:
        """Cells and files, with their digests, of each shard that is written."""
        self._close_shard()
        found = []
        for shard in sorted(self._held):
            files = {}
            for name in ("cells", *self._layers):
                path = self.folder / self._name(name, shard)
                files[name] = FileFacts(name=path.name, bytes=path.stat().st_size, sha256=digest(path))
            found.append((self._held[shard], files))
        return found

    def commit(self, card: IndexCard, *, extra: Mapping[str, str] | None = None) -> None:
        """Move everything into place; the card comes last. ``extra``: further small files by name."""
        self._close()
        with self._reporting():
            for name, content in {**(extra or {}), CARD: card.model_dump_json(indent=2)}.items():
                _write(self.folder / name, content.encode())
            listed = {file.name for shard in card.shards for file in shard.files.values()}
            (self.folder / _LEDGER).unlink(missing_ok=True)
            (self.folder / _PLAN).unlink(missing_ok=True)
            if self._lock is not None:
                self._lock.release(remove=True)
                self._lock = None
            if not self.target.exists():
                self.folder.rename(self.target)
            else:
                if self._first == 0:  # another index, or none: until the new card is there, this is no index
                    (self.target / CARD).unlink(missing_ok=True)
                moved = [p for p in self.folder.iterdir() if p.name != CARD]
                for path in [*moved, self.folder / CARD]:
                    path.replace(self.target / path.name)
                self.folder.rmdir()
                for path in self.target.iterdir():
                    if _SHARD_FILE.fullmatch(path.name) and path.name not in listed:
                        path.unlink()
            sync(self.target)
            sync(self.target.parent)

    def _shard_for(self, count: int) -> int:
        held = self._held.get(self._open_shard, 0)
        if self._open_shard < 0 or (held and held + count > self._shard_cells):
            self._close_shard()
            last = max(self._held, default=-1)
            # Going on in the shard that was open when the run was killed, as the run would have done.
            goes_on = self._open_shard < 0 <= last and self._held[last] + count <= self._shard_cells
            self._open_shard = last if goes_on else last + 1
            for name in ("cells", *self._layers):
                self._files[name] = (self.folder / self._name(name, self._open_shard)).open("ab")
        return self._open_shard

    def _recover(self) -> None:
        """Read the ledger and cut the files back to it; what cannot be trusted is done again."""
        path = self.folder / _LEDGER
        self.units, self._held = [], {}
        kept = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
            try:
                row, column, cells, gaps, shard, crc = json.loads(line)
                unit = Written((int(row), int(column)), int(cells), int(gaps), int(shard), int(crc))
            except (ValueError, TypeError):
                break
            if not line.endswith(b"\n") or not self._there(unit):
                break
            self._take(unit)
            kept += len(line)
        if path.is_file():
            os.truncate(path, kept)
        known = set(self._held)
        for file in self.folder.glob("*.bin"):
            if not any(file.name == self._name(name, s) for name in ("cells", *self._layers) for s in known):
                file.unlink()
        for shard in known:
            for name in ("cells", *self._layers):
                os.truncate(self.folder / self._name(name, shard), self._offset(name, shard))

    def _there(self, unit: Written) -> bool:
        """Are the bytes of the unit that follows those read so far on the disk, and right?"""
        crc = 0
        for name in ("cells", *self._layers) if unit.cells else ():
            try:
                with (self.folder / self._name(name, unit.shard)).open("rb") as file:
                    file.seek(self._offset(name, unit.shard))
                    wanted = unit.cells * self._cell_bytes(name)
                    content = file.read(wanted)
            except OSError:
                return False
            if len(content) != wanted:
                return False
            crc = zlib.crc32(content, crc)
        return crc == unit.crc

    def _offset(self, name: str, shard: int) -> int:
        return self._held.get(shard, 0) * self._cell_bytes(name)

    def _take(self, unit: Written) -> None:
        self.units.append(unit)
        if unit.cells:
            self._held[unit.shard] = self._held.get(unit.shard, 0) + unit.cells

    def _cell_bytes(self, name: str) -> int:
        return CELL_DTYPE.itemsize if name == "cells" else self._layers[name].cell_bytes

    def _name(self, name: str, shard: int) -> str:
        return f"{name}-{self._first + shard:05d}.bin"

    def _close_shard(self) -> None:
        for file in self._files.values():
            file.close()
        self._files = {}

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._close_shard()
            if self._ledger is not None:
                self._ledger.close()
        self._ledger = None

    @contextlib.contextmanager
    def _reporting(self) -> Any:
        try:
            yield
        except OSError as error:
            raise explain_os_error(error, error.filename or self.target) from error


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    sync(partial)
    partial.replace(path)
