"""``engine assess sample`` and ``engine assess report``: nothing is imported until a command is called."""

from __future__ import annotations

from engine.cli.lazy import Entry, LazyGroup

group = LazyGroup(
    "assess",
    {
        "sample": Entry("engine.cli.assess_sample:command", "Draw points on a map, to be labelled blind."),
        "report": Entry("engine.cli.assess_report:command", "Accuracy and areas with intervals from labelled points."),
    },
    help="How right is a map, and how large are its classes really?",
)
