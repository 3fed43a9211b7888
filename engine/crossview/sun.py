"""The sun as a compass: where it stands in a photo, and what headings that speaks for in a region.

A road looks alike both ways, and so does much that a photo is turned over. But north of the tropics the sun stands in
the southern half of the sky whenever a photo is taken, and a photo shows where it stands (engine/models/sun.py). Of a
heading θ of the photo's centre the odds are Σ p(azimuth | latitude) p(azimuth − θ | photo) over the sun's azimuths,
against chance. What was not seen in training (night, lamps, a wall of glass) must not decide alone: in one of five
photos the sun is taken not to be told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from engine.errors import ModelError
from engine.models.sun import AZIMUTHS, SunNetwork, framed
from engine.panorama.solar import sun_azimuths
from engine.panorama.view import PanoramaView
from engine.resources import resource_folders

UNTOLD = 0.2
FILE = "sun.safetensors"


@dataclass(frozen=True)
class SunSight:
    """``share`` (90,): how likely the sun stands at −178°, −174°, … 178° clockwise from the photo's centre, together
    1."""

    share: NDArray[np.float64]

    def leaning(self, latitude: float, turns: int) -> NDArray[np.float64]:
        """(``turns``,) logarithm of the odds of headings 0°, 360/turns°, … of the photo's centre at ``latitude``
        (degrees) against chance: at least log 0.2, and 0 where the photo does not tell where the sun stands."""
        fine = np.repeat(self.share, 360 // AZIMUTHS) * (AZIMUTHS / 360)
        prior = sun_azimuths(round(latitude))
        # Heading θ brings −180° of the photo to θ − 180°: a correlation round the circle.
        every = np.fft.irfft(np.fft.rfft(prior) * np.conj(np.fft.rfft(np.roll(fine, -180))), 360)
        wanted = np.arange(turns) * 360.0 / turns
        odds = np.interp(wanted, np.arange(361), np.append(every, every[0])) * 360
        return np.asarray(np.log((1 - UNTOLD) * np.maximum(odds, 0.0) + UNTOLD))


class SunCompass:
    """Sees the sun by ``network``, on the processor: in 8 to 20 ms a photo, a quarter of what its rings take."""

    def __init__(self, network: SunNetwork) -> None:
        self._network = network.eval()

    def sight(self, pixels: Tensor, view: PanoramaView) -> SunSight | None:
        """Of a panorama ``pixels`` (3, H, W) uint8 or float 0…1, which ``view`` describes; its heading plays no part.
        None where it does not go all the way round."""
        if not view.closed:
            return None
        with torch.inference_mode():
            logits = self._network(*framed(pixels.cpu()[None], replace(view, heading_deg=0.0)))
        return SunSight(torch.softmax(logits[0].double(), dim=0).numpy())


def load_sun(file: Path) -> SunNetwork:
    """The network of a file that ``scripts/train_starter_models --model sun`` made, in full precision. Raises
    ModelError where it holds something else."""
    try:
        state = {name: value.float() for name, value in load_file(file).items()}
        network = SunNetwork(len(state["out.weight"][0]))
        network.load_state_dict(state)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{file}: holds no network that sees the sun, or is damaged ({str(error).splitlines()[0]}).",
            remedy="Install SameScene again.",
        ) from error
    return network


@cache
def shipped_compass() -> SunCompass | None:
    """That of the weights that ship; None where there are none."""
    files = (folder / FILE for folder in resource_folders("sun"))
    return next((SunCompass(load_sun(file)) for file in files if file.is_file()), None)
