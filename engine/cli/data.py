"""``engine data check|pack``: nothing is imported until a command is called."""

from __future__ import annotations

from engine.cli.lazy import Entry, LazyGroup

group = LazyGroup(
    "data",
    {
        "check": Entry("engine.cli.data_check:command", "What a data set holds, and what is broken in it."),
        "pack": Entry("engine.cli.data_pack:command", "Make a pack: shards for fast random reads."),
    },
    help="Check and pack training data.",
)
