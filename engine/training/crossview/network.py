"""The network of a run and how images are brought to it, from the request and the data."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import torch

from engine.crossview.data.items import CrossViewSet
from engine.errors import ModelError, ParameterError
from engine.models.bundle import load_bundle
from engine.models.convnext import ConvNext
from engine.models.convnext_weights import load_convnext_state
from engine.models.crossview import CrossViewNetwork
from engine.models.crossview_inputs import GroundFrame, OverheadFrame
from engine.models.foreign import read_weights
from engine.models.importing import find_encoder
from engine.models.resnet import ResNet, load_encoder_state
from engine.training.crossview.images import Framing, image_size
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.rng import derive_seed

HALF_WIDTH_M = 35.0
"""Of a bird's-eye view where no tile tells its scale."""
_LOOKED_AT = 16


def framing(request: CrossViewTrainRequest, data: CrossViewSet) -> Framing:
    """How images are brought to the network. The extent is the median of the tiles' (not known: whole tiles), the field
    of view in pitch the least of the panoramas'. Raises ParameterError for sizes that do not fit together."""
    rows, columns = request.ground_pixels
    extent = request.extent if request.extent is not None else _extent(data)
    vfov = request.vfov if request.vfov is not None else min(item.view.vfov_deg for item in data.grounds)
    pitch = median(item.view.pitch_center_deg for item in data.grounds)
    if abs(pitch) + vfov / 2 > 90.5:
        raise ParameterError(f"A field of view of {vfov:g}° around a pitch of {pitch:g}° reaches past the pole.")
    around = round(columns * 360 / request.hfov)  # at the same pixels a degree all the way round
    return Framing(
        GroundFrame((rows, max(columns, around)), 360.0, vfov, pitch),
        OverheadFrame((request.overhead_size, request.overhead_size), extent),
        half_width_m=HALF_WIDTH_M if extent is None else extent / 2,
        camera_height_m=request.camera_height,
        use_heading=request.heading == "known",
        assumed=request.seed if request.heading == "found" else None,
    )


def _extent(data: CrossViewSet) -> float | None:
    known = [item for item in data.overheads if item.gsd_m is not None]
    if not known:
        return None
    some = known[:: max(1, len(known) // _LOOKED_AT)]
    return float(median((item.gsd_m or 0.0) * min(image_size(item.file)) for item in some))


def make_network(request: CrossViewTrainRequest) -> CrossViewNetwork:
    """The network with weights drawn from the request's seed alone, or from ``--start``."""
    torch.manual_seed(derive_seed(request.seed, "weights"))
    network = CrossViewNetwork(
        request.encoder,
        ground_size=request.ground_pixels,
        overhead_size=(request.overhead_size, request.overhead_size),
        width=request.width,
        depth=request.depth,
        stages=request.encoder_stages,
        maps=request.maps,
        temperature=request.temperature,
    )
    if request.start is not None:
        start_from(network, Path(request.start).expanduser())
    return network


def start_from(network: CrossViewNetwork, path: Path) -> None:
    """Put weights into ``network``: a cross-view bundle's into all of it, others into both encoders. Raises ModelError,
    MissingFileError."""
    if path.is_dir():
        bundle = load_bundle(path)
        module = bundle.module()
        if isinstance(module, CrossViewNetwork):
            module.rings = None  # of the model as it was: they are not trained here
            if module.settings() != network.settings():
                raise ModelError(
                    f"{path}: the network is {module.settings()}, this run's is {network.settings()}.",
                    remedy="Give the options that the model was trained with.",
                )
            network.load_state_dict(module.state_dict())
            return
        encoder = module if isinstance(module, (ResNet, ConvNext)) else bundle.encoder()
    else:
        encoder = find_encoder(read_weights(path), source=str(path), bands=3).encoder
    for mine in (network.ground_encoder, network.overhead_encoder):
        if isinstance(mine, ConvNext):
            load_convnext_state(mine, encoder.state_dict(), source=str(path))
        else:
            load_encoder_state(mine, encoder.state_dict(), source=str(path))
