"""``engine photos``."""

from __future__ import annotations

from engine.cli.lazy import Entry, LazyGroup

group = LazyGroup(
    "photos",
    {
        "facts": Entry("engine.cli.photos_facts:command", "What photos say of view, position, heading and time."),
        "place": Entry("engine.cli.photos_place:command", "Write position and heading into copies of photos."),
    },
    help="Photo files: what they say of themselves, and copies that say where they were taken.",
)
