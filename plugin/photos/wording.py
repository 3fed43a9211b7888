"""What a photo is, in plain words."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from .facts import PANORAMA, STRIP, Photo
from .sight import spoken_azimuth


def tr(text: str) -> str:
    """The text in the user's language."""
    return QCoreApplication.translate("SameScene", text)


def shows(photo: Photo) -> str:
    """``"360° panorama"``, ``"Part of a panorama, 120° × 60°"``, ``"Flat photo, about 65° wide"``."""
    if photo.kind == PANORAMA:
        if photo.vfov_deg > 179.5:
            return tr("360° panorama")
        return tr("360° round, {}° high").format(round(photo.vfov_deg))
    if photo.kind == STRIP:
        return tr("Part of a panorama, {}° × {}°").format(round(photo.hfov_deg), round(photo.vfov_deg))
    return tr("Flat photo, about {}° wide").format(round(photo.hfov_deg))


def looks(photo: Photo) -> str:
    """Where its middle looks: ``"128° SE"``; empty where the file does not tell."""
    return "" if photo.heading_deg is None else spoken_azimuth(photo.heading_deg)


def taken(photo: Photo) -> str:
    """``"2020-12-04 09:48"``, with UTC where the file knows it; empty where it does not tell."""
    if not photo.taken_at:
        return ""
    text = photo.taken_at[:16].replace("T", " ")
    return tr("{} UTC").format(text) if photo.taken_at.endswith("+00:00") else text


def fault(photo: Photo) -> str:
    """Why it cannot be used, without its path, which stands beside."""
    return photo.fault.replace(f"{photo.path}: ", "", 1)


def told(photo: Photo, *, hidden: bool = False) -> list[str]:
    """All that is known, one sentence a line. ``hidden``: positions are hidden, and that is said instead."""
    if photo.fault:
        return [tr("It cannot be used: {}").format(fault(photo))]
    size = tr("{} × {} pixels").format(photo.width, photo.height)
    made = ", ".join(filter(None, (photo.camera, taken(photo))))
    lines = [f"{shows(photo)}, {size}."] + ([f"{made}."] if made else [])
    if photo.kind == STRIP:
        lines.append(tr("It is not 360° round: the search uses the part that it shows."))
    elif photo.kind != PANORAMA:
        lines.append(tr("It is no panorama: the search uses its field of view, and is less sure."))
    lines.append(
        tr("Its middle looks to {}.").format(looks(photo))
        if photo.heading_deg is not None
        else tr("Its file tells no heading: the search tries all.")
    )
    lines.append(_position(photo, hidden))
    return [*lines, *photo.notes]


def _position(photo: Photo, hidden: bool) -> str:
    if hidden:
        return tr("A position in its file, if any, is hidden.")
    if not photo.has_position:
        return tr("Its file tells no position.")
    height = "" if photo.altitude_m is None else tr(", {} m high").format(round(photo.altitude_m))
    return tr("Position in its file: {:.5f}, {:.5f}{}.").format(photo.lat, photo.lon, height)
