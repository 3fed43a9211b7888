"""From the parameters of ``samescene:flood`` to the engine's request."""

from __future__ import annotations

from typing import Any

from .flood_parameters import RASTERS
from .preparation import Preparation, PreparedRun

_OPTIONS = ("UNITS", "BANDS", "PROBABILITY", "MIN_AREA", "MAX_HAND", "MAX_SLOPE", "OBSERVED_AT", "DEVICE")


class FloodPreparation(Preparation):
    """The request of ``engine flood``."""

    scene = "POST"
    what = {  # noqa: RUF012 - read only
        "POST": "Scene after",
        "BEFORE": "Scene before",
        "S2": "Sentinel-2 image",
        "SCL": "Scene classification",
        "REFERENCE_WATER": "Reference water",
        "DEM": "Elevation",
        "HAND": "Height above drainage",
        "AOI_EXTENT": "Area of interest",
        "AOI_LAYER": "Area of interest",
        "ZONES": "Zones",
    }

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        params: dict[str, Any] = {}
        for name in RASTERS:
            path = self.raster(name)
            if path:
                params[name.lower()] = path
        params.update(self.area_and_zones())
        method = self.model("METHOD")
        if method:
            params["method"] = method
        params.update(self.options(*_OPTIONS))
        params.update(self.destination())
        return PreparedRun(params, f"Flood – {self.scene_name()}", self.notes)
