"""``engine evaluate crossview``: panoramas against overhead images whose truth is known."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.command_line import command_line
from engine.crossview.data.find import find_set
from engine.crossview.data.items import CrossViewSet, OverheadImage
from engine.crossview.evaluation.distractors import read_distractors
from engine.crossview.evaluation.figures import Search, items, open_gallery, pooled
from engine.crossview.evaluation.matching import Matcher, find_matcher
from engine.crossview.evaluation.request import EvaluateCrossviewRequest
from engine.crossview.evaluation.rolling import rolled
from engine.device import choose_device
from engine.errors import InputError, ParameterError
from engine.events import Reporter
from engine.panorama.photo import read_pixels
from engine.plainjson import dumps, to_plain
from engine.resultfile import ResultFile
from engine.version import VERSION

WIDTH = 2048
"""Panoramas wider than this are made smaller before anything else is done."""


def run(request: EvaluateCrossviewRequest, reporter: Reporter) -> dict[str, Any]:
    """Match every panorama with every overhead image, write the JSON file if one is asked for, and give its content.

    An image that cannot be read is listed in ``skipped``; everything that concerns all pairs is raised (EngineError).
    """
    started = time.monotonic()
    reporter.progress(0.0, "find", "Looking for pairs")
    found = find_set(request.path)
    more = () if request.distractors is None else read_distractors(request.distractors)
    matcher = find_matcher(request.method, choose_device(request.device), sun=request.sun)
    if request.out is None:
        return evaluate(request, found, more, matcher, reporter, started)
    with ResultFile(request.out) as file:
        result = evaluate(request, found, more, matcher, reporter, started)
        reporter.check()
        file.commit(dumps(result, indent=2) + "\n")
    return result


def evaluate(
    request: EvaluateCrossviewRequest,
    found: CrossViewSet,
    distractors: tuple[OverheadImage, ...],
    matcher: Matcher,
    reporter: Reporter,
    started: float,
) -> dict[str, Any]:
    """The content of the JSON file for a set that was found and a method that was chosen."""
    skipped = [{"name": name, "why": why} for name, why in found.left_out]
    entries, columns = _gallery(found.overheads + distractors, matcher, reporter.part(0.0, 0.5), skipped)
    search = _search(request, found, matcher, entries, columns, reporter.part(0.5, 1.0), skipped)
    if not search.names:
        raise ParameterError(
            f"{request.path}: no panorama could be read. {skipped[0]['why'] if skipped else ''}",
            remedy="Check the files that the list names.",
        )
    result: dict[str, Any] = to_plain(
        {
            "job": "evaluate-crossview",
            "method": matcher.name,
            "pooled": pooled(search),
            "items": items(search),
            "skipped": skipped,
            "gallery": len(entries),
            "distractors": len(distractors),
            "open_gallery": open_gallery(search),
            "parameters": request.model_dump(mode="json"),
            "model": matcher.describe(),
            "engine_version": VERSION,
            "command": _command(request),
            "seconds": round(time.monotonic() - started, 2),
        }
    )
    return result


def _gallery(
    overheads: tuple[OverheadImage, ...], matcher: Matcher, reporter: Reporter, skipped: list[dict[str, str]]
) -> tuple[list[Any], dict[int, int]]:
    """What the method keeps of each overhead image that can be read, and the column of each by its number."""
    entries: list[Any] = []
    columns: dict[int, int] = {}
    for number, image in enumerate(overheads):
        reporter.progress(number / len(overheads), "gallery", f"{image.name} ({number + 1} of {len(overheads)})")
        try:
            entries.append(matcher.entry(without_marks(read_pixels(image.file)), image.gsd_m))
        except ParameterError:
            raise
        except InputError as error:
            skipped.append({"name": image.name, "why": error.line})
        else:
            columns[number] = len(entries) - 1
    return entries, columns


def _search(
    request: EvaluateCrossviewRequest,
    found: CrossViewSet,
    matcher: Matcher,
    entries: list[Any],
    columns: dict[int, int],
    reporter: Reporter,
    skipped: list[dict[str, str]],
) -> Search:
    names, queries, partners, semi, truth, scaled = [], [], [], [], [], []
    for number, (ground, match) in enumerate(zip(found.grounds, found.matches, strict=True)):
        reporter.progress(number / len(found.grounds), "match", f"{ground.name} ({number + 1} of {len(found.grounds)})")
        right = match.positive
        if right is not None and right not in columns:
            skipped.append(
                {"name": ground.name, "why": f"Its overhead image {found.overheads[right].name} was skipped."}
            )
            continue
        try:
            pixels = read_pixels(ground.file, width=WIDTH)
        except InputError as error:
            skipped.append({"name": ground.name, "why": error.line})
            continue
        pixels, view, heading = rolled(pixels, ground.view, seed=request.seed, name=ground.name)
        # A search knows its region; that of a pair is where the list says that it lies.
        latitude = ground.lonlat[1] if ground.lonlat is not None else None
        queries.append(matcher.query(pixels, view, latitude))
        names.append(ground.name)
        partners.append(-1 if right is None else columns[right])
        semi.append([columns[one] for one in match.semi if one in columns])
        truth.append(heading if ground.heading_known else np.nan)
        scaled.append(right is not None and found.overheads[right].gsd_m is not None)
    scores, headings = matcher.table(queries, entries) if queries else (np.zeros((0, len(entries))), None)
    also = np.zeros(scores.shape, np.bool_)
    for row, tiles in enumerate(semi):
        also[row, tiles] = True
    return Search(
        tuple(names),
        np.asarray(scores, np.float64),
        headings,
        np.array(partners, np.int64),
        also,
        np.array(truth, np.float64),
        np.array(scaled, np.bool_),
    )


def without_marks(pixels: Tensor) -> Tensor:
    """(3, S, S) uint8 with dots of pure green, by which samples of data sets mark the camera's place, painted over
    by the image's mean colour: they would tell the answer."""
    red, green, blue = pixels.to(torch.int16)
    mark = (green > 180) & (red < 90) & (blue < 90) & (green - torch.maximum(red, blue) > 120)
    if not 0 < int(mark.sum()) < 0.01 * mark.numel():  # more of it is no mark
        return pixels
    wide = torch.nn.functional.max_pool2d(mark[None].float(), 7, 1, 3)[0] > 0  # its blurred edge too
    mean = pixels.float()[:, ~wide].mean(dim=1).round().to(torch.uint8)
    return torch.where(wide, mean[:, None, None], pixels)


def _command(request: EvaluateCrossviewRequest) -> str:
    words = command_line("evaluate crossview", request, positional=("path",))
    return words.replace(" -o ", " --json ", 1) if request.out is not None else words
