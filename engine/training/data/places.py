"""Finding items: ``PATH`` or ``KIND:PATH[@SPLIT]`` to a list of items and what was left out while looking."""

from __future__ import annotations

from engine.errors import MissingFileError, ParameterError
from engine.mapping.scene.places import parse_place
from engine.training.data.items import ItemSet, Labels
from engine.training.data.kinds import bigearthnet, folder, sen1floods11, sen12ms, simulated, ssl4eo

KINDS = ("folder", "ssl4eo-s12", "sen12ms", "bigearthnet-mm", "sen1floods11", "dfc2020", "simulated")


def find_items(place: str, *, max_days: float = 30.0, labels: Labels = "flood") -> ItemSet:
    """The items of ``place`` in the order of their names; nothing but folders and lists is read.

    ``max_days``: how far apart the dates of a time series may be to make a pair (``ssl4eo-s12``).
    ``labels``: which labels are taken where an item has those of water and those of land cover. Raises
    MissingFileError, ParameterError (unknown kind or split, a name twice, nothing found), DamagedFileError (a list).
    """
    kind, path, split = parse_place(place, KINDS)
    if not path.exists():
        raise MissingFileError(f"{path}: the training data does not exist.", remedy="Check the path.")
    if path.is_file() and not (kind == "folder" and path.suffix.lower() == ".csv"):
        raise ParameterError(
            f"{path}: is a file; expected a folder or a pairs.csv.", remedy="Give the folder of the data set."
        )
    if kind == "ssl4eo-s12":
        items, left_out = ssl4eo.find(path, split, max_days=max_days)
    elif kind in ("folder", "simulated"):
        items, left_out = {"folder": folder.find, "simulated": simulated.find}[kind](path, split, labels=labels)
    else:
        find = {
            "sen12ms": sen12ms.find_sen12ms,
            "bigearthnet-mm": bigearthnet.find,
            "sen1floods11": sen1floods11.find,
            "dfc2020": sen12ms.find_dfc2020,
        }[kind]
        items, left_out = find(path, split)
    if not items and not left_out:
        raise ParameterError(
            f"{path}: no item of training data was found; expected NAME_S1.tif with NAME_S2.tif or NAME_label.tif, or "
            "NAME.tif with NAME_worldcover.tif.",
            remedy=f"Name the files so, or name the layout, KIND:PATH with KIND {', '.join(KINDS[1:])}.",
        )
    return ItemSet(place, kind, tuple(sorted(items, key=lambda item: item.name)), tuple(left_out))
