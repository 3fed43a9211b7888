"""Water by thresholds: no weights, only physics, the scene's own histograms and a prior.

Pass 1 takes histograms of tiles. Tiles that are bimodal by the test of :class:`engine.sar.thresholds.Bimodality` give
the levels of land and water by Kittler and Illingworth's split; the scene's levels are their medians drawn towards the
usual levels, which alone count in a scene where no tile qualifies (dry, or nothing but water). Pass 2 gives
probabilities by :func:`engine.sar.water.water_probability`, strip by strip.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import ModelError
from engine.events import Reporter
from engine.mapping.flood.detector import FloatArray, SceneReader
from engine.mapping.flood.tiles import EDGES_DB, TileHistograms, collect_tiles
from engine.raster.grid import Window
from engine.sar.thresholds import Bimodality, Split, kittler_illingworth, shrink
from engine.sar.water import USUAL_LEVELS, ClassLevels, WaterModel, drop_db, lasting_water, water_probability

PLANES = {"VV": 0, "VH": 1}
STRIP_ROWS = 512
COLUMNS = 2048
PLAUSIBLE_DB = 5.0
"""How far from the usual levels (dB) the two modes of a tile may lie to count as water and land."""

Work = Callable[[tuple[slice, slice, slice]], FloatArray]
"""Gives the result of some columns of a strip that has been read."""


@dataclass(frozen=True)
class PolarisationFinding:
    """What one polarisation told: its levels, its share of the evidence and how many tiles led to them."""

    levels: ClassLevels
    weight: float
    tiles_used: int
    tiles_seen: int
    reason: str


@dataclass(frozen=True)
class SceneLevels:
    """Findings by polarisation and the histograms behind them."""

    findings: dict[str, PolarisationFinding]
    tiles: TileHistograms

    @property
    def levels(self) -> dict[str, ClassLevels]:
        """Levels by polarisation."""
        return {pol: found.levels for pol, found in self.findings.items()}

    @property
    def weights(self) -> dict[str, float]:
        """Evidence weights by polarisation; they sum to 1."""
        return {pol: found.weight for pol, found in self.findings.items()}


def find_levels(tiles: TileHistograms, *, model: WaterModel, prior_tiles: float, test: Bimodality) -> SceneLevels:
    """Levels and weights of the polarisations of ``tiles``; see the module."""
    passed, splits, seen = {}, {}, {}
    for pol, counts in tiles.counts.items():
        splits[pol] = kittler_illingworth(counts, EDGES_DB)
        passed[pol] = test.passes(splits[pol]) & _plausible(splits[pol], USUAL_LEVELS[pol])
        seen[pol] = int((counts.sum(axis=1) > 0).sum())
    either = int(np.logical_or.reduce(list(passed.values())).sum()) if passed else 0
    findings = {}
    for pol, ok in passed.items():
        used = int(ok.sum())
        usual = USUAL_LEVELS[pol]
        levels = ClassLevels(
            land_db=shrink(splits[pol].high_mean[ok], prior=usual.land_db, prior_weight=prior_tiles),
            water_db=shrink(splits[pol].low_mean[ok], prior=usual.water_db, prior_weight=prior_tiles),
        )
        prior_share = model.vv_weight if pol == "VV" and "VH" in passed else 1 - model.vv_weight
        # A polarisation that shows no second mode where the other does (rough water in VV, noise in VH) tells little.
        reliability = 0.25 + 0.75 * (used / either if either else 1.0)
        reason = (
            f"{used} of {seen[pol]} tiles bimodal; their levels, drawn towards the usual ones"
            if used
            else f"no bimodal tile among {seen[pol]}: the usual levels"
        )
        findings[pol] = PolarisationFinding(levels, prior_share * reliability, used, seen[pol], reason)
    whole = sum(f.weight for f in findings.values()) or 1.0
    scaled = {
        pol: PolarisationFinding(f.levels, f.weight / whole, f.tiles_used, f.tiles_seen, f.reason)
        for pol, f in findings.items()
    }
    return SceneLevels(scaled, tiles)


def _plausible(split: Split, usual: ClassLevels) -> NDArray[np.bool_]:
    """Modes near the usual levels: forest and bare fields are two modes as well, but not land and water."""
    with np.errstate(invalid="ignore"):
        plausible: NDArray[np.bool_] = (np.abs(split.low_mean - usual.water_db) <= PLAUSIBLE_DB) & (
            np.abs(split.high_mean - usual.land_db) <= PLAUSIBLE_DB
        )
    return plausible


@dataclass
class ThresholdDetector:
    """Implements :class:`engine.mapping.flood.detector.WaterDetector` without weights.

    ``model``: constants of the probability; ``prior_tiles``: the usual levels count as so many tiles; ``test``: which
    tiles count; ``grow``: see ``grow_percent``; ``strip_rows``: rows a strip (the result does not depend on it).
    """

    model: WaterModel = field(default_factory=WaterModel)
    prior_tiles: float = 8.0
    test: Bimodality = field(default_factory=Bimodality)
    grow: int = 10
    strip_rows: int = STRIP_ROWS
    _after: SceneLevels | None = field(default=None, init=False, repr=False, compare=False)
    _before: SceneLevels | None = field(default=None, init=False, repr=False, compare=False)
    _scene: SceneReader | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """``threshold``."""
        return "threshold"

    @property
    def sensors(self) -> tuple[str, ...]:
        """See :class:`engine.mapping.flood.detector.WaterDetector`."""
        return ("s1",)

    @property
    def optical_bands(self) -> tuple[str, ...]:
        """See :class:`engine.mapping.flood.detector.WaterDetector`."""
        return ()

    def check(self, scene: SceneReader) -> None:
        """Raise ModelError where the scene has no polarisation."""
        if not scene.polarisations:
            raise ModelError(
                "The method threshold reads Sentinel-1 (VV, VH) alone; the scene has neither.",
                remedy="Give a model for this sensor with --method.",
            )

    @property
    def grow_percent(self) -> int:
        """Connected pixels of at least this probability (per cent) belong to a body of water."""
        return self.grow

    def probabilities(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """See :class:`engine.mapping.flood.detector.WaterDetector`; the scene before the event plays no part."""
        levels = self._learn_after(scene, reporter.part(0.0, 0.2))

        def water(outer: Window) -> Work:
            now = scene.read(outer)
            return lambda columns: self._probability(now[columns], levels)

        yield from self._strips(scene, water, reporter.part(0.2, 1.0))

    def probabilities_before(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """P(water before the event), with levels of that scene; what is dark now and did not fall counts as water.

        So smooth dark ground (tarmac, sand) and water that wind had roughened are not mistaken for flood.
        """
        known = self._after if scene is self._scene else None
        after = known or self._learn_after(scene, reporter.part(0.0, 0.1))
        self._before = past = self._learn(scene, scene.read_before, reporter.part(0.1, 0.2))

        def water(outer: Window) -> Work:
            now, before = scene.read(outer), scene.read_before(outer)
            return lambda columns: self._lasting(now[columns], before[columns], after, past)

        yield from self._strips(scene, water, reporter.part(0.2, 1.0))

    def diagnostics(self) -> dict[str, Any]:
        """See :class:`engine.mapping.flood.detector.WaterDetector`; empty before the first run."""
        if self._after is None:
            return {}
        facts: dict[str, Any] = {
            "thresholds": self._thresholds(self._after),
            "histograms": {
                pol: {"edges_db": EDGES_DB.tolist(), "counts": self._after.tiles.total(pol).tolist()}
                for pol in self._after.findings
            },
            "filter": f"mean of linear power, {self.model.fine} x {self.model.fine} pixels at the pixel and "
            f"{self.model.coarse} x {self.model.coarse} for confident water within {self.model.reach} pixels",
            "grow_percent": self.grow,
        }
        if self._before is not None:
            facts["change"] = {"thresholds_before": self._thresholds(self._before)}
        return facts

    def _learn_after(self, scene: SceneReader, reporter: Reporter) -> SceneLevels:
        """Levels of the scene after the event; what was known of another scene is forgotten."""
        self._scene, self._before = scene, None
        self._after = self._learn(scene, scene.read, reporter)
        return self._after

    def _learn(self, scene: SceneReader, read: Callable[[Window], FloatArray], reporter: Reporter) -> SceneLevels:
        pols = [pol for pol in PLANES if pol in scene.polarisations]
        tiles = collect_tiles(
            read, scene.context, pols, planes=[PLANES[pol] for pol in pols], model=self.model, reporter=reporter
        )
        return find_levels(tiles, model=self.model, prior_tiles=self.prior_tiles, test=self.test)

    def _strips(
        self, scene: SceneReader, water: Callable[[Window], Work], reporter: Reporter
    ) -> Iterator[tuple[Window, FloatArray]]:
        """Strips of what ``water`` gives for a window with halo, computed in blocks of columns, some at once."""
        halo = self.model.halo
        height, width = scene.grid.shape
        with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
            for core, _ in scene.grid.strips(self.strip_rows):
                out = np.empty(core.shape, np.float32)
                fill = partial(_fill_columns, work=water(core.grow(halo)), halo=halo, out=out)
                for _ in pool.map(fill, range(0, width, COLUMNS)):
                    reporter.check()
                yield core, out
                reporter.progress(core.row_stop / height, "water", "Mapping water")

    def _probability(self, values: FloatArray, levels: SceneLevels) -> FloatArray:
        return water_probability(
            _by_pol(values, levels), levels=levels.levels, weights=levels.weights, model=self.model
        )

    def _lasting(self, now: FloatArray, before: FloatArray, after: SceneLevels, past: SceneLevels) -> FloatArray:
        drop = drop_db(_by_pol(now, after), _by_pol(before, after), weights=after.weights, model=self.model)
        p_before, p_now = self._probability(before, past), self._probability(now, after)
        return lasting_water(p_before, p_now, drop, model=self.model)

    def _thresholds(self, scene: SceneLevels) -> dict[str, Any]:
        return {
            pol: {
                "value_db": round(self.model.edge_db(found.levels), 2),
                "seed_db": round(self.model.seed_db(found.levels), 2),
                "land_db": round(found.levels.land_db, 2),
                "water_db": round(found.levels.water_db, 2),
                "weight": round(found.weight, 3),
                "source": "tiles" if found.tiles_used else "prior",
                "tiles_used": found.tiles_used,
                "tiles_seen": found.tiles_seen,
                "reason": found.reason,
            }
            for pol, found in scene.findings.items()
        }


def _by_pol(values: FloatArray, levels: SceneLevels) -> dict[str, FloatArray]:
    return {pol: values[PLANES[pol]] for pol in levels.findings}


def _fill_columns(col: int, *, work: Work, halo: int, out: FloatArray) -> None:
    """Compute the columns from ``col`` on of a strip whose input has ``halo`` more on every side."""
    part = work((slice(None), slice(None), slice(col, col + COLUMNS + 2 * halo)))
    inner = out[:, col : col + COLUMNS]
    inner[...] = part[halo : halo + inner.shape[0], halo : halo + inner.shape[1]]
