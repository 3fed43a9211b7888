"""The job ``photo-place``: copies of photos that say where they were taken and where they look."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from engine.command_line import command_line
from engine.errors import DamagedFileError, EngineError, InputError, MissingFileError, OutputError
from engine.events import Reporter
from engine.outputs import ResultFolder, explain_os_error
from engine.photos.place import Place, placed
from engine.photos.place_table import read_places
from engine.photos.requests import PhotoPlaceRequest
from engine.result import RESULT, job_result


def run(request: PhotoPlaceRequest, reporter: Reporter) -> dict[str, Any]:
    """Write the copies into ``out``; all of them become visible at the end, none after a cancel.

    ``figures``: ``written`` (``photo``, ``copy``, ``lon``, ``lat``, ``heading_deg``, ``notes``) and ``skipped``
    (``name``, ``why``). A photo that cannot be copied is skipped where others can be. No ``result.json`` is written:
    the folder is the user's. Raises InputError, OutputError (a name that is taken, an original that would be replaced)
    and Cancelled.
    """
    started = time.monotonic()
    reporter.progress(0.0, "read", "Looking at what is wanted")
    wanted = _wanted(request)
    out = Path(request.out).expanduser().absolute()
    _refuse_results(out)
    names = copy_names([photo for photo, _ in wanted])
    for name in names:
        _refuse_target(out / name, [original for original, _ in wanted], overwrite=request.overwrite)
    written: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    failures: list[EngineError] = []
    with ResultFolder(out, overwrite=True) as results:
        for number, ((photo, place), name) in enumerate(zip(wanted, names, strict=True)):
            reporter.progress(number / len(wanted), "write", f"Photo {number + 1} of {len(wanted)}")
            try:
                notes = _copy(photo, place, results.path / name)
            except InputError as failure:
                failures.append(failure)
                skipped.append({"name": str(photo), "why": failure.line})
                continue
            written.append(_written(photo, out / name, place, notes))
        if not written:
            raise failures[0]
        for one in skipped:
            reporter.warn(one["why"])
        for copy in written:
            for note in copy["notes"]:
                reporter.log(f"{copy['photo']}: {note}")
        reporter.check()
        results.commit()
    result = job_result(
        "photo-place",
        request,
        command=command_line("photos place", request, positional=("photo",) if request.photo else ()),
        outputs={f"copy_{number}": Path(copy["copy"]).name for number, copy in enumerate(written, 1)},
        inputs={},
        figures={"written": written, "skipped": skipped},
        reporter=reporter,
        started=started,
    )
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(out)}


def copy_names(photos: list[Path]) -> list[str]:
    """Names of the copies: those of the photos; of two photos of one name the second gets a number. Raises InputError
    for a photo that is named twice."""
    taken: set[str] = set()
    seen: set[Path] = set()
    names = []
    for photo in photos:
        if photo in seen:
            raise InputError(f"{photo}: the photo is named twice.", remedy="Give each photo one place.")
        seen.add(photo)
        name, number = photo.name, 2
        while name.lower() in taken:
            name, number = f"{photo.stem}-{number}{photo.suffix}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _wanted(request: PhotoPlaceRequest) -> list[tuple[Path, Place]]:
    if request.table is not None:
        return read_places(request.table)
    place = Place(request.lon or 0.0, request.lat or 0.0, request.heading, request.accuracy)
    return [(Path(request.photo or "").expanduser().absolute(), place)]


def _refuse_results(out: Path) -> None:
    if (out / RESULT).exists():
        raise OutputError(
            f"{out}: this folder holds the results of a run; copies of photos do not belong there.",
            remedy="Choose another folder.",
        )


def _refuse_target(target: Path, originals: list[Path], *, overwrite: bool) -> None:
    if not target.exists():
        return
    for original in originals:
        if original.exists() and target.samefile(original):
            raise OutputError(
                f"{target}: the copy would replace an original; originals are never changed.",
                remedy="Choose another folder.",
            )
    if not overwrite:
        raise OutputError(
            f"{target}: there is a file of that name already.",
            remedy="Choose another folder, or replace copies with --overwrite.",
        )


def _copy(photo: Path, place: Place, target: Path) -> list[str]:
    """Write one copy; gives what is to be said of it."""
    if not photo.is_file():
        raise MissingFileError(f"{photo}: there is no such photo.", remedy="Check the path.")
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise DamagedFileError(
            f"{photo}: the photo cannot be read ({error.strerror}).", remedy="Check its permissions."
        ) from error
    made, notes = placed(data, place, name=str(photo))
    try:
        target.write_bytes(made)
    except OSError as error:
        raise explain_os_error(error, target) from error
    return notes


def _written(photo: Path, copy: Path, place: Place, notes: list[str]) -> dict[str, Any]:
    return {
        "photo": str(photo),
        "copy": str(copy),
        "lon": place.lon,
        "lat": place.lat,
        "heading_deg": None if place.heading_deg is None else place.heading_deg % 360.0,
        "notes": notes,
    }
