"""Where an area's photos stand, as a search finds them: what a model with rings learns its area from.

The network proposes cells, the model's rings verify places in them (engine/crossview/search), and what comes first is
believed where the search gives it at least :data:`BELIEVED` within 25 m. A model teaches itself what it can find out
with more time than its embeddings have (self-training; Yarowsky 1995, "Unsupervised word sense disambiguation rivaling
supervised methods").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import plainjson
from engine.crossview.cells import METRES_PER_DEGREE, CellLayout, distance_m
from engine.crossview.crops import Cropper
from engine.crossview.describer import GroundView
from engine.crossview.geometric.ring_matcher import RingMatcher
from engine.crossview.geometric_describer import GeometricDescriber
from engine.crossview.imagery import Imagery
from engine.crossview.learned_describer import LearnedDescriber
from engine.crossview.resolution import COARSER
from engine.crossview.search.searcher import Found, Searcher
from engine.crossview.search.tables import RINGS, TABLES
from engine.crossview.search.verifying import Verifier
from engine.crossview.sun import shipped_compass
from engine.device import Device
from engine.events import Reporter
from engine.models.crossview_bundle import CrossViewModel
from engine.panorama.photo import read_pixels
from engine.resultfile import write_whole
from engine.training.crossview.adapt.photos import FEWEST, OwnPhoto, pair_row
from engine.training.crossview.adapt.plan import Plan
from engine.training.crossview.adapt.tiles import OBSERVED, Tiles, described, write_tile
from engine.training.crossview.adapt.workspace import Learning
from engine.training.rng import derive_seed

BELIEVED = 0.5
"""Probability within :data:`RIGHT_M` from which on a place is learned from (docs/cross-view-training.md)."""
RIGHT_M = 25.0
"""Metres from the truth within which a place is right."""
VERIFIED, TOP = 48, 20
OFF_M = 10.0
"""How far from a photo's place the middle of its tile lies at most: in a search it stands anywhere in a cell."""
PLACES = "found-pairs.json"
_BATCH = 16


@dataclass(frozen=True)
class FoundPlace:
    """Where a photo is believed to stand: degrees, the compass direction of its centre, and the probability that it is
    right within 25 m."""

    photo: OwnPhoto
    lon: float
    lat: float
    heading_deg: float
    probability: float


@dataclass(frozen=True)
class FoundPairs:
    """Pairs of photos with found places: lines of a pairs.csv, for each the probability that the place is right, and
    how many metres off it is where the photo's position is known (told, never learned from)."""

    rows: list[dict[str, Any]]
    probability: list[float]
    off_m: list[float | None]

    def __len__(self) -> int:
        return len(self.rows)


NONE_FOUND = FoundPairs([], [], [])


class Finder:
    """Searches the cells of ``tiles`` by a model that has rings; no position of a photo is looked at. ``like``: a
    finder over the same imagery and cells whose model has the same rings; what it has described is used again."""

    def __init__(
        self,
        model: CrossViewModel,
        imagery: Imagery,
        tiles: Tiles,
        layout: CellLayout,
        gsd_m: float,
        device: Device,
        reporter: Reporter,
        *,
        like: Finder | None = None,
    ) -> None:
        self._verifier: Verifier | None
        learned = LearnedDescriber(model, device, precision="float32")
        cropper = Cropper(imagery, side=learned.side)
        gallery = described(learned, cropper, layout, tiles.ids, gsd_m, reporter)
        network = model.network.rings
        turning = GeometricDescriber(
            device,
            matcher=None if network is None else RingMatcher(network, device=device.torch),
            compass=None if network is None else shipped_compass(),
        )
        scale = rings_scale_m(imagery, tiles)
        if like is not None:
            self._verifier = like._verifier
        elif scale is not None:
            self._verifier = Verifier(turning, Cropper(imagery, side=turning.side), layout, scale)
        else:
            self._verifier = None
        self._searcher = Searcher(
            gallery, learned, TABLES[RINGS].believing(1.0), verifier=self._verifier, verifying=turning
        )

    def find(self, images: Sequence[GroundView], reporter: Reporter) -> list[Found]:
        """The places of photos, the best first; raises what reading the imagery raises, Cancelled."""
        return list(self._searcher.each(images, reporter, top=TOP, verify=VERIFIED))


