"""Before and after: the photos of known position, searched by every method that can be had without more training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.crossview.cells import CellLayout, Ids
from engine.crossview.crops import Cropper
from engine.crossview.describer import Describer
from engine.crossview.geometric_describer import GeometricDescriber
from engine.crossview.learned_describer import LearnedDescriber
from engine.crossview.reference import Reference
from engine.crossview.resolution import COARSER
from engine.device import Device
from engine.events import Reporter
from engine.models.crossview_bundle import CrossViewModel, load_crossview
from engine.training.crossview.adapt import measure
from engine.training.crossview.adapt.finding import Finder, rings_scale_m
from engine.training.crossview.adapt.photos import OwnPhoto
from engine.training.crossview.adapt.plan import Plan
from engine.training.crossview.adapt.tiles import Tiles, described, inside
from engine.training.crossview.adapt.words import verdict

GEOMETRIC_CELL_M = 10.0
"""Metres between the places of the geometric method, as its index has them: its views fit only near their place."""
MOST_GEOMETRIC = 4000
"""In a region of more places the geometric method is not compared: it would take longer than the training."""


def compared(
    trained: Path,
    plan: Plan,
    learned: Sequence[OwnPhoto],
    apart: Sequence[OwnPhoto],
    opened: Reference,
    geometry: Any,
    tiles: Tiles,
    layout: CellLayout,
    *,
    device: Device,
    seed: int,
    reporter: Reporter,
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Group → method → figures, and group → sentences; groups "apart" and "learned", each where it has enough photos
    of known position in the region. Methods: "chance", "geometric", "before" (where a model was started from), "after";
    where it has rings that serve the imagery "search_before" and "search_after": what is proposed is verified by them.
    Raises what reading and describing raise."""
    near = {name: inside(group, tiles, layout.size_m) for name, group in (("apart", apart), ("learned", learned))}
    groups = {name: measure.drawn(group, seed) for name, group in near.items() if len(group) >= measure.FEWEST}
    if not groups:
        return {}, {}
    after = LearnedDescriber.load(str(trained), device=device, precision="float32")
    methods: dict[str, tuple[Describer, CellLayout, Ids, float]] = {}
    fine, places = _fine_places(geometry)
    plain = GeometricDescriber(device)
    gsd = Cropper(opened.imagery, side=8).gsd_m(float(tiles.lon[0]), float(tiles.lat[0]))
    scales = [scale for scale in plain.scales_m if gsd <= scale * COARSER]
    if len(places) <= MOST_GEOMETRIC and scales:
        methods["geometric"] = (plain, fine, places, scales[0])
    if plan.model is not None:
        before = LearnedDescriber(plan.model, device, precision="float32")
        methods["before"] = (before, layout, tiles.ids, plan.gsd_m)
    methods["after"] = (after, layout, tiles.ids, plan.gsd_m)
    finders: dict[str, CrossViewModel] = {}
    if plan.model is not None and plan.has_rings and rings_scale_m(opened.imagery, tiles) is not None:
        adapted = load_crossview(str(trained))
        adapted.network.rings = plan.model.network.rings  # which it is saved with
        finders = {"search_before": plan.model, "search_after": adapted}
    away: dict[str, dict[str, Any]] = {group: {} for group in groups}
    every = len(methods) + len(finders)
    for number, (name, (describer, own, ids, scale)) in enumerate(methods.items()):
        part = reporter.part(number / every, (number + 1) / every)
        cropper = Cropper(opened.imagery, side=describer.side)
        gallery = described(describer, cropper, own, ids, scale, part.part(0, 0.5))
        for group, photos in groups.items():
            share = part.part(0.5, 0.75) if group == "apart" else part.part(0.75, 1)
            away[group][name] = measure.distances(gallery, describer, photos, seed=seed, reporter=share)
    finder = None
    for number, (name, model) in enumerate(finders.items(), start=len(methods)):
        part = reporter.part(number / every, (number + 1) / every)
        finder = Finder(model, opened.imagery, tiles, layout, plan.gsd_m, device, part.part(0, 0.2), like=finder)
        for group, photos in groups.items():
            share = part.part(0.2, 0.6) if group == "apart" else part.part(0.6, 1)
            away[group][name] = measure.searched(finder, photos, seed=seed, reporter=share)
    figures = {
        group: {
            "chance": measure.by_chance(tiles.lon, tiles.lat, groups[group]),
            **{name: measure.figures_of(table) for name, table in found.items()},
        }
        for group, found in away.items()
    }
    return figures, {group: verdict(found, start=plan.start) for group, found in away.items()}


def _fine_places(geometry: Any) -> tuple[CellLayout, Ids]:
    """The places of the geometric method in a region; one more than :data:`MOST_GEOMETRIC` at most."""
    layout = CellLayout(GEOMETRIC_CELL_M)
    parts, count = [], 0
    for ids in layout.in_region(geometry):
        parts.append(ids)
        count += len(ids)
        if count > MOST_GEOMETRIC:
            break
    return layout, np.concatenate(parts)
