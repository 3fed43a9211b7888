"""What is known of a photo (as the engine's job ``photo-facts`` tells it), and the photos of this session."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal

PANORAMA, STRIP, FLAT = "panorama", "strip", "photo"
KINDS = (PANORAMA, STRIP, FLAT)


@dataclass(frozen=True)
class Photo:
    """A photo by its file.

    ``width``, ``height``: pixels as it is looked at (turned as EXIF says). ``kind``: ``panorama`` (360° round),
    ``strip`` (equirectangular, a part of the sphere) or ``photo`` (flat, of one lens). All angles in degrees:
    ``hfov_deg``, ``vfov_deg`` from edge to edge, ``pitch_center_deg`` of the middle row in the camera's own frame,
    ``pitch_deg`` and ``roll_deg`` of the camera as GPano has them. ``heading_deg``: compass direction of the image's
    middle column, clockwise from true north, None where the file does not tell. ``lon``, ``lat`` EPSG:4326,
    ``altitude_m`` above sea level. ``taken_at`` ISO 8601, with an offset where the file knows UTC. ``thumbnail``: a
    small upright JPEG. ``notes``: what was missing, odd or damaged, one line each. ``fault``: one line why the photo
    cannot be used; then width, height and angles are 0. ``rotation``: 0, 90, 180 or 270 by EXIF's orientation.
    """

    path: str
    width: int
    height: int
    kind: str
    hfov_deg: float
    vfov_deg: float
    pitch_center_deg: float
    heading_deg: float | None
    pitch_deg: float
    roll_deg: float
    lon: float | None
    lat: float | None
    altitude_m: float | None
    taken_at: str | None
    camera: str
    thumbnail: str | None
    notes: tuple[str, ...]
    fault: str
    rotation: int = 0

    def without_position(self) -> Photo:
        """The same photo as if its file told no position; what it shows and where it looks stay."""
        return replace(self, lon=None, lat=None, altitude_m=None)

    @property
    def has_position(self) -> bool:
        """Whether its file tells where it was taken."""
        return self.lon is not None and self.lat is not None

    @property
    def name(self) -> str:
        """Its file name."""
        return Path(self.path).name


_EMPTY: dict[str, Any] = {
    "width": 0, "height": 0, "kind": FLAT, "hfov_deg": 0.0, "vfov_deg": 0.0, "pitch_center_deg": 0.0,
    "heading_deg": None, "pitch_deg": 0.0, "roll_deg": 0.0, "lon": None, "lat": None, "altitude_m": None,
    "taken_at": None, "camera": "", "thumbnail": None, "notes": (), "fault": "", "rotation": 0,
}  # fmt: skip


def photo_of(facts: Mapping[str, Any]) -> Photo:
    """The photo that one entry of the job's ``photos`` describes: its keys are the fields' names, and what is absent
    is not known. Raises KeyError where there is no ``path`` and ValueError for an unknown kind."""
    names = {field.name for field in fields(Photo)}
    known = {name: value for name, value in facts.items() if name in names}
    values = {**_EMPTY, **known, "path": str(facts["path"]), "notes": tuple(facts.get("notes") or ())}
    if values["kind"] not in KINDS:
        raise ValueError(f"{values['path']}: the kind of the photo is {values['kind']!r}; expected one of {KINDS}.")
    return Photo(**values)


class PhotoSet(QObject):
    """The photos of this session in the order they came. :attr:`changed` follows every change, also of what is hidden.

    While :attr:`hide_positions` is on, :meth:`photos` and :meth:`find` give the photos as if their files told no
    position: nothing that works with the set can use one by mistake.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._photos: dict[str, Photo] = {}
        self._hidden = False

    @property
    def hide_positions(self) -> bool:
        """Whether positions from the files are kept from all who work with the set."""
        return self._hidden

    @hide_positions.setter
    def hide_positions(self, on: bool) -> None:
        if bool(on) != self._hidden:
            self._hidden = bool(on)
            self.changed.emit()

    def photos(self) -> list[Photo]:
        """All photos, those with a fault too."""
        return [self._shown(photo) for photo in self._photos.values()]

    def usable(self) -> list[Photo]:
        """The photos without a fault."""
        return [photo for photo in self.photos() if not photo.fault]

    def find(self, path: str) -> Photo | None:
        """The photo of that file; None where it is not in the set."""
        photo = self._photos.get(_key(path))
        return None if photo is None else self._shown(photo)

    def add(self, photos: Iterable[Photo]) -> None:
        """Add photos; one whose file is in the set already takes the place of what was known of it."""
        added = {_key(photo.path): photo for photo in photos}
        if added:
            self._photos.update(added)
            self.changed.emit()

    def remove(self, paths: Iterable[str]) -> None:
        """Take the photos of these files out of the set; the files stay."""
        gone = [key for key in map(_key, paths) if self._photos.pop(key, None) is not None]
        if gone:
            self.changed.emit()

    def _shown(self, photo: Photo) -> Photo:
        return photo.without_position() if self._hidden else photo


def _key(path: str) -> str:
    return os.path.normcase(Path(path).absolute())
