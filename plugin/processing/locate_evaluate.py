"""The Processing algorithm ``samescene:locate_evaluate``: ``engine locate evaluate`` with layers of QGIS."""

from __future__ import annotations

from typing import Any

from ..engine_client.settings import plugin_root
from .engine_algorithm import EngineAlgorithm, made_files
from .locate_index_request import reference_as_address
from .locate_search_parameters import evaluate_outputs, evaluate_parameters
from .locate_search_request import EvaluatePreparation, photo_faults
from .model_names import crossview_methods
from .texts import locate_evaluate_help


class LocateEvaluateAlgorithm(EngineAlgorithm):
    """How far off locating is, from photos whose places are known."""

    job = "locate-evaluate"
    icon_name = "locate-evaluate"

    def name(self):
        return "locate_evaluate"

    def displayName(self):
        return self.tr("Test locating on photos of known position")

    def group(self):
        return self.tr("Locate photos")

    def groupId(self):
        return "locate"

    def tags(self):
        return self.tr("locate,panorama,photo,evaluation,recall,error,accuracy,samescene").split(",")

    def shortDescription(self):
        return self.tr("Measures how far off the search of an index is: error curve, recall by rank and radius.")

    def shortHelpString(self):
        return locate_evaluate_help(self.tr)

    def definitions(self):
        return evaluate_parameters(self.tr, methods=crossview_methods(plugin_root()))

    def output_definitions(self):
        return evaluate_outputs(self.tr)

    def understood(self, parameters):
        return reference_as_address(parameters)

    def early_faults(self, parameters, context):
        return photo_faults(EvaluatePreparation(self, parameters, context))

    def faults(self, parameters, context):
        return photo_faults(EvaluatePreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return EvaluatePreparation(self, parameters, context).prepare()

    def told(self, result):
        figures = result.get("figures") or {}
        first, twenty = _share(figures, 1), _share(figures, 20)
        lines = [("warning", f"{item['name']} was skipped: {item['why']}") for item in figures.get("skipped") or []]
        if first is None or twenty is None:
            return [*lines, ("warning", "No photo was taken inside the region of the index.")]
        text = f"Within 50 m: {100 * first:.0f} % at the first guess, {100 * twenty:.0f} % among 20"
        return [*lines, ("info", f"{text}, of {figures.get('inside')} photos taken inside the region.")]

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        files = {"REPORT": "report.html", "QUERIES": "queries.csv", "RESULT": "result.json"}
        return {
            **made_files(result, out, files),
            "RECALL_1_50M": _share(figures, 1),
            "RECALL_20_50M": _share(figures, 20),
            "MEDIAN_ERROR_M": figures.get("median_error_m"),
            "PHOTOS_SCORED": figures.get("photos"),
            "SKIPPED": len(figures.get("skipped") or []),
        }


def _share(figures: dict[str, Any], rank: int) -> float | None:
    found = (figures.get("pooled") or {}).get(f"recall@{rank}<50m")
    return None if not found else found.get("value")
