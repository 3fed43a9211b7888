"""``engine locate score``."""

from __future__ import annotations

from typing import Any

from engine.cli.locate_index import TILES
from engine.cli.locate_search import PHOTO_METAVARS
from engine.cli.request_command import Layout, request_command
from engine.locate.requests import LocateScoreRequest

_METAVARS = {name: text for name, text in PHOTO_METAVARS.items() if name not in ("out", "top")}

LAYOUT = Layout(
    job="locate-score",
    help="Score places that a person proposes for a photo by the same rule as the candidates of a search, and tell "
    "where they would stand among them. Nothing is written.",
    positional=("index", "panorama"),
    metavars={
        **_METAVARS,
        "at": "LON,LAT",
        "turned": "DEG",
        "heading": "DEG",
        "heading_tolerance": "DEG",
        "results": "OUT",
    },
    sections={
        "Input": ("index", "panorama", "at", "results"),
        "What is known of the photos": ("turned", "heading", "heading_tolerance", "inside", "hfov", "vfov"),
        "Method": ("method", "search", "verify", "reference", "device"),
        "Tile servers": TILES,
    },
    examples="""
    engine locate score stuttgart pano.jpg --at 9.17951,48.77866 --results found
    engine locate score stuttgart pano.jpg --at 9.17951,48.77866 --at 9.18120,48.77901 --turned 120
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """A line for each place."""
    lines = []
    for photo in result["figures"]["photos"]:
        for place in photo["places"]:
            where = f"{photo['photo']} at {place['lat']:.5f}, {place['lon']:.5f}"
            if place["score"] is None:
                lines.append(f"{where}: {place['why']}")
                continue
            told = [f"score {place['score']:.2f}"]
            if place["heading_deg"] is not None:
                told.append(f"heading {place['heading_deg']:.0f}°")
            if place["turned_score"] is not None:
                told.append(f"{place['turned_score']:.2f} at the heading given")
            if place["rank"] is not None:
                told.append(f"rank {place['rank']} of {place['of']}")
                told.append(f"{100 * place['probability_50m']:.0f} % within 50 m")
            lines.append(f"{where}: {', '.join(told)}")
    return lines


command = request_command(LAYOUT, LocateScoreRequest, summary=summary)
