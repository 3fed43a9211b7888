"""The job behind ``engine data pack``."""

from __future__ import annotations

import time
from typing import Any

from engine.events import Reporter
from engine.training.data.dataset import read_rate
from engine.training.data.pack import PackedDataset, write_pack
from engine.training.data.places import find_items
from engine.training.data.request import DataPackRequest


def run(request: DataPackRequest, reporter: Reporter) -> dict[str, Any]:
    """Pack the items and measure how fast random batches are read from the pack. Raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "find", "Looking for items")
    found = find_items(request.path, max_days=request.max_days, labels=request.labels)
    index = write_pack(
        [found],
        request.out,
        cutting=request.cutting(),
        need=request.need,
        max_broken=request.max_broken,
        shard_samples=request.shard,
        overwrite=request.overwrite,
        workers=request.workers,
        reporter=reporter.part(0.0, 0.98),
    )
    pack = PackedDataset(request.out)
    reporter.progress(0.98, "measure", "Reading random batches")
    rate = read_rate(pack, seconds=0.5)
    reporter.progress(1.0, "done")
    left_out = [{"name": o.name, "reason": o.reason, "why": o.why, "broken": o.broken} for o in pack.left_out]
    broken = sum(one.broken for one in pack.left_out)
    if left_out:
        reporter.warn(f"{len(left_out)} left out, {broken} of them broken; the list is in {pack.path / 'index.json'}.")
    return {
        "job": "data-pack",
        "out": str(pack.path),
        "samples": len(pack),
        "shards": len(index.shards),
        "side": pack.side,
        "bands": index.bands,
        "statistics": index.statistics,
        "left_out": left_out,
        "broken": broken,
        "bytes": sum((pack.path / name).stat().st_size for e in index.shards for name in e.files.values()),
        "read_rate": rate,
        "seconds": round(time.monotonic() - started, 3),
    }
