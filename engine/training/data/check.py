"""What a data set holds and what is broken in it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DamagedFileError, MissingFileError
from engine.events import Reporter
from engine.plainjson import dumps
from engine.resultfile import ResultFile
from engine.training.data.items import IGNORE, S1_BANDS, S2_BANDS, ItemSet, LeftOut, PairItem
from engine.training.data.pack import PackedDataset, is_pack
from engine.training.data.places import find_items
from engine.training.data.reading import ItemArrays, Rules, load_item
from engine.training.data.request import DataCheckRequest
from engine.training.data.statistics import RunningStatistics


def run(request: DataCheckRequest, reporter: Reporter) -> dict[str, Any]:
    """Find and read every item, write the JSON file if one is asked for, and give its content.

    What is broken is listed, not raised; raised is what leaves nothing to list (no such folder, no item at all).
    """
    if request.out is None:
        return _run(request, reporter)
    with ResultFile(request.out) as file:
        result = _run(request, reporter)
        reporter.check()
        file.commit(dumps(result, indent=2) + "\n")
    return result


def _run(request: DataCheckRequest, reporter: Reporter) -> dict[str, Any]:
    started = time.monotonic()
    reporter.progress(0.0, "find", "Looking for items")
    if is_pack(Path(request.path).expanduser()):
        result = check_pack(request.path, reporter)
    else:
        found = find_items(request.path, max_days=request.max_days)
        result = check_items(found, rules=request.rules(), limit=request.limit, reporter=reporter)
    result["seconds"] = round(time.monotonic() - started, 3)
    return result


class _Tally:
    """What the items that were read add up to."""

    def __init__(self, classes: dict[int, str]) -> None:
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.days: list[float] = []
        self.dates: dict[str, list[datetime]] = {"s1": [], "s2": []}
        self.pixels: Counter[int] = Counter()
        self.unlabelled = 0
        self.names = classes
        self.gsd: list[float] = []
        self.statistics = {"s1": RunningStatistics(S1_BANDS), "s2": RunningStatistics(S2_BANDS)}
        self.readings: Counter[str] = Counter()

    def add(self, arrays: ItemArrays) -> None:
        """Take in one item."""
        self.sizes[arrays.grid.shape] += 1
        self.gsd += arrays.grid.gsd_m() if arrays.grid.crs is not None else ()
        if arrays.days_between is not None:
            self.days.append(arrays.days_between)
        for sensor, array, when in (("s1", arrays.s1, arrays.s1_acquired), ("s2", arrays.s2, arrays.s2_acquired)):
            if array is not None:
                self.statistics[sensor].add(array)
            if when is not None:
                self.dates[sensor].append(when)
        self.readings.update(note.partition(":")[0] for note in arrays.notes)
        if arrays.label is not None:
            codes, counts = np.unique(arrays.label, return_counts=True)
            for code, count in zip(codes, counts, strict=True):
                if code == IGNORE:
                    self.unlabelled += int(count)
                else:
                    self.pixels[int(code)] += int(count)

    def told(self) -> dict[str, Any]:
        """All of it, plain."""
        labelled = sum(self.pixels.values())
        return {
            "sizes": [{"height": h, "width": w, "items": n} for (h, w), n in self.sizes.most_common()],
            "gsd_m": [round(min(self.gsd), 3), round(max(self.gsd), 3)] if self.gsd else None,
            "dates": {
                sensor: {"first": min(found).isoformat(), "last": max(found).isoformat(), "known": len(found)}
                for sensor, found in self.dates.items()
                if found
            },
            "days_between": {
                "known": len(self.days),
                "median": round(float(np.median(self.days)), 3),
                "largest": round(max(self.days), 3),
            }
            if self.days
            else None,
            "classes": [
                {"code": code, "name": self.names.get(code), "pixels": n, "share": n / labelled}
                for code, n in sorted(self.pixels.items())
            ],
            "ignored_share": self.unlabelled / (labelled + self.unlabelled) if labelled + self.unlabelled else None,
            "readings": dict(self.readings.most_common()),
            "statistics": {s: one.result().to_dict() for s, one in self.statistics.items() if any(one.result().count)},
        }


def check_items(found: ItemSet, *, rules: Rules, limit: int | None, reporter: Reporter) -> dict[str, Any]:
    """What ``found`` holds: items, groups, sizes, dates, |Δt|, classes, statistics, and a list of what is left out.

    ``limit``: read only so many items, evenly spread.
    """
    chosen = _spread(found.items, limit)
    tally = _Tally({code: name for item in found.labelled for code, name in item.label.classes.items()})
    left_out = list(found.left_out)
    good = 0
    for number, item in enumerate(chosen):
        reporter.progress(number / len(chosen), "check", f"{item.name} ({number + 1} of {len(chosen)})")
        arrays = load_item(item, rules)
        if isinstance(arrays, LeftOut):
            left_out.append(arrays)
        else:
            good += 1
            tally.add(arrays)
    scenes = Counter(name for item in found.items for name in item.classes)
    return {
        "job": "data-check",
        "place": found.place,
        "kind": found.kind,
        "items": len(found.items),
        "pairs": len(found.pairs),
        "labelled": len(found.labelled),
        "groups": len({item.group for item in found.items}),
        "read": len(chosen),
        "good": good,
        "broken": sum(one.broken for one in left_out),
        "by_reason": dict(Counter(one.reason for one in left_out)),
        "left_out": [
            {"name": one.name, "reason": one.reason, "why": one.why, "broken": one.broken} for one in left_out
        ],
        "scene_classes": [{"name": name, "items": n} for name, n in scenes.most_common()],
        **tally.told(),
    }


def _spread(items: Sequence[PairItem], limit: int | None) -> list[PairItem]:
    if limit is None or limit >= len(items):
        return list(items)
    return [items[i * len(items) // limit] for i in range(limit)]


def check_pack(path: str, reporter: Reporter) -> dict[str, Any]:
    """What a pack holds; each shard is read and compared with its SHA-256."""
    broken: list[LeftOut] = []
    pack = PackedDataset(path)
    try:
        pack.verify(reporter)
    except (DamagedFileError, MissingFileError) as error:
        broken.append(LeftOut(Path(path).name, "unreadable", error.message))
    counts = pack.label_counts()
    total = sum(counts.values())
    left_out = [*pack.left_out, *broken]
    return {
        "job": "data-check",
        "place": path,
        "kind": "pack",
        "items": len(pack),
        "pairs": sum(sample.has_s1 and sample.has_s2 for sample in pack.samples),
        "labelled": sum(sample.labelled for sample in pack.samples),
        "groups": len(set(pack.groups)),
        "read": len(pack),
        "good": 0 if broken else len(pack),
        "broken": len(broken),
        "by_reason": dict(Counter(one.reason for one in left_out)),
        "left_out": [
            {"name": one.name, "reason": one.reason, "why": one.why, "broken": one.broken} for one in left_out
        ],
        "sizes": [{"height": pack.side, "width": pack.side, "items": len(pack)}],
        "classes": [
            {"code": code, "name": pack.classes.get(code), "pixels": n, "share": n / total}
            for code, n in counts.items()
        ],
        "statistics": {sensor: one.to_dict() for sensor, one in pack.statistics.items()},
    }
