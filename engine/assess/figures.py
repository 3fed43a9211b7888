"""The figures of an assessment, from labelled points: which estimator fits the design, and its results by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.assess.design import SampleDesign, StratumFact
from engine.assess.labels import Labelled
from engine.metrics.area_estimates import AccuracyEstimates, SampleEstimate, estimate_accuracy
from engine.metrics.stratified_sample import StratifiedSample, post_stratified
from engine.raster.classes import MISSING

NO_CLASS = "no class"
_CONVENIENCE = "no probability sample: errors cannot be told"


@dataclass(frozen=True)
class Assessment:
    """Estimates with the classes that they are about; ``mapped_m2`` None where the mapped area is not known.

    ``codes`` of the classes, MISSING the last where the map has pixels without one. ``estimator`` in words.
    """

    codes: tuple[int, ...]
    estimates: AccuracyEstimates
    estimator: str
    total_m2: float | None
    covered: float
    mapped_m2: dict[int, float] | None
    indicative: bool

    def figures(self, names: Mapping[int, str], colors: Mapping[int, str]) -> dict[str, Any]:
        """The part of ``result.json`` that the page, the tables and QGIS show."""
        found = self.estimates
        scale = None if self.total_m2 is None else self.total_m2 * self.covered
        classes = []
        for k, code in enumerate(self.codes):
            if code == MISSING:
                continue
            area = None if scale is None or self.indicative else found.area[k].scaled(scale).plain()
            classes.append(
                {
                    "code": code,
                    "name": names.get(code, f"class {code}"),
                    "color": colors.get(code, "#8a949b"),
                    "points_mapped": int(found.counts[k].sum()),
                    "points_reference": int(found.counts[:, k].sum()),
                    "users_accuracy": self._plain(found.users[k]),
                    "producers_accuracy": self._plain(found.producers[k]),
                    "f1": self._plain(found.f1[k]),
                    "mapped_m2": None if self.mapped_m2 is None else round(self.mapped_m2.get(code, 0.0), 2),
                    "area_m2": area,
                }
            )
        return {
            "overall_accuracy": self._plain(found.overall),
            "classes": classes,
            "matrix": {
                "codes": list(self.codes),
                "names": [NO_CLASS if c == MISSING else names.get(c, f"class {c}") for c in self.codes],
                "counts": found.counts.tolist(),
                "proportions": None if self.indicative else found.proportions.tolist(),
            },
            "estimator": self.estimator,
            "indicative": self.indicative,
            "total_area_m2": self.total_m2,
            "covered_share": self.covered,
        }

    def _plain(self, estimate: SampleEstimate) -> dict[str, Any]:
        if self.indicative and estimate.value is not None:
            return SampleEstimate(estimate.value, None, None, None, estimate.n, _CONVENIENCE).plain()
        return estimate.plain()


def assess_design(labelled: Labelled, design: SampleDesign, *, mapped_m2: dict[int, float] | None) -> Assessment:
    """Estimates of a probability sample.

    ``mapped_m2``: area by class of another map than the one that the sample was drawn for; None: its own map.
    """
    own = mapped_m2 is None and not (labelled.mapped == MISSING).any()
    areas = {one.code: one.area_m2 for one in design.map_classes} if mapped_m2 is None else mapped_m2
    codes = _codes(labelled, [one.code for one in design.map_classes] if own else sorted(areas))
    place = {code: k for k, code in enumerate(codes)}
    mapped = np.array([place[int(c)] for c in labelled.mapped], np.int64)
    reference = np.array([place[int(c)] for c in labelled.reference], np.int64)
    stratified = design.design == "stratified"
    if not stratified:
        areas_of = design.map_classes if not own else [_fact(design, code) for code in codes]
        drawn = {one.code: k for k, one in enumerate(design.map_classes)}
        sample = post_stratified(
            area=np.array([one.area_m2 for one in areas_of], np.float64),
            pixels=np.array([one.pixels for one in areas_of], np.int64),
            names=tuple(f"{one.code} {one.name}" for one in areas_of),
            mapped=mapped,
            reference=reference,
            classes=len(codes),
            known=None
            if own
            else np.array([drawn[design.points[int(k)].map_class] for k in labelled.drawn_as], np.int64),
        )
        of = "map class" if own else "class of the map that it was drawn for (Stehman 2014)"
        words = f"{design.design} sample, stratified afterwards by {of} (Olofsson et al. 2014)"
    else:
        strata = {one.code: h for h, one in enumerate(design.strata)}
        same = own and stratified and design.strata_are_classes
        stratum = labelled.stratum if labelled.stratum is not None else np.zeros(len(labelled), np.int64)
        sample = StratifiedSample(
            area=np.array([one.area_m2 for one in design.strata], np.float64),
            pixels=np.array([one.pixels for one in design.strata], np.int64),
            stratum=np.array([strata[int(code)] for code in stratum], np.int64),
            mapped=mapped,
            reference=reference,
            classes=len(codes),
            names=tuple(f"{one.code} {one.name}" for one in design.strata),
            stratum_class=np.array([place[one.code] for one in design.strata], np.int64) if same else None,
        )
        paper = "Olofsson et al. 2014" if same else "Stehman 2014: the strata are not the classes of the map"
        words = f"{design.design} random sample ({paper})"
    return Assessment(
        codes=tuple(codes),
        estimates=estimate_accuracy(sample),
        estimator=words,
        total_m2=design.total_area_m2,
        covered=sample.covered,
        mapped_m2=areas or None,
        indicative=False,
    )


def assess_convenience(labelled: Labelled, *, mapped_m2: dict[int, float] | None) -> Assessment:
    """Shares of a convenience sample: no weights, no intervals, no areas of the reference."""
    codes = _codes(labelled, sorted(mapped_m2 or {}))
    place = {code: k for k, code in enumerate(codes)}
    sample = StratifiedSample(
        area=np.ones(1),
        stratum=np.zeros(len(labelled), np.int64),
        mapped=np.array([place[int(c)] for c in labelled.mapped], np.int64),
        reference=np.array([place[int(c)] for c in labelled.reference], np.int64),
        classes=len(codes),
        names=("all points",),
    )
    return Assessment(
        codes=tuple(codes),
        estimates=estimate_accuracy(sample),
        estimator="convenience sample: counts of the points, indicative only",
        total_m2=sum(mapped_m2.values()) if mapped_m2 else None,
        covered=1.0,
        mapped_m2=mapped_m2,
        indicative=True,
    )


def _fact(design: SampleDesign, code: int) -> StratumFact:
    """What the map has of a class; nothing of one that only labels name."""
    none = StratumFact(code=code, name=str(code), pixels=0, area_m2=0.0)
    return next((one for one in design.map_classes if one.code == code), none)


def _codes(labelled: Labelled, listed: list[int]) -> list[int]:
    """Codes of map and labels in order, MISSING last where it occurs."""
    found = {*listed, *(int(c) for c in labelled.mapped), *(int(c) for c in labelled.reference)}
    return [*sorted(found - {MISSING}), *([MISSING] if MISSING in found else [])]
