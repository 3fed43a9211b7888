"""The Processing algorithm ``samescene:flood``: ``engine flood`` with layers of QGIS for files."""

from __future__ import annotations

from ..engine_client.settings import plugin_root
from .engine_algorithm import EngineAlgorithm, made_files, made_tables
from .flood_checks import flood_faults
from .flood_parameters import flood_outputs, flood_parameters
from .flood_request import FloodPreparation
from .model_names import model_names
from .texts import flood_help

_FILES = {
    "FLOOD": "flood.tif",
    "WATER_PROBABILITY": "water_probability.tif",
    "EXCLUDED": "excluded.tif",
    "REPORT": "report.html",
    "RESULT": "result.json",
}
_TABLES = {"POLYGONS": "flood.gpkg|layername=polygons", "FLOODED_ZONES": "flood.gpkg|layername=zones"}


class FloodAlgorithm(EngineAlgorithm):
    """Water and flood of a Sentinel-1 or Sentinel-2 scene."""

    job = "flood"
    icon_name = "flood"
    layer_outputs = {  # noqa: RUF012 - read only
        "flood": "FLOOD",
        "probability": "WATER_PROBABILITY",
        "excluded": "EXCLUDED",
        "polygons": "POLYGONS",
        "zones": "FLOODED_ZONES",
    }

    def name(self):
        return "flood"

    def displayName(self):
        return self.tr("Flood map from Sentinel-1 or Sentinel-2")

    def tags(self):
        return self.tr("flood,water,inundation,sentinel-1,sentinel-2,sar,radar,threshold,samescene").split(",")

    def shortDescription(self):
        return self.tr("Maps water and flood from Sentinel-1 or Sentinel-2, with probability, polygons and a report.")

    def shortHelpString(self):
        return flood_help(self.tr)

    def definitions(self):
        return flood_parameters(self.tr, models=model_names(plugin_root(), "flood"))

    def output_definitions(self):
        return flood_outputs(self.tr)

    def faults(self, parameters, context):
        return flood_faults(self, parameters, context)

    def prepared(self, parameters, context):
        return FloodPreparation(self, parameters, context).prepare()

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        areas = figures.get("area_m2") or {}
        tables = dict(_TABLES) if figures.get("zones") else {"POLYGONS": _TABLES["POLYGONS"]}
        return {
            **made_files(result, out, _FILES),
            **made_tables(result, out, tables),
            "FLOOD_M2": areas.get("flood"),
            "WATER_M2": areas.get("water"),
            "OBSERVED_PERCENT": figures.get("observed_percent"),
        }
