"""A cross-view model ready for use: the network of a bundle, and its card's inputs made from any photo or tile."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from engine.errors import ModelError
from engine.models.bundle import Bundle, find_model, save_bundle
from engine.models.card import Card, CrossViewInputs
from engine.models.crossview import CrossViewNetwork
from engine.models.crossview_inputs import GroundFrame, OverheadFrame, View, normalised


@dataclass(frozen=True)
class CrossViewModel:
    """``network`` in evaluation mode on the processor, ``card`` of its bundle in ``folder``."""

    network: CrossViewNetwork
    card: Card
    folder: Path

    @property
    def inputs(self) -> CrossViewInputs:
        """What the branches take, by the card."""
        if self.card.crossview is None:
            raise ModelError(f"{self.folder}: the card tells no inputs of a cross-view model.")
        return self.card.crossview

    @property
    def embedding_sha256(self) -> str:
        """Digest of all that embeddings depend on: the weights but those of the rings, which only verify, and the
        inputs that the card tells. Models that share it search each other's indexes."""
        digest = hashlib.sha256(self.inputs.model_dump_json().encode())
        for name, tensor in sorted(self.network.state_dict().items()):
            if not name.startswith("rings."):
                digest.update(f"{name} {tuple(tensor.shape)} ".encode() + tensor.cpu().double().numpy().tobytes())
        return digest.hexdigest()

    def prepare_ground(self, pixels: Tensor, views: View | Sequence[View]) -> Tensor:
        """``pixels`` (N, 3, H, W) uint8 or float 0…1 with one :class:`~engine.panorama.view.PanoramaView` for all or
        for each → what :meth:`CrossViewNetwork.ground` takes, on the same device. A panorama is turned by its heading
        so that the middle looks north; for an unknown heading (0 in its view) it stays as it is. Raises
        ParameterError for shapes that do not fit."""
        ground = self.inputs.ground
        frame = GroundFrame(ground.size, ground.hfov_deg, ground.vfov_deg, ground.pitch_center_deg)
        return normalised(*frame.put(pixels, views), ground.mean, ground.std)

    def prepare_overhead(self, pixels: Tensor, gsd_m: float | Sequence[float | None] | None = None) -> Tensor:
        """``pixels`` (N, 3, S, S) uint8 or float 0…1, north up, with their metres a pixel → what
        :meth:`CrossViewNetwork.overhead` takes. The middle of a tile is the place. Raises ParameterError."""
        overhead = self.inputs.overhead
        frame = OverheadFrame(overhead.size, overhead.extent_m)
        return normalised(*frame.put(pixels, gsd_m), overhead.mean, overhead.std)


def load_crossview(name_or_folder: str | os.PathLike[str]) -> CrossViewModel:
    """The cross-view model of that name (as 'engine models list' has it) or in that folder. Raises ModelError: unknown,
    damaged, or made for another task."""
    bundle = find_model(str(name_or_folder), task="crossview")
    return CrossViewModel(bundle.crossview(), bundle.card, bundle.folder)


def save_crossview(
    folder: str | os.PathLike[str], network: CrossViewNetwork, card: dict[str, Any], *, half: bool = False
) -> Bundle:
    """Write the bundle of a cross-view network. ``card`` has at least name, title, licence, ``crossview`` (the inputs),
    ``gsd_m`` and ``trained_on``; the rest is filled in. Errors as :func:`engine.models.bundle.save_bundle`, and
    ModelError when the card's sizes are not the network's."""
    try:
        inputs = CrossViewInputs.model_validate(card["crossview"])
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise ModelError(f"The card is not valid: crossview.{where}: {fault['msg']}.") from error
    if (inputs.ground.size, inputs.overhead.size) != (network.ground_size, network.overhead_size):
        raise ModelError(
            f"The card describes inputs of {inputs.ground.size} and {inputs.overhead.size} pixels, the network takes "
            f"{network.ground_size} and {network.overhead_size}."
        )
    filled = {"task": "crossview", "activation": "none", **card, "crossview": inputs.model_dump(mode="json")}
    return save_bundle(folder, network, filled, half=half)
