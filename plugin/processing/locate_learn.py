"""The Processing algorithm ``samescene:locate_learn``: a cross-view model of one's own area, from photos without
pairs."""

from __future__ import annotations

from typing import Any

from ..engine_client.settings import plugin_root
from .engine_algorithm import EngineAlgorithm, made_files
from .locate_index_request import reference_as_address
from .locate_learn_parameters import learn_outputs, learn_parameters
from .locate_learn_request import LearnPreparation, learn_faults
from .model_names import model_names
from .texts import locate_learn_help


class LocateLearnAlgorithm(EngineAlgorithm):
    """A cross-view model that is trained on own photos and imagery of one area, without any pair."""

    job = "crossview-adapt"
    icon_name = "locate-learn"
    cancelled = "Cancelled. What was learned so far is kept: the same run goes on where it was."

    def name(self):
        return "locate_learn"

    def displayName(self):
        return self.tr("Learn an area from own photos")

    def group(self):
        return self.tr("Locate photos")

    def groupId(self):
        return "locate"

    def tags(self):
        return self.tr("locate,panorama,photo,train,unsupervised,adapt,cross-view,model,samescene").split(",")

    def shortDescription(self):
        return self.tr("Trains a model on your own panoramas and imagery of an area, and measures what that was worth.")

    def shortHelpString(self):
        return locate_learn_help(self.tr)

    def definitions(self):
        return learn_parameters(self.tr, models=model_names(plugin_root(), "crossview"))

    def output_definitions(self):
        return learn_outputs(self.tr)

    def understood(self, parameters):
        return reference_as_address(parameters)

    def early_faults(self, parameters, context):
        return learn_faults(LearnPreparation(self, parameters, context))

    def faults(self, parameters, context):
        return learn_faults(LearnPreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return LearnPreparation(self, parameters, context).prepare()

    def told(self, result):
        figures = result.get("figures") or {}
        lines = [*figures.get("summary", []), *(line for group in figures.get("said", {}).values() for line in group)]
        return [("info", line) for line in lines] or [
            ("warning", "Nothing was measured: too few photos of known position stand in the area.")
        ]

    def results_of(self, result, out):
        apart = ((result.get("figures") or {}).get("measured") or {}).get("apart") or {}
        return {
            **made_files(result, out, {"REPORT": "report.html", "RESULT": "result.json"}),
            "MODEL": (result.get("registered") or {}).get("name") or f"{out}/model",
            "MODEL_FOLDER": f"{out}/model",
            "RECALL_1_50M": _first(apart, "search_after", "after"),
            "BEFORE_1_50M": _first(apart, "search_before", "before"),
            "GEOMETRIC_1_50M": _first(apart, "geometric"),
        }


def _first(group: dict[str, Any], *methods: str) -> float | None:
    """The share of the first of the methods that was measured: a whole search is what a model is used in."""
    for method in methods:
        found = ((group.get(method) or {}).get("pooled") or {}).get("recall@1<50m")
        if found:
            return found.get("value")
    return None
