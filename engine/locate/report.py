"""The report of a search: each photo beside the imagery at its candidates, turned to the estimated heading."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from engine.crossview.index.card import ImageryFacts
from engine.crossview.patchwork import Patchwork
from engine.crossview.photos import QueryPhoto
from engine.crossview.search.calibration import RADII_M
from engine.crossview.search.heatmap import relative_likelihood
from engine.crossview.search.searcher import Found
from engine.locate.pictures import crop_picture, heat_picture, jpeg, photo_picture
from engine.locate.session import Session
from engine.mapping.report.sheet import page_facts, write_sheet
from engine.mapping.report.wording import percent_text

MOST_PICTURES = 100
"""Photos with pictures in a report; a page of more is slow to open."""
_SHOWN, _CROP_M, _CROP_PX, _ROWS = 4, 80.0, 240, 10


def write_search_report(
    path: Path,
    *,
    result: dict[str, Any],
    session: Session,
    sections: list[dict[str, Any]],
    photos: list[QueryPhoto],
    found: list[Found],
) -> None:
    """Write ``report.html``: ``sections`` (:func:`photo_section`) of the first photos, a line for each of the others.
    Raises OutputError."""
    matches = sum(one.match for one in found)
    title = photos[0].name if len(photos) == 1 else f"{len(photos)} photos"
    write_sheet(
        path,
        Path(__file__).with_name("search.html"),
        {
            "page": page_facts(result, kind="Where was it taken", title=title),
            "lead": _lead(matches, len(photos)),
            "words": f"{session.index.cells} cells of {session.index.card.cell_m:g} m, method {session.method.name}, "
            f"{session.choice.kind} search.",
            "photos": sections,
            "others": list(map(_brief, photos[len(sections) :], found[len(sections) :])),
            "calibration": session.calibration.source,
            "match_at": percent_text(100 * session.calibration.match_at),
            "imagery": "; ".join(dict.fromkeys(map(_imagery, session.index.card.imagery))),
        },
    )


def _imagery(facts: ImageryFacts) -> str:
    return ", ".join(
        [
            facts.attribution or "attribution not given",
            f"taken {facts.imagery_date}" if facts.imagery_date else "date unknown",
            f"{facts.gsd_m:.2g} m a pixel",
        ]
    )


def _lead(matches: int, count: int) -> str:
    if count == 1:
        return "A place in this region fits." if matches else "Not in this region, as far as can be told."
    return f"{matches} of {count} photos have a place in this region that is believed."


def section_cropper(session: Session) -> Patchwork | None:
    """Cuts the crops of sections; None where no imagery can be read."""
    return session.cropper(_CROP_PX)


def photo_section(photo: QueryPhoto, one: Found, session: Session, cropper: Patchwork | None) -> dict[str, Any]:
    """What the page shows of one photo, pictures and all; ``one.z`` makes its heat picture. Raises what reading the
    imagery raises."""
    best = one.probability[RADII_M[-1]][0]
    z, searcher = one.z, session.searcher
    values = (
        relative_likelihood(z, session.calibration.choices[50.0].sharpness).astype(float) / 100
        if z is not None
        else np.zeros(session.index.cells)
    )
    places = list(zip(one.lon.tolist(), one.lat.tolist(), strict=True))
    view, known = photo.image.view, "given" if photo.image.heading_known else "unknown"
    kind = f"a photo {view.hfov_deg:.0f}° wide" if photo.narrow else "a panorama"
    return {
        "name": photo.name,
        "match": one.match,
        "verdict": (
            f"Best place: longitude {one.lon[0]:.5f}, latitude {one.lat[0]:.5f}; "
            f"{percent_text(100 * float(best))} within 100 m of it."
            if one.match
            else f"Not in this region: the best candidate has {percent_text(100 * float(best))} within 100 m only."
        ),
        "facts": " ".join([f"{kind}; heading {known}.", *photo.problems]),
        "picture": _uri(jpeg(photo_picture(photo.image.pixels))),
        "caption": "The photo as it was searched. The mark above is its centre, which the heading is about.",
        "heat": _uri(
            jpeg(
                heat_picture(searcher.lon, searcher.lat, values, places[:9], session.index.card.cell_m),
                92,
            )
        ),
        "crops": [] if cropper is None else _crops(one, cropper),
        "crop_m": f"{_CROP_M:.0f} m",
        "rows": [_row(one, k) for k in range(min(_ROWS, len(one.lon)))],
    }


def _brief(photo: QueryPhoto, one: Found) -> dict[str, Any]:
    row = _row(one, 0)
    return row | {"name": photo.name, "match": one.match}


def _crops(one: Found, cropper: Patchwork) -> list[dict[str, Any]]:
    count = min(_SHOWN, len(one.lon))
    heading = np.nan_to_num(one.places.heading[:count])
    crops = cropper.cut(one.lon[:count], one.lat[:count], _CROP_M / _CROP_PX, turn_deg=heading)
    return [
        {
            "rank": k + 1,
            "picture": _uri(jpeg(crop_picture(crops.pixels[k], float(heading[k])))),
            "text": f"heading {_heading(one, k)}, {percent_text(100 * float(one.probability[50.0][k]))} within 50 m",
        }
        for k in range(count)
    ]


def _row(one: Found, k: int) -> dict[str, Any]:
    return {
        "rank": k + 1,
        "place": f"{one.lon[k]:.6f}, {one.lat[k]:.6f}",
        "heading": _heading(one, k),
        "score": f"{one.places.score[k]:.2f}",
        "gap": f"{one.places.gap[k]:+.2f}",
        "probabilities": [percent_text(100 * float(one.probability[radius][k])) for radius in RADII_M],
    }


def _heading(one: Found, k: int) -> str:
    value = float(one.places.heading[k])
    return "unknown" if np.isnan(value) else f"{value % 360:.0f}°"


def _uri(picture: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode("ascii")
