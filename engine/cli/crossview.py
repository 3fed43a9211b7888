"""``engine crossview``: nothing is imported until a command is called."""

from __future__ import annotations

from engine.cli.lazy import Entry, LazyGroup

group = LazyGroup(
    "crossview",
    {
        "train": Entry("engine.cli.crossview_train:command", "Train from pairs, from some pairs, or without any."),
        "adapt": Entry("engine.cli.crossview_adapt:command", "Learn an area from your own photos and imagery."),
    },
    help="Networks that find where a panorama was taken.",
)
