"""``engine locate``."""

from __future__ import annotations

from engine.cli.lazy import Entry, LazyGroup

group = LazyGroup(
    "locate",
    {
        "plan": Entry("engine.cli.locate_plan:command", "Tell cells, disk and time of an index, before it is made."),
        "index": Entry("engine.cli.locate_index:command", "Describe the cells of a region, to search it for photos."),
        "search": Entry("engine.cli.locate_search:command", "Find where photos were taken: ranked candidates."),
        "score": Entry("engine.cli.locate_score:command", "How well proposed places fit, beside candidates."),
        "evaluate": Entry("engine.cli.locate_evaluate:command", "How far off the search is, from known positions."),
    },
    help="Find where a panorama was taken, in a region that is known. Everything stays on this machine.",
)
