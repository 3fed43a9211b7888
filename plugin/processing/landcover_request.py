"""From the parameters of ``samescene:landcover`` to the engine's request."""

from __future__ import annotations

from typing import Any

from .preparation import Preparation, PreparedRun

_OPTIONS = ("UNKNOWN_BELOW", "MIN_AREA", "UNITS", "BANDS", "OBSERVED_AT", "DEVICE")


class LandcoverPreparation(Preparation):
    """The request of ``engine landcover``."""

    scene = "SCENES"
    what = {  # noqa: RUF012 - read only
        "SCENES": "Scenes",
        "SCL": "Scene classification",
        "AOI_EXTENT": "Area of interest",
        "AOI_LAYER": "Area of interest",
        "ZONES": "Zones",
    }

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        params: dict[str, Any] = {"scene": self.rasters("SCENES")}
        scl = self.raster("SCL")
        if scl:
            params["scl"] = scl
        params.update(self.area_and_zones())
        model = self.model("MODEL")
        if model:
            params["model"] = model
        params.update(self.legend())
        params.update(self.options(*_OPTIONS))
        params.update(self.destination())
        return PreparedRun(params, f"Land cover – {self.scene_name()}", self.notes)
