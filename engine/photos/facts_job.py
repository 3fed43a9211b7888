"""The job ``photo-facts``: what photos say of themselves; broken ones are told, and the rest goes on."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from engine.command_line import command_line
from engine.events import Reporter
from engine.outputs import ResultFolder, explain_os_error
from engine.photos.facts import FLAT, PANORAMA, STRIP, facts_of
from engine.photos.listing import photo_files
from engine.photos.requests import PhotoFactsRequest
from engine.result import RESULT, job_result, keep

POINTS = "photos.gpkg"
_THREADS = 4


def run(request: PhotoFactsRequest, reporter: Reporter) -> dict[str, Any]:
    """Read the photos; ``photos`` of the answer are the facts (:func:`engine.photos.facts.facts_of`) in order.

    With ``out`` also photos.gpkg and ``result.json``. Raises MissingFileError where there is no photo at all,
    OutputError and Cancelled; a photo that cannot be read is a warning and has its line in ``fault``.
    """
    started = time.monotonic()
    reporter.progress(0.0, "list", "Looking for photos")
    paths = photo_files(request.photos, recursive=request.recursive, reporter=reporter)
    if request.out is None:
        photos = read_all(paths, request, reporter)
        reporter.progress(1.0, "done", "Done")
        return {"job": "photo-facts", "photos": photos, "figures": counts(photos), "warnings": list(reporter.warnings)}
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        photos = read_all(paths, request, reporter)
        from engine.photos.points import write_points

        write_points(results.path / POINTS, photos)
        figures = counts(photos)
        if not figures["with_position"]:
            reporter.warn("None of the photos tells a position: the layer of points is empty.")
        result = job_result(
            "photo-facts",
            request,
            command=command_line("photos facts", request, positional=("photos",)),
            outputs={"photos": POINTS, "result": RESULT},
            inputs={},
            figures=figures,
            reporter=reporter,
            started=started,
        )
        return keep(results, {**result, "photos": photos}, reporter)


def read_all(paths: Sequence[str], request: PhotoFactsRequest, reporter: Reporter) -> list[dict[str, Any]]:
    """The facts of all photos in order, a few read at a time; raises OutputError and Cancelled."""
    folder = _thumbnail_folder(request.thumbnails)
    one_at_a_time = threading.Lock()  # an image that is decoded whole may take half a gigabyte
    read = partial(facts_of, thumbnails=folder, size=request.thumbnail_size, large=lambda: one_at_a_time)
    photos = []
    with warnings.catch_warnings(), ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # here, before the threads: filters belong to the whole process
        futures = [pool.submit(read, path) for path in paths]
        try:
            for number, future in enumerate(futures):
                reporter.progress(number / len(paths), "read", f"Photo {number + 1} of {len(paths)}")
                photos.append(future.result())
                if photos[-1]["fault"]:
                    reporter.warn(photos[-1]["fault"])
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return photos


def counts(photos: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many photos there are of each kind, and what they tell."""
    good = [photo for photo in photos if not photo["fault"]]
    return {
        "photos": len(photos),
        "unreadable": len(photos) - len(good),
        "panoramas": sum(photo["kind"] == PANORAMA for photo in good),
        "strips": sum(photo["kind"] == STRIP for photo in good),
        "flat": sum(photo["kind"] == FLAT for photo in good),
        "with_position": sum(photo["lon"] is not None for photo in good),
        "with_heading": sum(photo["heading_deg"] is not None for photo in good),
    }


def _thumbnail_folder(name: str | None) -> Path | None:
    if name is None:
        return None
    folder = Path(name).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_os_error(error, folder) from error
    return folder
