"""Sentinel-2 values: digital numbers to reflectance, the offset of newer products, clouds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

SCALE = 1e-4
OFFSET = 1000
_SINCE = datetime(2022, 1, 25, tzinfo=timezone.utc)
"""From this day on ESA made products with processing baseline 04.00, which added 1000 to every digital number."""

_BASELINE_TAGS = ("PROCESSING_BASELINE", "processing_baseline", "s2:processing_baseline")
_OFFSET_TAGS = ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET", "boa_add_offset", "radio_add_offset")


@dataclass(frozen=True)
class ScaleFinding:
    """How values become reflectance: ``(value − offset) × scale``; ``reason`` is a sentence for reports."""

    scale: float
    offset: int
    reason: str


def find_scale(
    values: Mapping[str, FloatArray],
    *,
    tags: Mapping[str, str],
    integer: bool,
    acquired: datetime | None,
    declared: int | None,
) -> ScaleFinding:
    """Scale and offset of a Sentinel-2 image from ``values`` by band name (any shape, NaN where invalid).

    Values of a float file that hardly exceed 2 are reflectance as they are. Digital numbers carry the +1000 of
    processing baseline 04.00 when a tag says so; when some band's darkest hundredth lies below 800 they do not (shadow
    and water are darker than 0.08 in some band of nearly every image); when the cirrus band B10, dark everywhere, lies
    about 1000 they do. Where all bands are bright (cloud, snow) and nothing tells, the date of acquisition decides:
    from 25 January 2022 with offset. ``declared`` is what the layout of a published data set says.
    """
    if integer and declared is not None:
        return ScaleFinding(SCALE, declared, "as the data set is published")
    low = {}
    high = 0.0
    for name, band in values.items():
        finite = band[np.isfinite(band)]
        if finite.size:
            low[name], top = (float(value) for value in np.percentile(finite, (1, 99)))
            high = max(high, top)
    if not integer and low and high < 3.0:
        return ScaleFinding(1.0, 0, "float values up to 3: reflectance as it is")
    if declared is not None:
        return ScaleFinding(SCALE, declared, "as the data set is published")
    for tag in _OFFSET_TAGS:
        if tag in tags and tags[tag].strip().lstrip("+-").isdigit():
            return ScaleFinding(SCALE, abs(int(tags[tag])), f"tag {tag}={tags[tag]}")
    for tag in _BASELINE_TAGS:
        text = tags.get(tag, "").strip().lstrip("N")
        number = text if "." in text else f"{text[:2]}.{text[2:]}"
        if number.replace(".", "", 1).isdigit():
            offset = OFFSET if float(number) >= 4.0 else 0
            return ScaleFinding(SCALE, offset, f"tag {tag}={tags[tag]}")
    if not low:
        return ScaleFinding(SCALE, 0, "no valid value")
    darkest = min(low.values())
    if darkest < 800:
        return ScaleFinding(SCALE, 0, f"dark values of {darkest:.0f}: no offset")
    if 900 <= low.get("B10", 0.0) <= 1300:
        return ScaleFinding(SCALE, OFFSET, f"cirrus band B10 at {low['B10']:.0f}: offset of 1000")
    late = acquired is not None and acquired.replace(tzinfo=acquired.tzinfo or timezone.utc) >= _SINCE
    when = acquired.date().isoformat() if acquired else "unknown date"
    return ScaleFinding(
        SCALE, OFFSET if late else 0, f"bright everywhere ({darkest:.0f} and more); by its date ({when})"
    )


def to_reflectance(values: FloatArray, finding: ScaleFinding, *, out: FloatArray | None = None) -> FloatArray:
    """float32 reflectance of the same shape, in ``out`` (``values`` itself where they are not needed any more) or a new
    array; a few values of shadow may be slightly negative. NaN stays NaN."""
    out = np.subtract(values, np.float32(finding.offset), out=out, dtype=np.float32)
    out *= np.float32(finding.scale)
    return out


def cloud_share(reflectance: FloatArray, bands: Sequence[str]) -> float | None:
    """Share of valid pixels that look like thick cloud: bright in blue (> 0.25) and in short-wave infrared (> 0.15).

    Snow is dark at 1.6 µm, bare soil in blue, so both are told apart in most cases. None where B02 or B11 is absent or
    no pixel is valid. A rule of thumb to leave out white images, not a cloud mask.
    """
    if "B02" not in bands or "B11" not in bands:
        return None
    blue, infrared = reflectance[bands.index("B02")], reflectance[bands.index("B11")]
    valid = np.isfinite(blue) & np.isfinite(infrared)
    if not valid.any():
        return None
    return float(np.mean((blue[valid] > 0.25) & (infrared[valid] > 0.15)))
