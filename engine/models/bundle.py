"""Model bundles: a folder with ``model.safetensors``, ``card.json`` and ``mlm.json`` (for STAC catalogues).

Weights are read from safetensors alone: pickled weights (``.pt``, ``.pth``, ``.bin``, ``.pkl``) can run code and are
refused. The card names the sha256 of the weights; a bundle whose parts do not belong together does not load.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from engine.errors import ModelError
from engine.models.library import user_models_folder
from engine.outputs import explain_os_error
from engine.resources import resource_folders
from engine.version import VERSION

if TYPE_CHECKING:
    from engine.models.build import AnyNetwork
    from engine.models.card import Card
    from engine.models.crossview import CrossViewNetwork
    from engine.models.pixel import PixelSegmenter
    from engine.models.resnet import ResNet
    from engine.models.segmenter import Segmenter
    from engine.models.two_sensor import TwoSensorSegmenter

Kind = TypeVar("Kind")
WEIGHTS, CARD = "model.safetensors", "card.json"
FOLDERS_VARIABLE = "SAMESCENE_MODELS"
_PICKLED = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
_LARGEST_CARD = 1 << 20


@dataclass(frozen=True)
class KnownModel:
    """A bundle's name (its folder's) and folder; nothing of it was read yet."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Bundle:
    """A bundle whose card is valid. ``folder`` holds it; the weights are read by :meth:`network`."""

    folder: Path
    card: Card

    @property
    def name(self) -> str:
        """The name in the card."""
        return self.card.name

    @property
    def sha256(self) -> str:
        """sha256 of the weights, as the card states it."""
        return self.card.weights_sha256

    def verify(self) -> None:
        """Raise ModelError unless the weights are those of the card."""
        path = self.folder / WEIGHTS
        found = _sha256(path)
        if found != self.sha256:
            raise ModelError(
                f"{path}: the weights do not belong to the card: expected sha256 {self.sha256[:12]}…, "
                f"found {found[:12]}….",
                remedy="Copy or download the bundle again.",
            )

    def network(self) -> Segmenter:
        """The network with its weights, in evaluation mode, on the processor.

        Raises ModelError, naming the file, when the weights are absent, damaged, of another card, hold numbers that
        are not finite, or do not fit the network that the card describes; and for encoders and two-sensor networks.
        """
        from engine.models.segmenter import Segmenter

        return self._of(Segmenter, "one that maps images of one kind")

    def mapper(self) -> Segmenter | PixelSegmenter:
        """As :meth:`network`, and for the architectures "pixel" and "pixel-unet" too: what answers a stack of bands."""
        from engine.models.pixel import PixelSegmenter
        from engine.models.segmenter import Segmenter

        network = self.module()
        if isinstance(network, PixelSegmenter):
            return network
        return self._of(Segmenter, "one that maps images of one kind", network)

    def two_sensor(self) -> TwoSensorSegmenter:
        """As :meth:`network`, for a card of the architecture "two-sensor-unet"."""
        from engine.models.two_sensor import TwoSensorSegmenter

        return self._of(TwoSensorSegmenter, "one for two sensors")

    def encoder(self) -> ResNet:
        """The encoder with its weights, of a bundle for the task "encoder" or of a mapping network of one kind of
        image; errors as :meth:`network`."""
        from engine.models.resnet import ResNet
        from engine.models.segmenter import Segmenter

        network = self.module()
        if isinstance(network, Segmenter):
            return network.encoder
        return self._of(ResNet, "an encoder", network)

    def crossview(self) -> CrossViewNetwork:
        """As :meth:`network`, for a card of the task "crossview"."""
        from engine.models.crossview import CrossViewNetwork

        return self._of(CrossViewNetwork, "one for cross-view search")

    def _of(self, kind: type[Kind], words: str, network: AnyNetwork | None = None) -> Kind:
        network = self.module() if network is None else network
        if not isinstance(network, kind):
            raise ModelError(
                f"{self.folder}: the network is a {self.card.network.architecture}; expected {words}.",
                remedy="Choose another model.",
            )
        return network

    def module(self) -> AnyNetwork:
        """The network, whatever its kind; errors as :meth:`network`."""
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from engine.models.build import build

        path = self.folder / WEIGHTS
        self.verify()
        try:
            state = load_file(path)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"{path}: the weights cannot be read ({error}).", remedy="Copy or download the bundle again."
            ) from error
        network = build(self.card)
        own = network.state_dict()
        for key in sorted(set(own) | set(state)):
            if key not in state or key not in own:
                what = "is missing" if key in own else "is not a parameter of the network"
                raise ModelError(
                    f"{path}: {key} {what} that {CARD} describes.", remedy="Use the card of these weights."
                )
            if state[key].shape != own[key].shape or state[key].is_floating_point() != own[key].is_floating_point():
                raise ModelError(
                    f"{path}: {key} is {state[key].dtype} {tuple(state[key].shape)}; {CARD} describes "
                    f"{own[key].dtype} {tuple(own[key].shape)}.",
                    remedy="Use the card of these weights.",
                )
            if not bool(torch.isfinite(state[key]).all()):
                raise ModelError(f"{path}: {key} holds numbers that are not finite.", remedy="Train the model again.")
        network.load_state_dict(state)
        return network


