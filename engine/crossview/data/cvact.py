"""CVACT as published (Liu and Li 2019): panoramas and Google tiles of Canberra.

``ACT_data.mat`` has ``panoIds`` and, counted from 1 in them, ``trainSet.trainInd``, ``valSet.valInd`` and
``valSetAll.valInd``, and ``utm`` (easting, northing) of each. Files: ``ANU_data_small/streetview/ID_grdView.jpg`` and
``ANU_data_small/satview_polish/ID_satView_polish.jpg``; the test set of 92,802 in ``ANU_data_test/`` alike. Panoramas
are 360° × 180°, the centre north; tiles are 1200 pixels, north up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.data.items import CrossViewSet, GroundImage, Match, OverheadImage
from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.panorama.view import PanoramaView

LIST = "ACT_data.mat"
SPLITS = {
    "train": ("trainSet", "trainInd", "ANU_data_small"),
    "val": ("valSet", "valInd", "ANU_data_small"),
    "test": ("valSetAll", "valInd", "ANU_data_test"),
}
VIEW = PanoramaView(heading_deg=0.0, hfov_deg=360.0, vfov_deg=180.0)
GSD_M = 0.06
"""Metres a pixel at 1200 × 1200 (72 m)."""
_SUFFIXES = (".jpg", ".png")


def find(path: Path, split: str | None, *, place: str) -> CrossViewSet:
    """The pairs of a split (train, the default, val or test). Raises MissingFileError, DamagedFileError,
    ParameterError."""
    wanted = split or "train"
    if wanted not in SPLITS:
        raise ParameterError(f"{path}: CVACT has no split {wanted!r}.", remedy=f"Splits: {', '.join(SPLITS)}.")
    part, field, folder = SPLITS[wanted]
    file = path / LIST
    ids, numbers, utm = _read(file, part, field)
    home = path / folder if (path / folder).is_dir() else path
    tiles, streets = home / "satview_polish", home / "streetview"
    positions = {} if utm is None else _lonlats(numbers, utm)
    grounds: list[GroundImage] = []
    overheads: list[OverheadImage] = []
    matches: list[Match] = []
    left_out: list[tuple[str, str]] = []
    for number in numbers.tolist():
        name = ids[number]
        panorama = _file(streets, f"{name}_grdView")
        tile = _file(tiles, f"{name}_satView_polish")
        absent = next((p for p in (panorama, tile) if not p.is_file()), None)
        if absent is not None:
            left_out.append((name, f"{absent}: there is no such file."))
            continue
        matches.append(Match(len(overheads)))
        lonlat = positions.get(number)
        grounds.append(GroundImage(name, panorama, VIEW, True, lonlat))
        overheads.append(OverheadImage(name, tile, GSD_M, lonlat))
    return CrossViewSet(place, "cvact", tuple(grounds), tuple(overheads), tuple(matches), tuple(left_out))


def _file(folder: Path, stem: str) -> Path:
    return next((p for p in (folder / f"{stem}{s}" for s in _SUFFIXES) if p.is_file()), folder / f"{stem}.jpg")


def _read(file: Path, part: str, field: str) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64] | None]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not file.is_file():
        raise MissingFileError(f"{file}: there is no such list.", remedy=f"Give the folder that holds {LIST}.")
    try:
        found: dict[str, Any] = loadmat(str(file))
        ids = [str(text).strip() for text in np.asarray(found["panoIds"]).reshape(-1)]
        numbers = np.asarray(found[part][field][0, 0], np.int64).reshape(-1) - 1
        utm = np.asarray(found["utm"], np.float64).reshape(-1, 2) if "utm" in found else None
    except (MatReadError, OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError) as error:
        # scipy raises the last for files of MATLAB 7.3, which are HDF5.
        why = " ".join(str(error).split()) or type(error).__name__
        raise DamagedFileError(
            f"{file}: {part}.{field} and panoIds cannot be read ({why}).", remedy="Copy it again."
        ) from error
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(ids):
        raise DamagedFileError(f"{file}: {part}.{field} counts to {numbers.max() + 1}; there are {len(ids)} panoramas.")
    if utm is not None and len(utm) != len(ids):
        raise DamagedFileError(f"{file}: has {len(utm)} positions for {len(ids)} panoramas.")
    return ids, numbers, utm


def _lonlats(numbers: NDArray[np.int64], utm: NDArray[np.float64]) -> dict[int, tuple[float, float]]:
    from pyproj import Transformer

    east, north = utm[numbers].T
    lon, lat = Transformer.from_crs(32755, 4326, always_xy=True).transform(east, north)  # Canberra: zone 55 south
    return {
        int(n): (float(x), float(y)) for n, x, y in zip(numbers, lon, lat, strict=True) if np.isfinite([x, y]).all()
    }
