"""What a model may ask of a scene: bands in the units that scenes are read in."""

from __future__ import annotations

from engine.errors import ModelError
from engine.mapping.scene.bands import POLARISATIONS
from engine.models.bundle import Bundle
from engine.sensors import SENSORS

_UNITS = {"s1": "db", "s2": "reflectance"}


def check_bands(bundle: Bundle) -> None:
    """Raise ModelError unless the model's bands are VV and VH of Sentinel-1 in dB, and Sentinel-2 in reflectance."""
    for band in bundle.card.bands:
        if band.unit != _UNITS[band.sensor] or (band.sensor == "s1" and band.name not in POLARISATIONS):
            what = "VV and VH in dB" if band.sensor == "s1" else "bands in reflectance"
            raise ModelError(
                f"{bundle.folder}: the model takes {band.name} in {band.unit}; expected {what} of "
                f"{SENSORS[band.sensor].title}.",
                remedy="Choose another model.",
            )
