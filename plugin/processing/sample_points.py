"""The Processing algorithm ``samescene:sample_points``: ``engine assess sample`` with a layer for the map."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .checks import area_faults, folder_faults, legend_fault, overlap_fault, raster_layer_fault
from .engine_algorithm import EngineAlgorithm, made_files, made_tables
from .preparation import Preparation, PreparedRun
from .sample_parameters import ALLOCATIONS, sample_outputs, sample_parameters
from .texts import sample_help

_NUMBERS = re.compile(r"^\d+\s*=\s*\d+(\s*,\s*\d+\s*=\s*\d+)*$")
_CODES = re.compile(r"^\d+(\s*,\s*\d+)*$")
_SHARES = re.compile(r"^\d+\s*=\s*(0?\.\d+|0|1(\.0*)?)(\s*,\s*\d+\s*=\s*(0?\.\d+|0|1(\.0*)?))*$")


class SamplePreparation(Preparation):
    """The request of ``engine assess sample``."""

    scene = "MAP"
    what = {  # noqa: RUF012 - read only
        "MAP": "Map",
        "STRATA": "Strata",
        "AOI_EXTENT": "Area of interest",
        "AOI_LAYER": "Area of interest",
    }

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        params: dict[str, Any] = {"map": self.raster("MAP")}
        params.update(self.options("DESIGN", "POINTS", "TARGET_SE", "ALLOCATION"))
        if self.text("ALLOCATION_NUMBERS"):
            params["allocation"] = self.text("ALLOCATION_NUMBERS")
        params.update(self.options("MIN_POINTS", "EXPECTED"))
        strata = self.raster("STRATA")
        if strata:
            params["strata"] = strata
        params.update(self.options("EXCLUDE"))
        params.update(self.legend())
        area = self.area()
        if area:
            params["aoi"] = area
        params.update(self.options("SEED"))
        params.update(self.destination())
        return PreparedRun(params, f"Sample points – {self.scene_name()}", self.notes)


def sample_faults(look: SamplePreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first. Opens layers but reads no pixels."""
    layer = look.raster_layer("MAP")
    yield from raster_layer_fault(layer, what=look.what["MAP"])
    if layer is not None and layer.bandCount() > 1:
        yield (
            f"Map: '{layer.name()}' has {layer.bandCount()} bands; a map of class codes has one. Choose a map, such as "
            "landcover.tif or flood.tif."
        )
    if look.given("STRATA"):
        strata = look.raster_layer("STRATA")
        yield from raster_layer_fault(strata, what=look.what["STRATA"])
        if layer is not None and strata is not None:
            yield from overlap_fault(layer, strata, what="Strata", scene="the map", context=look.context)
    allocation, expected = look.text("ALLOCATION"), look.text("EXPECTED")
    numbers = look.text("ALLOCATION_NUMBERS")
    if numbers and allocation != look.algorithm.parameterDefinition("ALLOCATION").defaultValue():
        yield f"Points by class: both '{allocation}' and numbers are given. Clear the numbers, or choose proportional."
    if numbers and not _NUMBERS.match(numbers):
        yield f"Numbers of points by class: '{numbers}' is not understood. Write for example 10=75,40=75,50=50."
    if allocation and allocation not in ALLOCATIONS and not _NUMBERS.match(allocation):
        yield (
            f"Points by class: '{allocation}' is not understood. Write {', '.join(ALLOCATIONS)}, or numbers such as "
            "10=75,40=75,50=50."
        )
    exclude = look.text("EXCLUDE")
    if exclude and exclude.lower() != "none" and not _CODES.match(exclude):
        yield f"Codes left out: '{exclude}' is not understood. Write for example 0,254, or none."
    if look.given("STRATA") and look.options("DESIGN"):
        yield "Strata: only a stratified design uses them. Choose it, or leave the strata empty."
    yield from legend_fault(look)
    if expected and not _SHARES.match(expected):
        yield f"Expected user's accuracy: '{expected}' is not understood. Write for example 10=.9,50=.7."
    if allocation == "optimal" and not expected:
        yield "Points by class: optimal needs the expected user's accuracy of each class (advanced parameters)."
    yield from area_faults(look, layer, called="the map")
    yield from folder_faults(look)


class SamplePointsAlgorithm(EngineAlgorithm):
    """Points at which a person says what is there, drawn so that accuracy and area can be estimated."""

    job = "assess-sample"
    icon_name = "sample-points"
    layer_outputs = {"sample": "SAMPLE"}  # noqa: RUF012 - read only

    def name(self):
        return "sample_points"

    def displayName(self):
        return self.tr("Sample points for accuracy")

    def group(self):
        return self.tr("Accuracy")

    def groupId(self):
        return "accuracy"

    def tags(self):
        return self.tr("accuracy,sample,stratified,points,validation,reference,samescene").split(",")

    def shortDescription(self):
        return self.tr("Draws points by a probability design, to be labelled without seeing the map.")

    def shortHelpString(self):
        return sample_help(self.tr)

    def definitions(self):
        return sample_parameters(self.tr)

    def output_definitions(self):
        return sample_outputs(self.tr)

    def faults(self, parameters, context):
        return sample_faults(SamplePreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return SamplePreparation(self, parameters, context).prepare()

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        return {
            **made_files(result, out, {"DESIGN_FILE": "design.json", "REPORT": "report.html", "RESULT": "result.json"}),
            **made_tables(result, out, {"SAMPLE": "points.gpkg|layername=points"}),
            "COUNT": figures.get("points"),
        }
