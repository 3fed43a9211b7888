"""Sentinel-2 products as they are delivered: a ``.SAFE`` folder, or its single-band files under their own names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import DamagedFileError, InputError

_FILE = re.compile(r"_(B\d{2}|B8A|SCL)(?:_(\d{2})m)?$")
_METADATA = re.compile(r"MTD_MSIL\w+\.xml", re.IGNORECASE)
_LARGEST_METADATA = 1 << 24


@dataclass(frozen=True)
class Product:
    """Files of a product: one a band, the finest; its scene classification; ``tags`` of the whole product."""

    bands: dict[str, Path]
    scl: Path | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def band_in_name(path: str) -> str | None:
    """``B02`` … ``B12`` or ``SCL`` as names of single-band files end (``T32TNR_20220612T101559_B02_10m.jp2``)."""
    match = _FILE.search(Path(path.split("?")[0].replace("\\", "/")).stem)
    return match[1] if match else None


def is_product(path: str) -> bool:
    """Is this a folder (of a product), or a product's metadata file?"""
    file = Path(path).expanduser()
    return file.is_dir() or (_METADATA.fullmatch(file.name) is not None and file.is_file())


def find_product(path: str) -> Product:
    """The files of a Sentinel-2 product, Level-1C or Level-2A, from its ``.SAFE`` folder, a folder in it or its
    metadata file.

    Band files lie in ``GRANULE/…/IMG_DATA`` (of Level-2A in ``R10m``, ``R20m``, ``R60m``: the finest is taken). Offset,
    baseline and time are read from ``MTD_MSIL….xml``, the baseline from the folder's name where there is no such file.
    Raises InputError where no band file is found or there are several granules, DamagedFileError for metadata that
    cannot be read.
    """
    folder = Path(path).expanduser()
    folder = folder if folder.is_dir() else folder.parent
    found: dict[str, tuple[int, Path]] = {}
    granules: set[Path] = set()
    for file in sorted(folder.rglob("*")):
        match = _FILE.search(file.stem)
        if match is None or file.suffix.lower() not in (".jp2", ".tif", ".tiff") or "QI_DATA" in file.parts:
            continue
        granules.add(next((p.parent for p in file.parents if p.name == "IMG_DATA"), folder))
        gsd = int(match[2] or 0)
        if match[1] not in found or gsd < found[match[1]][0]:
            found[match[1]] = (gsd, file)
    bands = {name: file for name, (_, file) in sorted(found.items()) if name != "SCL"}
    if not bands:
        raise InputError(
            f"{folder}: no band file of a Sentinel-2 product was found; expected GRANULE/…/IMG_DATA/…_B02….jp2.",
            remedy="Give the .SAFE folder, or the image files.",
        )
    if len(granules) > 1:
        raise InputError(
            f"{folder}: holds {len(granules)} granules; expected one.", remedy=f"Give one, for example {min(granules)}."
        )
    scl = found.get("SCL")
    return Product(bands, scl[1] if scl else None, _tags(folder))


def _tags(folder: Path) -> dict[str, str]:
    home = next((p for p in (folder, *folder.parents) if p.name.upper().endswith(".SAFE")), folder)
    tags = {}
    named = re.search(r"_N(\d{4})_", home.name)
    if named:
        tags["PROCESSING_BASELINE"] = named[1]
    metadata = next((p for p in sorted(home.glob("*.xml")) if _METADATA.fullmatch(p.name)), None)
    if metadata is None:
        return tags
    try:
        if metadata.stat().st_size > _LARGEST_METADATA:
            raise DamagedFileError(f"{metadata}: larger than a product's metadata can be.", remedy="Copy it again.")
        text = metadata.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{metadata}: cannot be read ({error}).", remedy="Copy the product again.") from error
    for tag in ("PROCESSING_BASELINE", "PRODUCT_START_TIME", "BOA_ADD_OFFSET", "RADIO_ADD_OFFSET"):
        values = set(re.findall(rf"<{tag}\b[^>]*>\s*([^<]+?)\s*</{tag}>", text))
        if len(values) == 1:  # offsets stand there band by band
            tags[tag] = values.pop()
    return tags
