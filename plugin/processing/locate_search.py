"""The Processing algorithm ``samescene:locate_search``: ``engine locate search`` with layers of QGIS."""

from __future__ import annotations

from typing import Any

from ..engine_client.settings import plugin_root
from .engine_algorithm import EngineAlgorithm, made_files, made_tables
from .locate_index_request import reference_as_address
from .locate_search_parameters import search_outputs, search_parameters
from .locate_search_request import SearchPreparation, photo_faults
from .model_names import crossview_methods
from .texts import locate_search_help


def answer_line(photo: dict[str, Any]) -> str:
    """What was found of a photo (an entry of ``figures.photos``), in one line; "not in this region" is an answer."""
    best = photo.get("best") or {}
    share = f"{100 * float(best.get('probability_50m') or 0):.0f} % within 50 m"
    heading = best.get("heading_deg")
    looks = "heading unknown" if heading is None else f"heading {float(heading):.0f}°"
    place = f"{float(best.get('lat') or 0):.5f}, {float(best.get('lon') or 0):.5f}, {looks}, {share}"
    return f"{photo.get('photo')}: {place if photo.get('match') else f'not in this region (best guess {place})'}"


class LocateSearchAlgorithm(EngineAlgorithm):
    """Where photos were taken: ranked places with heading and probability."""

    job = "locate-search"
    icon_name = "locate-search"
    layer_outputs = {"candidates": "CANDIDATES"}  # noqa: RUF012 - read only

    def name(self):
        return "locate_search"

    def displayName(self):
        return self.tr("Locate photos")

    def group(self):
        return self.tr("Locate photos")

    def groupId(self):
        return "locate"

    def tags(self):
        return self.tr("locate,panorama,photo,geolocation,cross-view,street view,heading,samescene").split(",")

    def shortDescription(self):
        return self.tr("Finds where photos were taken in an indexed region: candidates, headings, probabilities.")

    def shortHelpString(self):
        return locate_search_help(self.tr)

    def definitions(self):
        return search_parameters(self.tr, methods=crossview_methods(plugin_root()))

    def output_definitions(self):
        return search_outputs(self.tr)

    def understood(self, parameters):
        return reference_as_address(parameters)

    def early_faults(self, parameters, context):
        return photo_faults(SearchPreparation(self, parameters, context))

    def faults(self, parameters, context):
        return photo_faults(SearchPreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return SearchPreparation(self, parameters, context).prepare()

    def told(self, result):
        photos = (result.get("figures") or {}).get("photos") or []
        lines = [("info" if photo.get("match") else "warning", answer_line(photo)) for photo in photos]
        if photos and not any(photo.get("match") for photo in photos):
            lines.append(("warning", "No match in this region, as far as can be told."))
        return lines

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        photos = figures.get("photos") or []
        files = sorted(name for role, name in (result.get("outputs") or {}).items() if role.startswith("heatmap_"))
        return {
            **made_tables(result, out, {"CANDIDATES": "candidates.gpkg|layername=candidates"}),
            **made_files(result, out, {"REPORT": "report.html", "RESULT": "result.json"}),
            "HEATMAPS": [f"{out}/{name}" for name in files],
            "MATCH": bool(result.get("match")),
            "MATCHED": sum(bool(photo.get("match")) for photo in photos),
            "SKIPPED": len(figures.get("skipped") or []),
        }
