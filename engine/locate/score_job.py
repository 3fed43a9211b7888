"""The job ``locate-score``: how well places that a person proposes fit a photo. It writes no file."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio

from engine.command_line import command_line
from engine.crossview.cells import distance_m
from engine.crossview.photos import QueryPhoto, read_query, unique_names
from engine.crossview.search.calibration import RADII_M
from engine.crossview.search.place import PlaceScore, PlaceScorer, standing
from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.events import Reporter
from engine.locate import methods
from engine.locate.requests import LocateScoreRequest
from engine.locate.search_job import CANDIDATES
from engine.locate.session import Session, open_session
from engine.outputs import RESULT
from engine.provenance import fingerprint
from engine.result import job_result

TURN_DEG = 3.0
"""A photo that was turned by hand is compared within so many degrees of its heading."""
Others = list[tuple[float, float, float]]
"""Score, longitude and latitude of a photo's candidates."""


def run(request: LocateScoreRequest, reporter: Reporter) -> dict[str, Any]:
    """Score the places as ``request`` says. The answer is like ``result.json``'s content, without outputs: ``figures``
    has ``photos``, each with ``places`` in the order asked: ``score`` (standard deviations; None with ``why``),
    ``heading_deg``, ``turned_score``, ``rank`` of ``of`` and ``probability_25m``, ``_50m``, ``_100m`` (None without
    ``results``). Raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "open", "Reading the index")
    places = [_place(text) for text in request.at]
    lon, lat = (np.array(values, np.float64) for values in zip(*places, strict=True))
    photos = unique_names(
        [
            read_query(path, hfov_deg=request.hfov, vfov_deg=request.vfov, heading_deg=request.heading)
            for path in request.panorama
        ]
    )
    others = [_candidates(request.results, photo) if request.results else None for photo in photos]
    with open_session(request, reporter, tolerance_deg=request.heading_tolerance, exact=True) as session:
        scorer = PlaceScorer(
            session.index,
            session.method.primary,
            session.calibration,
            verifier=session.verifier,
            verifying=session.method.verifying,
            narrow=methods.verifier_for(session.device, tolerance_deg=TURN_DEG, primary=session.method.primary),
        )
        figures = []
        for k, (photo, known) in enumerate(zip(photos, others, strict=True)):
            part = reporter.part(0.1 + 0.9 * k / len(photos), 0.1 + 0.9 * (k + 1) / len(photos))
            found = scorer.score(photo.image, lon, lat, part, turned_deg=request.turned)
            figures.append({"photo": photo.name, "places": [_told(one, known, session) for one in found]})
        model = session.index.layer(session.method.primary.layer).model
        result = job_result(
            "locate-score",
            request,
            command=command_line("locate score", request, positional=("index", "panorama")),
            outputs={},
            inputs={
                "index": {"path": str(session.index.folder), "sha256": None},
                **{photo.name: fingerprint(photo.path, reporter) for photo in photos},
            },
            figures={
                "method": session.method.name,
                "calibration": session.calibration.source,
                "match_at": session.calibration.match_at,
                "photos": figures,
            },
            model=model.model_dump() if model else None,
            reporter=reporter,
            started=started,
            device=str(session.device),
        )
    reporter.progress(1.0, "done", "Done")
    return result


def _place(text: str) -> tuple[float, float]:
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        lon = lat = math.nan
    if not (-360 <= lon <= 360 and -90 <= lat <= 90):
        raise ParameterError(
            f"--at {text!r} is no place; expected LON,LAT in degrees (EPSG:4326).",
            remedy="Write for example 9.17951,48.77866.",
        )
    return lon, lat


def _told(one: PlaceScore, others: Others | None, session: Session) -> dict[str, Any]:
    """A place as JSON."""
    told: dict[str, Any] = {
        **asdict(one),
        "best_m": float(distance_m(one.best_lon, one.best_lat, one.lon, one.lat)),
        "why": None,
        "rank": None,
        "of": None,
        "gap": None,
        **{f"probability_{radius:.0f}m": None for radius in RADII_M},
    }
    if not one.inside:
        told["why"] = "the place lies outside of the index's cells, so its score cannot be compared with theirs"
    elif not one.imagery:
        told["why"] = "the reference has no imagery there"
    if one.score is not None and others is not None:
        stands = standing(one.score, one.lon, one.lat, others, session.calibration, session.index.card.cell_m)
        told.update(rank=stands.rank, of=stands.of, gap=stands.gap)
        told.update({f"probability_{radius:.0f}m": value for radius, value in stands.probability.items()})
    return told


def _candidates(folder: str, photo: QueryPhoto) -> Others:
    """The candidates of a photo in the results of a search. Raises MissingFileError, DamagedFileError, and
    ParameterError where the search was not for this photo."""
    path = Path(folder).expanduser() / RESULT
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        asked = [Path(one).resolve() for one in result["parameters"]["panorama"]]
        names = [str(one["photo"]) for one in result["figures"]["photos"]]
    except FileNotFoundError:
        raise MissingFileError(
            f"{path}: the results of the search are missing.", remedy="Give a folder that 'engine locate search' made."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(
            f"{path}: this is no result of a search ({type(error).__name__}).",
            remedy="Give a folder that 'engine locate search' made.",
        ) from error
    wanted = Path(photo.path).resolve()
    if wanted not in asked or len(names) != len(asked):
        raise ParameterError(
            f"{path}: the search was not for {photo.path}.", remedy="Give the results of a search for this photo."
        )
    name = names[asked.index(wanted)]
    table = path.with_name(CANDIDATES)
    try:
        meta, _, _, columns = pyogrio.raw.read(
            table, layer="candidates", columns=["photo", "score", "lon", "lat"], read_geometry=False
        )
        fields = dict(zip(meta["fields"], columns, strict=True))
        own = fields["photo"] == name
        return [
            (float(s), float(x), float(y))
            for s, x, y in zip(fields["score"][own], fields["lon"][own], fields["lat"][own], strict=True)
        ]
    except Exception as error:  # pyogrio and its GDAL raise many kinds for what a damaged file can hold
        raise DamagedFileError(
            f"{table}: the candidates cannot be read ({' '.join(str(error).split())[:120]}).",
            remedy="Search again, or leave --results out.",
        ) from error
