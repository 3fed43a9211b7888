"""The job ``locate-evaluate``: how far off the search is, from photos whose positions are known."""

from __future__ import annotations

import csv
import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.command_line import command_line
from engine.crossview.photos import QueryPhoto, read_query, unique_names
from engine.crossview.search.calibration import RADII_M
from engine.crossview.search.scoring import (
    RADII,
    RANKS,
    Scored,
    area_curve,
    brier,
    error_curve,
    not_here_auc,
    recall,
    score,
)
from engine.errors import EngineError, InputError
from engine.events import Reporter
from engine.locate import methods
from engine.locate.evaluate_report import write_evaluate_report
from engine.locate.requests import LocateEvaluateRequest
from engine.locate.session import open_session
from engine.mapping.report.tables import write_csv
from engine.metrics.bootstrap import mean_estimate
from engine.outputs import ResultFolder
from engine.provenance import fingerprint
from engine.result import REPORT, RESULT, job_result, keep

QUERIES = "queries.csv"
Truth = tuple[float, float, float | None]
"""Longitude, latitude, and the heading of the photo's centre where it is known."""


def run(request: LocateEvaluateRequest, reporter: Reporter) -> dict[str, Any]:
    """Search for every photo as if nothing were known of it and compare; returns ``result.json``'s content.

    Every full panorama is first rolled by an angle drawn from the seed and its name, and the truth with it. Raises
    EngineError.
    """
    started = time.monotonic()
    reporter.progress(0.0, "open", "Reading photos and positions")
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        photos, truths, skipped = _photos(request, reporter)
        with open_session(request, reporter, tolerance_deg=15.0) as session:
            if session.method.primary.layer == methods.GEOMETRIC:
                reporter.warn(methods.WORTH)
            scored: list[Scored] = []
            images = [photo.image for photo in photos]
            found = session.searcher.each(images, reporter.part(0.05, 0.9), top=request.top, verify=request.verify)
            for photo, one, truth in zip(photos, found, truths, strict=True):
                scored.append(score(photo.name, one, truth[:2], truth[2], session.searcher.lon, session.searcher.lat))
            figures = {
                "method": session.method.name,
                "search": session.choice.kind,
                "cells": session.index.cells,
                "cell_m": session.index.card.cell_m,
                "calibration": session.calibration.source,
                **figures_of(scored),
                "skipped": skipped,
            }
            model = session.index.layer(session.method.primary.layer).model
            _write_queries(results.path / QUERIES, scored)
            result = job_result(
                "locate-evaluate",
                request,
                command=command_line("locate evaluate", request, positional=("index", "panorama")),
                outputs={"queries": QUERIES, "report": REPORT, "result": RESULT},
                inputs={
                    "index": {"path": str(session.index.folder), "sha256": None},
                    **({"positions": fingerprint(request.positions, reporter)} if request.positions else {}),
                },
                figures=figures,
                model=model.model_dump() if model else None,
                reporter=reporter,
                started=started,
                device=str(session.device),
            )
        write_evaluate_report(results.path / REPORT, result=result)
        return keep(results, result, reporter)


def figures_of(scored: list[Scored]) -> dict[str, Any]:
    """Everything that is told of the scored photos; intervals are percentile bootstrap over photos (2000 draws, seed
    0)."""
    inside = [one for one in scored if one.inside]
    errors = [one.distances[0] for one in inside]
    headings = np.array([one.heading_error for one in inside if one.heading_error is not None])
    pooled = {
        f"recall@{k}<{radius:.0f}m": mean_estimate(recall(scored, k, radius)).plain() if inside else None
        for k in RANKS
        for radius in RADII
    }
    return {
        "photos": len(scored),
        "inside": len(inside),
        "outside": len(scored) - len(inside),
        "pooled": pooled,
        "median_error_m": float(np.median(errors)) if errors else None,
        "heading_within_10deg_at_rank_1": float((headings <= 10).mean()) if headings.size else None,
        "heading_n": int(headings.size),
        "error_curve": error_curve(scored),
        "area_curve": area_curve(scored),
        "not_here_auc": not_here_auc(scored),
        "told_not_here": {
            "inside": float(np.mean([not one.match for one in inside])) if inside else None,
            "outside": float(np.mean([not one.match for one in scored if not one.inside]))
            if len(scored) > len(inside)
            else None,
        },
        "brier": {f"{radius:.0f}m": brier(scored, radius) for radius in RADII_M},
    }


