"""What is written down of an image: its time, and what was found in its file."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from engine.errors import ParameterError
from engine.mapping.scene.opening import ImageFile


def iso_time(moment: datetime | None) -> str | None:
    """UTC, as ISO 8601; a date alone stays a date."""
    if moment is None:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    if (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        return moment.date().isoformat()
    return moment.replace(microsecond=0).isoformat() + "Z"


def observed_at(given: str | None, file: ImageFile) -> str | None:
    """The time of ``file`` as :func:`iso_time` writes it; ``given`` (ISO 8601, ``--observed-at``) wins.

    Raises ParameterError where ``given`` is not a time.
    """
    if given is None:
        return iso_time(file.acquired)
    try:
        return iso_time(datetime.fromisoformat(given.replace("Z", "+00:00")))
    except ValueError as error:
        raise ParameterError(
            f"--observed-at {given!r} is not a time.", remedy="Write for example 2019-09-17T06:10:00Z."
        ) from error


def image_facts(file: ImageFile) -> dict[str, Any]:
    """Facts of an image for ``result.json``: time, what was found in it, CRS, shape; ``simulated`` where it is."""
    grid = file.raster.grid
    facts = {
        "acquired": iso_time(file.acquired),
        **file.facts(),
        "crs": grid.crs.to_string() if grid.crs else None,
        "shape": list(grid.shape),
    }
    return {**facts, "simulated": True} if is_simulated(file) else facts


def is_simulated(file: ImageFile) -> bool:
    """Do the file's tags say that it was simulated?"""
    return any("simulated" in f"{key} {value}".lower() for key, value in file.raster.tags.items())
