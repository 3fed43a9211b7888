"""Packs: a folder of memory-mapped shards that random batches are read from at the speed of the disk.

``shards/00000-s1.npy``, ``-s2.npy`` and ``-label.npy`` hold crops as int16 (see :mod:`engine.training.data.crops`);
``index.json`` names shards with their SHA-256, samples, bands, statistics and what was left out, and comes last. Each
shard is written aside and moved into place with a note of where it ends; a killed pack goes on after the last note.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import ValidationError

from engine.errors import DamagedFileError, InputError, MissingFileError, OutputError
from engine.events import Reporter
from engine.locks import FileLock
from engine.outputs import explain_os_error
from engine.plainjson import dumps
from engine.training.data.crops import SCALES, Codes, Crop, Sample
from engine.training.data.dataset import (
    Cutting,
    PairDataset,
    Shard,
    choose_items,
    gather_statistics,
    stack,
)
from engine.training.data.items import ItemSet, LeftOut, PairItem
from engine.training.data.labels import classes_of, legend_of
from engine.training.data.pack_index import (
    INDEX,
    LOCK,
    PLAN,
    SHARDS,
    PackIndex,
    ShardEntry,
    is_pack,
    put,
    read_json,
    sha256_of,
)
from engine.training.data.reading import refuse_above
from engine.training.data.statistics import BandStatistics, RunningStatistics
from engine.training.feed import read_ahead
from engine.version import VERSION

_ARRAYS = ("s1", "s2", "label")


@dataclass(frozen=True)
class _Note:
    """What stands beside a finished shard: where the next begins, and all that was gathered up to there."""

    next_item: int
    entry: dict[str, Any] | None
    samples: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    running: dict[str, Any]


def write_pack(
    found: Sequence[ItemSet],
    out: str | os.PathLike[str],
    *,
    cutting: Cutting,
    need: str = "any",
    max_broken: float = 0.1,
    shard_samples: int = 256,
    overwrite: bool = False,
    workers: int = 0,
    reporter: Reporter | None = None,
) -> PackIndex:
    """Write the items of ``found`` as a pack to ``out``; goes on with one that was begun with the same settings.

    ``workers`` threads read items ahead; the pack is the same with any number. Items that were broken then are tried
    again. Files that were whole are not looked at a second time.

    Raises InputError when more than ``max_broken`` of the items are broken (at the end, and as soon as it is certain)
    or nothing is left; OutputError when ``out`` holds something else and ``overwrite`` is false, is being written by
    another process, or cannot be written; Cancelled (what is done stays and is gone on with).
    """
    reporter = reporter or Reporter()
    target = Path(out).expanduser()
    items = [item for one in found for item in choose_items(one, need)]
    plan = _plan(found, items, cutting, shard_samples)
    try:
        _prepare(target, plan, overwrite=overwrite)
        lock = FileLock(target / LOCK)
        if not lock.acquire():
            raise OutputError(f"{target}: is being written by another process.", remedy="Wait for it to end.")
        try:
            index = _write(found, items, target, cutting, max_broken, shard_samples, workers, reporter)
        finally:
            lock.release(remove=True)
    except OSError as error:
        raise explain_os_error(error, target) from error
    return index


def _plan(found: Sequence[ItemSet], items: Sequence[PairItem], cutting: Cutting, shard_samples: int) -> str:
    told = {
        "version": VERSION,
        "places": [one.place for one in found],
        "items": [[item.name, *(str(a.where) for a in (item.s1, item.s2) if a)] for item in items],
        "cutting": asdict(cutting),
        "shard_samples": shard_samples,
    }
    return hashlib.sha256(dumps(told).encode()).hexdigest()


def _prepare(target: Path, plan: str, *, overwrite: bool) -> None:
    """``target`` becomes a folder with this plan: a new one, or the one that was begun."""
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target}: is a file; expected a folder for the pack.", remedy="Give a folder.")
    begun = target / PLAN
    if target.is_dir() and any(target.iterdir()):
        ours = begun.is_file() or is_pack(target)
        same = begun.is_file() and not (target / INDEX).exists() and read_json(begun).get("plan") == plan
        if same:
            return
        if not overwrite or not ours:
            what = "a pack" if is_pack(target) else "a pack begun with other settings" if ours else "other files"
            raise OutputError(
                f"{target}: holds {what}.", remedy="Use --overwrite, or another folder." if ours else "Use another one."
            )
        (target / INDEX).unlink(missing_ok=True)  # first: without it the folder is no pack
        shutil.rmtree(target / SHARDS, ignore_errors=True)
    (target / SHARDS).mkdir(parents=True, exist_ok=True)
    put(begun, lambda path: path.write_text(dumps({"plan": plan}), encoding="utf-8"))


def _write(
    found: Sequence[ItemSet],
    items: Sequence[PairItem],
    target: Path,
    cutting: Cutting,
    max_broken: float,
    shard_samples: int,
    workers: int,
    reporter: Reporter,
) -> PackIndex:
    bands = cutting.sensors(items)
    labelled = any(one.labelled for one in found)
    before = [one for group in found for one in group.left_out]
    total = len(items) + sum(one.broken for one in before)
    where = ", ".join(one.place for one in found)
    notes = _still_true(_done(target), items, cutting)
    position = notes[-1].next_item if notes else 0
    if notes:
        reporter.log(f"Going on after item {position} of {len(items)}: {len(notes)} shards are there.")
    waiting: list[Crop] = []
    left_out: list[LeftOut] = []
    every = before + [LeftOut(**one) for note in notes for one in note.left_out]
    made = read_ahead(lambda number: cutting.crops(items[number]), position, len(items), workers=workers)
    with closing(cast("Generator[tuple[list[Crop], LeftOut | None]]", made)):
        for number in range(position, len(items)):
            reporter.progress(number / len(items), "packing", items[number].name)
            crops, why = next(made)
            waiting += crops
            if why is not None:
                left_out.append(why)
                every.append(why)
                refuse_above(every, total, max_broken, place=where)
            if len(waiting) >= shard_samples or number + 1 == len(items):
                notes.append(_shard(target, len(notes), waiting, left_out, bands, cutting.side, labelled, number + 1))
                waiting, left_out = [], []
    reporter.check()
    refuse_above(every, total, max_broken, place=where)
    return _finish(found, items, target, cutting, bands, notes, before)


def _shard(
    target: Path,
    number: int,
    crops: list[Crop],
    left_out: list[LeftOut],
    bands: dict[str, tuple[str, ...]],
    side: int,
    labelled: bool,
    next_item: int,
) -> _Note:
    running = {sensor: RunningStatistics(names) for sensor, names in bands.items()}
    gather_statistics(crops, running)
    entry = None
    if crops:
        shard = stack(crops, bands, side, labelled=labelled)
        files, digests = {}, {}
        for key in _ARRAYS:
            array = shard.array(key)
            if array is not None:
                files[key] = f"{SHARDS}/{number:05d}-{key}.npy"
                put(target / files[key], _saver(array))
                digests[key] = sha256_of(target / files[key])
        entry = {"count": len(crops), "files": files, "sha256": digests}
    note = _Note(
        next_item,
        entry,
        [asdict(crop.sample) for crop in crops],
        [asdict(one) for one in left_out],
        {sensor: one.state() for sensor, one in running.items()},
    )
    put(target / SHARDS / f"{number:05d}.json", lambda path: path.write_text(dumps(asdict(note)), encoding="utf-8"))
    return note


def _saver(array: Codes) -> Callable[[Path], Any]:
    def save(path: Path) -> None:
        with path.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)

    return save


def _finish(
    found: Sequence[ItemSet],
    items: Sequence[PairItem],
    target: Path,
    cutting: Cutting,
    bands: dict[str, tuple[str, ...]],
    notes: list[_Note],
    before: list[LeftOut],
) -> PackIndex:
    left_out = [asdict(one) for one in before] + [one for note in notes for one in note.left_out]
    if not any(note.entry for note in notes):
        why = left_out[0]["why"] if left_out else ""
        raise InputError(f"{found[0].place}: nothing is left to pack. {why}", remedy="See 'engine data check'.")
    running = {sensor: RunningStatistics(names) for sensor, names in bands.items()}
    for note in notes:
        for sensor, state in note.running.items():
            running[sensor].merge(RunningStatistics.from_state(state))
    index = PackIndex(
        format=1,
        engine_version=VERSION,
        sources=[one.place for one in found],
        side=cutting.side,
        bands={sensor: list(names) for sensor, names in bands.items()},
        scales={sensor: SCALES[sensor] for sensor in bands},
        statistics={sensor: one.result().to_dict() for sensor, one in running.items()},
        classes=classes_of(items),
        legend=legend_of(items),
        shards=[ShardEntry(**note.entry) for note in notes if note.entry],
        samples=[sample for note in notes for sample in note.samples],
        left_out=left_out,
    )
    put(target / INDEX, lambda path: path.write_text(dumps(index), encoding="utf-8"))
    for number in range(len(notes)):
        (target / SHARDS / f"{number:05d}.json").unlink(missing_ok=True)
    (target / PLAN).unlink(missing_ok=True)
    return index


def _done(target: Path) -> list[_Note]:
    """The notes of shards that are whole, in order, up to the first that is not; leftovers of a kill are removed."""
    for stale in (target / SHARDS).glob(".*.partial-*"):
        stale.unlink(missing_ok=True)
    notes: list[_Note] = []
    while (file := target / SHARDS / f"{len(notes):05d}.json").is_file():
        note = _Note(**read_json(file))
        if note.entry and any(not (target / name).is_file() for name in note.entry["files"].values()):
            break
        notes.append(note)
    return notes


def _still_true(notes: list[_Note], items: Sequence[PairItem], cutting: Cutting) -> list[_Note]:
    """The notes up to the first that lists an item as broken which was mended since: from there on all is made anew."""
    by_name = {item.name: item for item in items}
    for number, note in enumerate(notes):
        for one in note.left_out:
            item = by_name.get(one["name"]) if one["broken"] else None
            if item is not None and ((why := cutting.crops(item)[1]) is None or not why.broken):
                return notes[:number]
    return notes


class PackedDataset(PairDataset):
    """A pack, memory-mapped; batches as :class:`PairDataset` gives them. ``path`` is its folder, ``index`` its
    index.json without the samples, which are in ``samples``.

    Raises MissingFileError, DamagedFileError (names the file) when the folder is no whole pack. Contents are compared
    with the SHA-256 of the index by :meth:`verify` alone, which reads everything.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        if not (self.path / INDEX).is_file():
            begun = (self.path / PLAN).is_file()
            raise MissingFileError(
                f"{self.path}: {'the pack is not finished' if begun else 'is no pack (index.json is missing)'}.",
                remedy="Run 'engine data pack' again with the same settings: it goes on."
                if begun
                else "Check the path.",
            )
        try:
            whole = PackIndex(**read_json(self.path / INDEX))
            samples = [Sample(**one) for one in whole.samples]
            self.index = whole.model_copy(update={"samples": []})  # a million of them would stand in memory twice
            left_out = [LeftOut(**one) for one in self.index.left_out]
        except (ValidationError, TypeError) as error:
            why = " ".join(str(error).split())[:200]
            raise DamagedFileError(
                f"{self.path / INDEX}: is damaged ({why}).", remedy="Pack the data again."
            ) from error
        super().__init__(
            samples,
            [self._map(entry) for entry in self.index.shards],
            bands={sensor: tuple(names) for sensor, names in self.index.bands.items()},
            statistics={s: BandStatistics.from_dict(found) for s, found in self.index.statistics.items()},
            side=self.index.side,
            classes=self.index.classes,
            left_out=left_out,
            legend=self.index.legend,
        )

    def _map(self, entry: ShardEntry) -> Shard:
        arrays: dict[str, Codes | None] = dict.fromkeys(_ARRAYS)
        for key, name in entry.files.items():
            file = self.path / name
            bands = () if key == "label" else (len(self.index.bands[key]),)
            shape = (entry.count, *bands, self.index.side, self.index.side)
            if not file.is_file():
                raise MissingFileError(f"{file}: the shard does not exist.", remedy="Pack the data again.")
            try:
                array = np.load(file, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise DamagedFileError(f"{file}: is damaged ({error}).", remedy="Pack the data again.") from error
            if array.shape != shape or array.dtype != np.int16:
                raise DamagedFileError(
                    f"{file}: has {array.dtype} {array.shape}; expected int16 {shape}.", remedy="Pack the data again."
                )
            arrays[key] = array
        return Shard(arrays["s1"], arrays["s2"], arrays["label"])

    def verify(self, reporter: Reporter | None = None) -> None:
        """Read every shard and compare it with its SHA-256; raises DamagedFileError that names the file."""
        for i, entry in enumerate(self.index.shards):
            if reporter is not None:
                reporter.progress(i / len(self.index.shards), "verifying")
            for key, name in entry.files.items():
                if sha256_of(self.path / name) != entry.sha256[key]:
                    raise DamagedFileError(
                        f"{self.path / name}: its contents are not those that were packed.", remedy="Pack it again."
                    )