def rings_scale_m(imagery: Imagery, tiles: Tiles) -> float | None:
    """Metres a pixel at which rings are turned over the imagery; None where it is too coarse for them."""
    gsd = Cropper(imagery, side=8).gsd_m(float(tiles.lon[0]), float(tiles.lat[0]))
    return next((scale for scale in sorted(GeometricDescriber.scales_m) if gsd <= scale * COARSER), None)


def believed(finder: Finder, photos: Sequence[OwnPhoto], *, headings: bool, reporter: Reporter) -> list[FoundPlace]:
    """The photos whose place is believed; ``headings``: those that they tell may be wrong by 15° and no more."""
    out = []
    for start in range(0, len(photos), _BATCH):
        part = photos[start : start + _BATCH]
        images = [GroundView(read_pixels(one.copy), one.view, headings and one.heading_known, one.name) for one in part]
        share = reporter.part(start / len(photos), (start + len(part)) / len(photos))
        for photo, found in zip(part, finder.find(images, share), strict=True):
            sure = float(found.probability[RIGHT_M][0])
            if sure >= BELIEVED:
                place = float(found.lon[0]), float(found.lat[0]), float(found.places.heading[0])
                out.append(FoundPlace(photo, *place, sure))
    return out


def labelled(
    places: Sequence[FoundPlace], cropper: Cropper, gsd_m: float, root: Path, folder: Path, *, seed: int
) -> FoundPairs:
    """Photos with the tiles of their places, lines of a pairs.csv in ``root``; tiles are cut into ``folder``, up to
    :data:`OFF_M` off. Places without imagery are left out."""
    out = FoundPairs([], [], [])
    draw = np.random.default_rng(derive_seed(seed, "found"))
    for one in places:
        away, turn = OFF_M * np.sqrt(draw.uniform()), draw.uniform(0, 2 * np.pi)
        lat = one.lat + away * np.cos(turn) / METRES_PER_DEGREE
        lon = one.lon + away * np.sin(turn) / (METRES_PER_DEGREE * np.cos(np.radians(one.lat)))
        crop = cropper.cut(np.array([lon]), np.array([lat]), gsd_m)
        if crop.observed[0] < OBSERVED:
            continue
        file = folder / f"found-{one.photo.name}.jpg"
        write_tile(file, crop.pixels[0])
        tile = {"overhead": file.relative_to(root).as_posix(), "gsd_m": repr(gsd_m)}
        out.rows.append(pair_row(one.photo, root, one.heading_deg) | tile)
        out.probability.append(one.probability)
        known = one.photo.position
        out.off_m.append(None if known is None else float(distance_m(one.lon, one.lat, *known)))
    return out


def found_pairs(
    plan: Plan,
    photos: Sequence[OwnPhoto],
    tiles: Tiles,
    layout: CellLayout,
    cropper: Cropper,
    work: Learning,
    device: Device,
    *,
    headings: bool,
    seed: int,
    reporter: Reporter,
) -> FoundPairs:
    """Pairs of photos with the places where the model's own search finds them, kept in the workspace; none where it has
    no rings, the imagery is too coarse for them, or, with a warning, it finds fewer than can be learned from."""
    if plan.model is None or not plan.has_rings or rings_scale_m(cropper.imagery, tiles) is None:
        return NONE_FOUND
    kept = work.path / PLACES
    if not kept.exists():
        finder = Finder(plan.model, cropper.imagery, tiles, layout, plan.gsd_m, device, reporter.part(0.0, 0.2))
        places = believed(finder, photos, headings=headings, reporter=reporter.part(0.2, 1.0))
        made = labelled(places, cropper, plan.gsd_m, work.path, work.tiles, seed=seed)
        write_whole(kept, plainjson.dumps(asdict(made)))
    pairs = FoundPairs(**json.loads(kept.read_text(encoding="utf-8")))
    told = f"the places of {len(pairs)} of {len(photos)} photos"
    if len(pairs) < FEWEST:
        reporter.warn(
            f"A search by the model {plan.model.card.name} finds {told} with confidence; expected at least {FEWEST}. "
            "The training goes on with what the model finds by itself, which has made models worse."
        )
        return NONE_FOUND
    reporter.log(f"Learning from {told}, where a search by the model {plan.model.card.name} finds them.")
    return pairs
