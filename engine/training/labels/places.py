"""Where scenes and their labels are: named one by one, or a folder of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import MissingFileError, ParameterError
from engine.training.labels.data import Place

SUFFIXES = (".gpkg", ".geojson", ".json", ".shp", ".fgb")
_LABELS = "_labels"


def places_of(scene: Sequence[str], labels_from: str | None, data: Sequence[str]) -> tuple[Place, ...]:
    """The scenes with labels that a request names: ``scene`` with ``labels_from``, and every ``folder:PATH`` of
    ``data`` with files NAME.tif and NAME_labels.gpkg (or another vector file) in it.

    Raises ParameterError where only one of the two is given, MissingFileError for a folder that is not there.
    """
    found = []
    if bool(scene) != bool(labels_from):
        missing, given = ("--labels-from", "--scene") if scene else ("--scene", "--labels-from")
        raise ParameterError(
            f"finetune: {given} is given without {missing}.", remedy="Give the rasters and the layer that lies on them."
        )
    if labels_from:
        found.append(Place(tuple(scene), labels_from))
    for place in data:
        pairs = pairs_in(place)
        if not pairs:
            raise ParameterError(
                f"{place}: holds no NAME.tif with a layer NAME_labels{SUFFIXES[0]} beside it.",
                remedy="Name the files so, or give --scene and --labels-from.",
            )
        found += pairs
    return tuple(found)


def pairs_in(place: str) -> list[Place]:
    """Pairs of NAME.tif and NAME_labels.* in ``folder:PATH`` (or PATH) and its sub-folders, sorted; none for other
    kinds of data. Raises MissingFileError."""
    folder = _folder(place)
    if folder is None:
        return []
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: the folder of scenes and labels does not exist.", remedy="Check the path.")
    layers = sorted(
        path for path in folder.rglob(f"*{_LABELS}.*") if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    found = []
    for layer in layers:
        name = layer.stem.removesuffix(_LABELS)
        raster = next(
            (layer.with_name(name + end) for end in (".tif", ".tiff", ".vrt") if layer.with_name(name + end).is_file()),
            None,
        )
        if raster is None:
            raise MissingFileError(
                f"{layer}: there is no raster {name}.tif beside the labels.", remedy="Give both files the same name."
            )
        found.append(Place((str(raster),), str(layer)))
    return found


def _folder(place: str) -> Path | None:
    kind, _, rest = place.partition(":")
    if kind == "folder":
        return Path(rest.partition("@")[0]).expanduser()
    path = Path(place).expanduser()
    return path if path.is_dir() else None
