"""The Processing algorithm ``samescene:landcover``: ``engine landcover`` with layers of QGIS for files."""

from __future__ import annotations

from ..engine_client.settings import plugin_root
from .engine_algorithm import EngineAlgorithm, made_files, made_tables
from .landcover_checks import landcover_faults, unopened_scenes
from .landcover_parameters import landcover_outputs, landcover_parameters
from .landcover_request import LandcoverPreparation
from .model_names import model_names
from .texts import landcover_help

_FILES = {
    "LANDCOVER": "landcover.tif",
    "CONFIDENCE": "confidence.tif",
    "REPORT": "report.html",
    "RESULT": "result.json",
}
_TABLES = {"AREAS": "landcover.gpkg|layername=classes", "LANDCOVER_ZONES": "landcover.gpkg|layername=zones"}


class LandcoverAlgorithm(EngineAlgorithm):
    """Land cover of a Sentinel-2 image, a Sentinel-1 scene, or both."""

    job = "landcover"
    icon_name = "landcover"
    layer_outputs = {  # noqa: RUF012 - read only
        "landcover": "LANDCOVER",
        "confidence": "CONFIDENCE",
        "zones": "LANDCOVER_ZONES",
        "areas": "AREAS",
    }

    def name(self):
        return "landcover"

    def displayName(self):
        return self.tr("Land-cover map from Sentinel-2, Sentinel-1 or both")

    def tags(self):
        return self.tr("land cover,land use,classification,sentinel-1,sentinel-2,worldcover,samescene").split(",")

    def shortDescription(self):
        return self.tr("Maps land cover with confidence, areas by class and zone, and a report.")

    def shortHelpString(self):
        return landcover_help(self.tr)

    def definitions(self):
        return landcover_parameters(self.tr, models=model_names(plugin_root(), "landcover"))

    def output_definitions(self):
        return landcover_outputs(self.tr)

    def early_faults(self, parameters, context):
        return unopened_scenes(LandcoverPreparation(self, parameters, context))

    def faults(self, parameters, context):
        return landcover_faults(LandcoverPreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return LandcoverPreparation(self, parameters, context).prepare()

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        return {
            **made_files(result, out, _FILES),
            **made_tables(result, out, _TABLES if figures.get("zones") else {"AREAS": _TABLES["AREAS"]}),
            "UNKNOWN_PERCENT": figures.get("unknown_percent"),
            "OBSERVED_PERCENT": figures.get("observed_percent"),
        }