def rolled(photo: QueryPhoto, truth: Truth, seed: int) -> tuple[QueryPhoto, Truth]:
    """The panorama turned by an angle drawn from ``seed`` and its name, and the truth with it; its heading is
    forgotten.

    Photos that do not span the full circle are left as they are, their heading is forgotten too.
    """
    pixels, (lon, lat, heading) = photo.image.pixels, truth
    if not photo.narrow:
        drawn = hashlib.sha256(f"{seed}:{photo.name}".encode()).digest()
        columns = int.from_bytes(drawn[:8], "big") % pixels.shape[2]
        pixels = torch.roll(pixels, columns, dims=2)
        # Rolled to the right by a share of the circle, the centre shows what stood as much to the left.
        heading = None if heading is None else (heading - 360.0 * columns / pixels.shape[2]) % 360
    view = replace(photo.image.view, heading_deg=0.0)
    image = replace(photo.image, pixels=pixels, view=view, heading_known=False)
    return replace(photo, image=image), (lon, lat, heading)


def _photos(
    request: LocateEvaluateRequest, reporter: Reporter
) -> tuple[list[QueryPhoto], list[Truth], list[dict[str, str]]]:
    known = _positions(request.positions) if request.positions else {}
    photos: list[QueryPhoto] = []
    places: list[Truth] = []
    skipped: list[dict[str, str]] = []
    for path in request.panorama:
        reporter.check()
        try:
            photo = read_query(path, hfov_deg=request.hfov, vfov_deg=request.vfov)
        except EngineError as error:
            skipped.append({"name": path, "why": error.message})
            continue
        heading = photo.image.view.heading_deg if photo.image.heading_known else None
        truth = known.get(Path(path).name)
        if truth is None and photo.position is not None:
            truth = (*photo.position, heading)
        if truth is None:
            skipped.append({"name": path, "why": "its position is not known"})
            continue
        photos.append(photo)
        places.append(truth)
    if not photos:
        raise InputError(
            f"None of the {len(request.panorama)} photos can be used; the first: {skipped[0]['why']}.",
            remedy="Give photos whose files hold positions, or a table with --positions: photo,lon,lat,heading_deg.",
        )
    pairs = [rolled(p, t, request.seed) for p, t in zip(unique_names(photos), places, strict=True)]
    return [p for p, _ in pairs], [t for _, t in pairs], skipped


def _positions(path: str) -> dict[str, Truth]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            found: dict[str, Truth] = {}
            for row in csv.DictReader(file):
                name = Path(row.get("photo") or row["panorama"]).name
                heading = (row.get("heading_deg") or "").strip()
                found[name] = (float(row["lon"]), float(row["lat"]), float(heading) % 360 if heading else None)
    except OSError as error:
        raise InputError(
            f"{path}: the positions cannot be read: {error.strerror}.", remedy="Check the path."
        ) from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path}: no table with the columns photo (or panorama), lon and lat ({error}).",
            remedy="Write one line a photo, in degrees (EPSG:4326); heading_deg is optional.",
        ) from error
    return found


def _write_queries(path: Path, scored: list[Scored]) -> None:
    heads = ["photo", "inside", "error_m", "rank_within_50m", "area_share", "heading_error_deg", "match"]
    rows = []
    for one in scored:
        near = np.flatnonzero(one.distances < 50)
        rows.append(
            [
                one.name,
                one.inside,
                round(float(one.distances[0]), 1),
                int(near[0]) + 1 if near.size else None,
                one.area,
                None if one.heading_error is None else round(one.heading_error, 1),
                one.match,
            ]
        )
    write_csv(
        path,
        [*heads, *(f"probability_{r:.0f}m" for r in RADII_M)],
        [[*row, *(round(one.probability[r], 4) for r in RADII_M)] for row, one in zip(rows, scored, strict=True)],
    )
