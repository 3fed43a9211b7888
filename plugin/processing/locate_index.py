"""The Processing algorithm ``samescene:locate_index``: ``engine locate index`` with a layer of QGIS for the imagery."""

from __future__ import annotations

from ..engine_client.settings import plugin_root
from .engine_algorithm import EngineAlgorithm, made_files, made_tables
from .locate_index_checks import index_faults, unopened_reference
from .locate_index_parameters import index_outputs, index_parameters
from .locate_index_request import IndexPreparation, reference_as_address
from .model_names import crossview_methods
from .texts import locate_index_help


class LocateIndexAlgorithm(EngineAlgorithm):
    """The cells of a region, described and kept, to search them for photos."""

    job = "locate-index"
    icon_name = "locate-index"
    layer_outputs = {"area": "AREA"}  # noqa: RUF012 - read only
    cancelled = "Cancelled. What was described is kept: the same run goes on where it was."

    def name(self):
        return "locate_index"

    def displayName(self):
        return self.tr("Index of a region, to locate photos in")

    def group(self):
        return self.tr("Locate photos")

    def groupId(self):
        return "locate"

    def tags(self):
        return self.tr("locate,panorama,photo,geolocation,index,cross-view,street view,samescene").split(",")

    def shortDescription(self):
        return self.tr("Describes a region cell by cell from imagery seen from above, so that photos can be located.")

    def shortHelpString(self):
        return locate_index_help(self.tr)

    def definitions(self):
        return index_parameters(self.tr, methods=crossview_methods(plugin_root()))

    def output_definitions(self):
        return index_outputs(self.tr)

    def understood(self, parameters):
        return reference_as_address(parameters)

    def early_faults(self, parameters, context):
        return unopened_reference(IndexPreparation(self, parameters, context))

    def faults(self, parameters, context):
        return index_faults(IndexPreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return IndexPreparation(self, parameters, context).prepare()

    def told(self, result):
        figures = result.get("figures") or {}
        size = f"{(figures.get('bytes') or 0) / 1e6:.1f} MB"
        return [("info", f"Index: {figures.get('cells')} cells, {figures.get('added')} of them new, {size}.")]

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        return {
            "INDEX": out,
            **made_files(result, out, {"RESULT": "result.json"}),
            **made_tables(result, out, {"AREA": "area.geojson|layername=area"}),
            "CELLS": figures.get("cells"),
            "ADDED": figures.get("added"),
            "GAPS": figures.get("gaps"),
        }
