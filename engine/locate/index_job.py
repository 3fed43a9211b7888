"""The job ``locate-index``: the cells of a region, described and kept."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from engine.command_line import command_line
from engine.crossview import reference
from engine.crossview.cells import CellLayout
from engine.crossview.crops import Cropper
from engine.crossview.describer import Describer, layer_facts
from engine.crossview.imagery import Stretch
from engine.crossview.index.area import AREA, area_of, area_text
from engine.crossview.index.build import build, swath_m
from engine.crossview.index.card import CARD, CELL_DTYPE, IndexCard, LayerFacts, ShardFacts
from engine.crossview.index.reader import CellIndex
from engine.crossview.index.writer import IndexWriter
from engine.crossview.resolution import served_scales
from engine.crossview.wants import asked_scales, default_cell_m
from engine.device import choose_device
from engine.errors import GridError, OutputError, ParameterError
from engine.events import Reporter
from engine.locate import methods
from engine.locate.requests import LocateIndexRequest
from engine.provenance import fingerprint
from engine.result import RESULT, job_result
from engine.version import VERSION

_BESIDE = 0.25
"""Memory for earlier imagery, as a share of that for the new one: it is read at its edges alone."""


def run(request: LocateIndexRequest, reporter: Reporter) -> dict[str, Any]:
    """Make or extend the index that ``request`` says and return ``result.json``'s content; raises EngineError.

    A run that was killed or stopped is gone on with by the same request.
    """
    started = time.monotonic()
    reporter.progress(0.0, "open", "Reading the region")
    target = Path(request.out).expanduser().absolute()
    existing = _existing(target, request)
    geometry, region = reference.read_region(request.region)
    device = choose_device(request.device)
    method, describers = methods.describers_for(request.method, device=device, precision=request.precision)
    cell = request.cell or default_cell_m(method)
    layout = CellLayout(cell)
    asked = asked_scales(request.scales)
    wanted = [asked or describer.scales_m for describer in describers]
    place = geometry.representative_point()
    imagery = existing.card.imagery[-1] if existing is not None else None
    stretch = Stretch(*imagery.stretch) if imagery is not None else None
    budget = int(request.memory * 1e9)
    opened = reference.open_reference(
        request.reference,
        request,
        finest_m=min(min(scales) for scales in wanted),
        place=(place.x, place.y),
        budget_bytes=budget,
        stretch=stretch,
    )
    with opened.raster:
        reference.check_overlap(geometry, opened.raster)
        reference.check_tiles(geometry, opened, request.max_tiles)
        gsd = Cropper(opened.imagery, side=8).gsd_m(place.x, place.y)
        layers = []
        for describer, scales in zip(describers, wanted, strict=True):
            served = served_scales(gsd, scales, name=opened.raster.path)
            if describer.one_scale:
                served = served[:1]
            elif len(served) < len(scales):
                dropped = ", ".join(f"{s:g}" for s in scales if s not in served)
                reporter.warn(
                    f"{opened.raster.path}: pixels of {gsd:.2g} m do not serve {dropped} m a pixel: cells are "
                    f"described at {', '.join(f'{s:g}' for s in served)} m."
                )
            layers.append(layer_facts(describer, served))
        if existing is not None:
            _check_same(existing, method, layers, cell, describers)
        note = reference.licence_note(opened.host, request.attribution)
        if note:
            reporter.warn(note)
        facts = reference.imagery_facts(
            request.reference,
            opened,
            gsd_m=gsd,
            date=request.imagery_date,
            attribution=request.attribution,
            reporter=reporter,
        )
        reach = max(layer.side * scale for layer in layers for scale in layer.scales_m)
        swath = swath_m(opened.imagery, reach, gsd, layout)
        plan = {
            "engine": VERSION,
            "request": request.model_dump(mode="json", exclude={"device", "out", "overwrite", "region"}),
            "layers": [layer.model_dump(mode="json") for layer in layers],
            "imagery": facts.model_dump(mode="json", exclude={"tiles"}),
            # What the region is, not where it lies: a file of a session's own may be written anew to go on.
            "region": hashlib.sha256(shapely.to_wkb(shapely.normalize(geometry))).hexdigest(),
            "cell": cell,
            "swath_m": swath,
            "added_to": existing.card.updated if existing is not None else None,
        }
        first = len(existing.card.shards) if existing is not None else 0
        with (
            IndexWriter(target, plan, tuple(layers), first_shard=first) as writer,
            reference.open_earlier(
                existing.card.imagery if existing is not None else (),
                facts.path,
                budget_bytes=int(_BESIDE * budget),
                reporter=reporter,
            ) as beside,
        ):
            if writer.units:
                reporter.log(f"Going on with an index of which {writer.cells} cells are described.")
            build(
                writer,
                layout,
                geometry,
                opened.imagery,
                describers,
                layers,
                known=np.sort(existing.ids()) if existing is not None else None,
                total=layout.about(geometry),
                swath_m=swath,
                reporter=reporter.part(0.02, 0.96),
                beside=beside,
            )
            facts = facts.model_copy(update={"tiles": opened.tiles.plain() if opened.tiles is not None else None})
            for line in (_gap_warning(writer), reference.tile_warning(opened.tiles, request.reference)):
                if line:
                    reporter.warn(line)
            if writer.cells == 0 and existing is None:
                raise GridError(
                    f"{opened.raster.path}: none of the region's {writer.gaps} cells has imagery.",
                    remedy="Give imagery of the region; see that its pixels are not nodata there.",
                )
            reporter.progress(0.97, "write", "Checksums")
            card = _card(method, writer, layout, layers, facts, region, existing)
            result = _result(request, card, writer, reporter, started, device=str(device))
            earlier = area_of(existing.folder, existing.card) if existing is not None else None
            area = area_text(geometry, card, earlier=earlier)
            writer.commit(card, extra={AREA: area, RESULT: json.dumps(result, indent=2, allow_nan=False)})
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(target)}


def _existing(target: Path, request: LocateIndexRequest) -> CellIndex | None:
    """The index that is added to. Raises OutputError for what must not be replaced."""
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target}: the output is a file; expected a folder.", remedy="Give the name of a folder.")
    if request.update:
        if request.overwrite:
            raise ParameterError("--update and --overwrite exclude each other.", remedy="Give one of them.")
        return CellIndex(target)
    found = next(target.iterdir(), None) if target.is_dir() else None
    if found is not None and not request.overwrite:
        raise OutputError(
            f"{target}: the output folder is not empty (it holds {found.name}).",
            remedy="Choose another folder, add to the index with --update, or replace it with --overwrite.",
        )
    return None


def _check_same(
    existing: CellIndex, method: str, layers: Sequence[LayerFacts], cell: float, describers: Sequence[Describer]
) -> None:
    card = existing.card
    models = {one.layer: one for one in describers}
    there = [
        layer.model_copy(update={"model": models[layer.name].model})
        if layer.name in models and models[layer.name].described(layer.model)
        else layer
        for layer in card.layers
    ]
    if card.cell_m != cell or card.method != method or there != list(layers):
        was = "; ".join(
            f"{layer.name} {layer.model.name if layer.model else ''} at {', '.join(f'{s:g}' for s in layer.scales_m)} m"
            for layer in card.layers
        )
        raise ParameterError(
            f"{existing.folder}: the index was made otherwise ({card.method}, cells of {card.cell_m:g} m, {was}) and "
            "cannot be added to by this command.",
            remedy="Use the same method, model, --cell, --scales and a reference as fine, or make another index.",
        )


def _gap_warning(writer: IndexWriter) -> str | None:
    if not writer.gaps:
        return None
    return (
        f"{writer.gaps} of {writer.gaps + writer.cells} cells have too little imagery and are not described: "
        "photos taken there cannot be found."
    )


def _card(
    method: str,
    writer: IndexWriter,
    layout: CellLayout,
    layers: Sequence[LayerFacts],
    facts: Any,
    region: str,
    existing: CellIndex | None,
) -> IndexCard:
    old = existing.card if existing is not None else None
    imagery = [*(old.imagery if old else ()), facts]
    shards = [ShardFacts(cells=cells, imagery=len(imagery) - 1, files=files) for cells, files in writer.shard_files()]
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    ids = [existing.ids()] if existing is not None else []
    for shard in shards:
        path = writer.folder / shard.files["cells"].name
        ids.append(np.fromfile(path, CELL_DTYPE)["id"])
    lon, lat = layout.centres(np.concatenate(ids))
    if np.ptp(lon) > 180:  # on both sides of the antimeridian
        lon = np.where(lon < 0, lon + 360, lon)
    return IndexCard(
        engine_version=VERSION,
        method=method,
        cell_m=layout.size_m,
        cells=len(lon),
        gaps=writer.gaps + (old.gaps if old else 0),
        extent=(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())),
        regions=(*(old.regions if old else ()), region),
        layers=tuple(layers),
        imagery=tuple(imagery),
        shards=(*(old.shards if old else ()), *shards),
        created=old.created if old else now,
        updated=now,
    )


def _result(
    request: LocateIndexRequest,
    card: IndexCard,
    writer: IndexWriter,
    reporter: Reporter,
    started: float,
    *,
    device: str,
) -> dict[str, Any]:
    model = next((layer.model for layer in card.layers if layer.model), None)
    imagery = card.imagery[-1]
    size = sum(file.bytes for shard in card.shards for file in shard.files.values())
    return job_result(
        "locate-index",
        request,
        command=command_line("locate index", request, positional=("reference",)),
        outputs={"card": CARD, "area": AREA, "result": RESULT},
        inputs={
            "reference": {"path": imagery.path, "sha256": imagery.sha256},
            "region": fingerprint(request.region, reporter),
        },
        figures={
            "method": card.method,
            "cells": card.cells,
            "added": writer.cells,
            "gaps": card.gaps,
            "extent": list(card.extent),
            "scales_m": {layer.name: list(layer.scales_m) for layer in card.layers},
            "bytes": size,
            "bytes_per_cell": size / card.cells,
            "tiles": imagery.tiles,
            "zoom": imagery.zoom,
            "attribution": card.attribution,
            "imagery_date": card.imagery_date,
            "imagery": card.told_imagery(),
        },
        model=model.model_dump() if model else None,
        reporter=reporter,
        started=started,
        device=device,
    )
