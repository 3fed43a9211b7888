"""``engine photos facts``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.errors import DamagedFileError, EngineError
from engine.photos.requests import PhotoFactsRequest

LAYOUT = Layout(
    job="photo-facts",
    help="Tell what photos say of themselves: panorama or not, field of view, position, heading, time. With -o also as "
    "a layer of points with the fields of QGIS's 'Import geotagged photos'.",
    positional=("photos",),
    metavars={"photos": "PHOTO|FOLDER…", "out": "OUT", "thumbnails": "FOLDER", "thumbnail_size": "N"},
    sections={"Input and output": ("photos", "recursive", "out", "overwrite", "thumbnails", "thumbnail_size")},
    examples="""
    engine photos facts panorama.jpg
    engine photos facts drive/ -o drive-points
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """One line a photo."""
    lines = [_line(photo) for photo in result["photos"] if not photo["fault"]]
    if "outputs" in result:
        lines.append(f"Points: {result['out']}/{result['outputs']['photos']}")
    return lines


def _line(photo: dict[str, Any]) -> str:
    shows = {"panorama": "360° panorama", "strip": "part of a panorama", "photo": "photo of one lens"}[photo["kind"]]
    place = "no position" if photo["lon"] is None else f"{photo['lat']:.6f}, {photo['lon']:.6f}"
    heading = "heading unknown" if photo["heading_deg"] is None else f"looks to {photo['heading_deg']:.0f}°"
    view = f"{photo['hfov_deg']:.0f}° x {photo['vfov_deg']:.0f}°"
    return f"{photo['path']}: {shows}, {view}, {heading}, {place}, {photo['taken_at'] or 'time unknown'}"


def verdict(result: dict[str, Any]) -> EngineError | None:
    """An error that names the first photo that cannot be used."""
    faults = [photo["fault"] for photo in result["photos"] if photo["fault"]]
    if not faults:
        return None
    return DamagedFileError(f"{len(faults)} of {len(result['photos'])} photos cannot be used. The first: {faults[0]}")


command = request_command(LAYOUT, PhotoFactsRequest, summary=summary, verdict=verdict)
