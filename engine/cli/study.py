"""``engine study label-efficiency``: nothing is imported until a command is called."""

from __future__ import annotations

from engine.cli.lazy import Entry, LazyGroup

group = LazyGroup(
    "study",
    {
        "label-efficiency": Entry(
            "engine.cli.study_label_efficiency:command", "Encoders side by side at several shares of the labels."
        ),
    },
    help="Compare methods over many training runs.",
)
