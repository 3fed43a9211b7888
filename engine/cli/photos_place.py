"""``engine photos place``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.errors import DamagedFileError, EngineError
from engine.photos.requests import PhotoPlaceRequest

LAYOUT = Layout(
    job="photo-place",
    help="Copy JPEG photos and write position and heading into the copies: EXIF GPS, and XMP GPano for panoramas. The "
    "pixels are not encoded again, other metadata stays, and originals are never changed.",
    positional=("photo",),
    metavars={
        "photo": "[PHOTO]",
        "lon": "DEG",
        "lat": "DEG",
        "heading": "DEG",
        "accuracy": "METRES",
        "table": "FILE",
        "out": "OUT",
    },
    sections={
        "Input and output": ("photo", "table", "out", "overwrite"),
        "Place of one photo": ("lon", "lat", "heading", "accuracy"),
    },
    examples="""
    engine photos place pano.jpg --lon 4.84372 --lat 45.7482 --heading 127.6 -o placed
    engine photos place --table places.csv -o placed
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """One line a copy."""
    return [f"{copy['photo']} -> {copy['copy']}" for copy in result["figures"]["written"]]


def verdict(result: dict[str, Any]) -> EngineError | None:
    """An error that names the first photo that was skipped."""
    skipped = result["figures"]["skipped"]
    if not skipped:
        return None
    total = len(skipped) + len(result["figures"]["written"])
    return DamagedFileError(f"{len(skipped)} of {total} photos were not copied. The first: {skipped[0]['why']}")


command = request_command(LAYOUT, PhotoPlaceRequest, summary=summary, verdict=verdict)