def load_bundle(folder: str | os.PathLike[str]) -> Bundle:
    """Read and validate a bundle's card and see that its weights are there; weights are checked when used.

    Raises ModelError with one line that names the file: folder or file absent, pickled weights, card damaged (which
    field, what was expected and found).
    """
    from engine.models.card import Card

    path = Path(folder)
    if path.suffix.lower() in _PICKLED and path.is_file():
        raise _pickled(path)
    if not path.is_dir():
        why = "it is a file" if path.exists() else "it does not exist"
        raise ModelError(f"{path}: not a model bundle: {why}.", remedy=f"Give a folder with {CARD} and {WEIGHTS}.")
    card_path, weights = path / CARD, path / WEIGHTS
    if not weights.is_file():
        pickled = sorted(p for p in path.iterdir() if p.suffix.lower() in _PICKLED)
        if pickled:
            raise _pickled(pickled[0])
        raise ModelError(f"{weights}: the weights are missing.", remedy="Copy or download the bundle again.")
    try:
        if card_path.stat().st_size > _LARGEST_CARD:
            raise ModelError(f"{card_path}: larger than a card can be ({_LARGEST_CARD} bytes).")
        text = card_path.read_text(encoding="utf-8")
        return Bundle(path, Card.model_validate_json(text))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'card'}: {fault['msg']}" for fault in error.errors()[:3]
        )
        raise ModelError(
            f"{card_path}: not a valid card: {faults}.", remedy="Copy or download the bundle again."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{card_path}: the card cannot be read ({getattr(error, 'strerror', None) or error}).",
            remedy="Copy or download the bundle again.",
        ) from error


def save_bundle(
    folder: str | os.PathLike[str], network: AnyNetwork, card: dict[str, Any], *, half: bool = False
) -> Bundle:
    """Write a bundle; ``card`` without ``weights_sha256``, ``engine_version`` and ``network`` sizes, filled in here.

    ``half`` stores the weights as float16 (they are computed with as float32). Each file is written aside and moved
    into place, the card last: a bundle that was not finished does not load. Raises ModelError when card and network
    do not fit or weights are beyond float16, OutputError when the folder cannot be written.
    """
    from safetensors.torch import save as to_bytes

    from engine.models.build import describe, sizes
    from engine.models.card import Card
    from engine.models.mlm import MLM, mlm_item

    path = Path(folder)
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    if half:
        state = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
        lost = [key for key, value in state.items() if not bool(value.isfinite().all())]
        if lost:
            raise ModelError(f"{lost[0]} holds numbers beyond float16.", remedy="Save the model as float32.")
    weights = to_bytes(state)
    filled = {
        **card,
        "network": {"validity": False, **card.get("network", {}), **describe(network)},
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "engine_version": VERSION,
    }
    try:
        checked = Card.model_validate(filled)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ModelError(f"The card is not valid: {'.'.join(map(str, fault['loc']))}: {fault['msg']}.") from error
    bands, outputs = sizes(network)
    if (checked.inputs, checked.outputs) != (bands, outputs):
        raise ModelError(
            f"The card describes {checked.inputs} inputs and {checked.outputs} outputs, the network has "
            f"{bands} and {outputs}."
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        item = mlm_item(checked, weights=WEIGHTS, parameters=parameters)
        documents = {MLM: item, CARD: checked.model_dump(mode="json")}
        texts = {
            name: (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
            for name, content in documents.items()
        }
        for name, content in {WEIGHTS: weights, **texts}.items():
            partial = path / f".{name}.partial-{os.getpid()}"
            try:
                partial.write_bytes(content)
                partial.replace(path / name)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise explain_os_error(error, path) from error
    return Bundle(path, checked)


def model_folders() -> list[Path]:
    """Folders of bundles: those of the variable SAMESCENE_MODELS, the user's own
    (:func:`engine.models.library.user_models_folder`), then ``resources/models`` beside the engine, then
    ``share/samescene/models`` of the Python environment, where an installed package has them."""
    given = [Path(p) for p in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if p]
    return [*given, user_models_folder(), *shipped_folders()]


def shipped_folders() -> list[Path]:
    """Where the models that come with the engine are: those of :func:`model_folders` that no user fills."""
    return resource_folders("models")


def list_models(folders: Sequence[Path] | None = None) -> list[KnownModel]:
    """Bundles that can be named, sorted by name; the first folder that has a name wins."""
    found: dict[str, KnownModel] = {}
    for folder in model_folders() if folders is None else folders:
        if not folder.is_dir():
            continue
        for path in folder.iterdir():
            if not path.name.startswith(".") and (path / CARD).is_file():
                found.setdefault(path.name, KnownModel(path.name, path))
    return sorted(found.values(), key=lambda model: model.name)


def find_model(name_or_path: str, *, task: str | None = None, folders: Sequence[Path] | None = None) -> Bundle:
    """The bundle of that name, or in that folder. Raises ModelError: unknown (known names are listed), damaged, or
    made for another ``task``."""
    known = {model.name: model.folder for model in list_models(folders)}
    folder = known.get(name_or_path)
    if folder is None:
        path = Path(name_or_path).expanduser()
        if not (path.exists() or len(path.parts) > 1):
            listed = ", ".join(known) or "none is installed"
            raise ModelError(
                f"There is no model {name_or_path!r}; known models: {listed}.",
                remedy="Give one of these names or a bundle's folder; 'threshold' needs no model.",
            )
        folder = path
    bundle = load_bundle(folder)
    if task is not None and bundle.card.task != task:
        raise ModelError(
            f"{folder}: the model {bundle.name} is made for {bundle.card.task}, expected one for {task}.",
            remedy=f"Choose a model for {task}.",
        )
    return bundle


def _pickled(path: Path) -> ModelError:
    return ModelError(
        f"{path}: pickled weights are refused, since loading them can run any code.",
        remedy=f"Get the model as {WEIGHTS}, or import it with 'engine models import'.",
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while part := file.read(1 << 20):
                digest.update(part)
            return digest.hexdigest()
    except OSError as error:
        raise ModelError(
            f"{path}: the weights cannot be read ({error.strerror or error}).",
            remedy="Copy or download the bundle again.",
        ) from error
