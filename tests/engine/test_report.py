"""The flood report: self-contained, escaped, and every figure the one of result.json."""

from __future__ import annotations

import base64
import copy
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rasterio.crs import CRS

from engine.errors import OutputError
from engine.mapping.flood.classes import CLASS_COLORS
from engine.mapping.report import wording
from engine.mapping.report.flood import flood_report_html, write_flood_report
from engine.mapping.report.maps import draw_map
from engine.mapping.report.pictures import UNSEEN, backscatter_rgb, class_rgb, probability_colors, probability_rgb
from engine.raster.grid import Grid

VOID = {"meta", "img", "br", "link", "input", "hr"}
UTM = Grid(60, 80, Affine(100, 0, 500_000, 0, -100, 4_600_000), CRS.from_epsg(32633))

_rng = np.random.default_rng(0)
_DB = np.stack([_rng.normal(-11, 3, (60, 80)), _rng.normal(-17, 3, (60, 80))]).astype(np.float32)
_CODES = _rng.choice(np.array([0, 1, 2, 254, 255], np.uint8), (60, 80))
PICTURES = {
    "backscatter": backscatter_rgb(*_DB),
    "classes": class_rgb(_CODES, backscatter_rgb(*_DB)),
    "probability": probability_rgb(_CODES),
}
ZONES = [
    {"zone_id": "Zin", "flooded_best_m2": 2e6, "flooded_low_m2": 1e6, "flooded_high_m2": 3e6, "observed_percent": 98.0},
    {"zone_id": 7, "flooded_best_m2": 0.0, "flooded_low_m2": 0.0, "flooded_high_m2": 4e4, "observed_percent": 61.0},
    {"zone_id": "Oker", "flooded_best_m2": 0.0, "flooded_low_m2": 0.0, "flooded_high_m2": 0.0, "observed_percent": 0.0},
]  # fmt: skip
RESULT: dict[str, Any] = {
    "job": "flood",
    "outputs": {},
    "inputs": {
        "post": {
            "path": "/data/S1_post.tif",
            "sha256": "0123456789abcdef" * 4,
            "unit": "db",
            "unit_reason": "tag UNITS is dB",
            "crs": "EPSG:32633",
            "shape": [6000, 8000],
        },
        "before": {"path": "/data/S1_before.tif", "sha256": "fedcba9876543210" * 4},
        "dem": {"path": "https://example.org/dem.tif", "sha256": None},
    },
    "parameters": {"post": "/data/S1_post.tif", "method": "auto", "probability": 50, "min_area": 2000.0, "units": None},
    "model": None,
    "engine_version": "0.1.0",
    "command": "engine flood /data/S1_post.tif --before /data/S1_before.tif -o out",
    "seconds": 73.2,
    "device": "cpu",
    "warnings": ["The dates differ by a season."],
    "figures": {
        "observed_at": "2021-06-17T05:27:41Z",
        "before_observed_at": "2021-06-05",
        "days_between": 12,
        "method": "threshold",
        "area_m2": {
            **{"dry": 39_456_789.0, "reference_water": 812_345.6, "flood": 3_123_456.7, "water": 0.0},
            **{"excluded": 456_789.1, "not_observed": 4_150_619.6},
        },
        "pixels": {},
        "observed_percent": 90.406,
        "flooded_low_m2": 2_900_000.5,
        "flooded_best_m2": 3_123_456.7,
        "flooded_high_m2": 12_345_678_901.0,
        "excluded_m2_by_reason": {"steep slope": 400_000.0, "radar shadow": 56_789.1},
        "detector": {
            "thresholds": {
                "VV": {"value_db": -15.26, "source": "tiles", "tiles_used": 31, "tiles_seen": 120, "reason": "agree"},
                "VH": {"value_db": -22.1, "source": "prior", "tiles_used": 2, "tiles_seen": 120, "reason": "too few"},
            },
            "histograms": {
                pol: {"edges_db": list(range(-40, 1)), "counts": [k % 7 + 1 for k in range(40)]} for pol in ("VV", "VH")
            },
        },
        "zones": [],
    },
}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.figures: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        if "data-figure" in found:
            self.figures.append({"key": str(found["data-figure"]), "value": str(found["data-value"]), "text": ""})

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
            if self.open[-1] == "span" and self.tags[-1][1].get("data-figure"):
                self.figures[-1]["text"] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).replace("\u00a0", " ").replace("\u202f", " ").split())


def _page(
    result: dict[str, Any] = RESULT,
    *,
    zones: list[dict[str, Any]] | None = None,
    grid: Grid = UTM,
    pictures: dict[str, Any] = PICTURES,
) -> tuple[_Page, str]:
    html = flood_report_html(
        result=result, pictures=pictures, preview_grid=grid, zones=ZONES if zones is None else zones
    )
    page = _Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page, html


@pytest.fixture(scope="module")
def page() -> tuple[_Page, str]:
    return _page()


def test_the_page_is_well_formed_and_loads_nothing_from_elsewhere(page: tuple[_Page, str]) -> None:
    parsed, html = page
    assert html.startswith("<!DOCTYPE html>")
    for tag, attributes in parsed.tags:
        assert tag not in ("script", "link", "iframe", "object", "form", "base")
        for name in ("src", "href", "data", "action", "srcset"):
            assert name not in attributes or str(attributes[name]).startswith("data:image/png;base64,")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    pictures = [a["src"] for tag, a in parsed.tags if tag == "img"]
    assert len(pictures) == 4
    for source in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(str(source).split(",")[1], validate=True)))
        image.load()
        assert min(image.size) > 200
    assert all(a.get("alt") for tag, a in parsed.tags if tag == "img")


def test_every_figure_is_that_of_the_result(page: tuple[_Page, str]) -> None:
    figures, known = page[0].figures, RESULT["figures"]
    expected: dict[str, list[float]] = {}
    for source in (known, known["area_m2"], known["excluded_m2_by_reason"], *ZONES):
        for key, value in source.items():
            if isinstance(value, float):
                expected.setdefault(key, []).append(value)
    assert len(figures) > 15
    for figure in figures:
        value = float(figure["value"])
        assert value in expected[figure["key"]], figure
        shown = wording.percent_text(value) if "percent" in figure["key"] else wording.area_text(value)
        assert figure["text"] == shown
    keys = {f["key"] for f in figures}
    assert {"flooded_best_m2", "flooded_low_m2", "flooded_high_m2", "reference_water", "observed_percent"} <= keys
    assert {"not_observed", "excluded", "steep slope", "radar shadow"} <= keys


def test_the_words_of_the_field_are_used(page: tuple[_Page, str]) -> None:
    text = page[0].text
    assert "Observed at 2021-06-17 05:27 UTC" in text
    assert "Compared with a scene of 2021-06-05, 12 days earlier." in text
    assert "Unknown and excluded ground is not dry ground" in text
    assert "The dates differ by a season." in text
    for words in ("dry sand", "tarmac", "frozen ground", "wet snow", "radar shadow", "between buildings", "wind"):
        assert words in text
    assert RESULT["command"] in text and "0123456789ab…" in text and "0123456789abcdef" not in text
    assert "-15.3 dB" in text and "31 of 120 tiles" in text and "unit db (tag UNITS is dB)" in text
    assert "1 min 13 s on cpu" in text and "8000 x 6000 pixels" in text and "Simulated" not in text


def test_zones_are_sorted_and_one_that_was_not_observed_is_unknown(page: tuple[_Page, str]) -> None:
    text = page[0].text
    assert text.index("Zin") < text.index("Oker")
    assert "Oker unknown: not observed 0 %" in text
    many = [{**ZONES[0], "zone_id": f"Z{k:03d}", "flooded_best_m2": float(k) * 1e6} for k in range(60)]
    shown = _page(zones=many)[0].text
    assert "The 25 most flooded of 60 zones" in shown
    assert "Z059" in shown and "Z035" in shown and "Z034" not in shown and shown.index("Z059") < shown.index("Z058")
    assert "by zone" not in _page(zones=[])[0].text


HOSTILE = "<script>alert(1)</script>\"'>{{ 7*7 }}<img src=x onerror=y>&amp;é水"


def test_hostile_names_are_shown_and_never_run() -> None:
    result = copy.deepcopy(RESULT)
    result["inputs"]["post"]["path"] = f"/data/{HOSTILE}"
    result["inputs"]["post"]["unit_reason"] = result["command"] = result["device"] = HOSTILE
    result["warnings"], result["parameters"][HOSTILE] = [HOSTILE], HOSTILE
    result["figures"]["excluded_m2_by_reason"] = {HOSTILE: 5.0}
    result["figures"]["method"] = result["figures"]["observed_at"] = HOSTILE
    result["model"] = {"name": HOSTILE, "sha256": None}
    result["figures"]["detector"] = {"thresholds": {HOSTILE: {"value_db": 1.0, "source": HOSTILE, "reason": HOSTILE}}}
    plain = _page()[0]
    parsed, _ = _page(result, zones=[{**ZONES[0], "zone_id": HOSTILE}])
    kinds = {tag for tag, _ in parsed.tags}
    assert "script" not in kinds and kinds <= {tag for tag, _ in plain.tags}
    assert all("onerror" not in attributes for _, attributes in parsed.tags)
    assert parsed.text.count("{{ 7*7 }}") >= 7  # shown as it is, not evaluated
    assert parsed.text.count("alert(1)") >= 7


def test_a_scene_without_a_valid_value_is_unknown_and_not_dry() -> None:
    result = copy.deepcopy(RESULT)
    figures = result["figures"]
    figures["area_m2"] = {**dict.fromkeys(figures["area_m2"], 0.0), "not_observed": 48e6}
    figures |= {"observed_percent": 0.0, "excluded_m2_by_reason": {}, "observed_at": None, "detector": {}}
    figures |= {"flooded_low_m2": 0.0, "flooded_best_m2": 0.0, "flooded_high_m2": 0.0}
    nothing = np.full((60, 80), np.nan, np.float32)
    codes = np.full((60, 80), 255, np.uint8)
    grey = backscatter_rgb(nothing, nothing)
    pictures = {"backscatter": grey, "classes": class_rgb(codes, grey), "probability": probability_rgb(codes)}
    assert all((picture == UNSEEN).all() for picture in pictures.values())
    text = _page(result, pictures=pictures, zones=[])[0].text
    assert "Nothing was observed" in text and "Acquisition time unknown" in text
    assert "Flooded unknown nothing was observed" in text
    assert "flood 0 km²" not in text.lower() and "dry land" not in text


def test_without_a_reference_water_is_not_called_flood() -> None:
    result = copy.deepcopy(RESULT)
    result["figures"]["area_m2"] |= {"flood": 0.0, "reference_water": 0.0, "water": 3e6}
    del result["inputs"]["before"]
    text = _page(result)[0].text
    assert "flood cannot be told from permanent water" in text and "Water, flood or permanent 3.12 km²" in text
    assert "Reference water none no reference was given" in text and "Flooded" not in text
    assert "No scene before the event was given." in text


def test_a_simulated_scene_says_so() -> None:
    result = copy.deepcopy(RESULT)
    result["inputs"]["post"]["simulated"] = True
    assert "Simulated scene: no real observation" in _page(result)[0].text


def test_little_is_enough() -> None:
    text = _page({"figures": {}, "inputs": {}}, zones=[], pictures={})[0].text
    assert "Acquisition time unknown" in text


_GRIDS = {
    "no CRS": Grid(60, 80, Affine.identity(), None),
    "geographic": Grid(60, 80, Affine(1e-3, 0, 15, 0, -1e-3, 45), CRS.from_epsg(4326)),
    "antimeridian": Grid(60, 80, Affine(1e-2, 0, 179.6, 0, -1e-2, -17), CRS.from_epsg(4326)),
    "rotated": Grid(60, 80, Affine(80, 60, 500_000, 60, -80, 4_600_000), CRS.from_epsg(32633)),
    "south up": Grid(60, 80, Affine(100, 0, 500_000, 0, 100, 4_600_000), CRS.from_epsg(32633)),
    "web mercator": Grid(60, 80, Affine(100, 0, 1e6, 0, -100, 8e6), CRS.from_epsg(3857)),
    "polar": Grid(60, 80, Affine(1000, 0, -40_000, 0, -1000, 30_000), CRS.from_epsg(3031)),
    "whole world": Grid(60, 80, Affine(4.5, 0, -180, 0, -3, 90), CRS.from_epsg(4326)),
    "local": Grid(60, 80, Affine(1, 0, 0, 0, -1, 0), CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')),
}


@pytest.mark.parametrize("name", _GRIDS)
def test_maps_are_drawn_on_any_grid(name: str) -> None:
    image = Image.open(io.BytesIO(draw_map(PICTURES["classes"], _GRIDS[name], width_px=500)))
    assert image.size[0] == 500 and 200 < image.size[1] < 900


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (900, 20), (3, 5)])
def test_maps_of_any_shape_are_drawn(shape: tuple[int, int]) -> None:
    grid = Grid(*shape, UTM.transform, UTM.crs)
    image = Image.open(io.BytesIO(draw_map(np.full((*shape, 3), 200, np.uint8), grid, width_px=400)))
    assert image.size[0] == 400 and 20 < image.size[1] < 1000


def test_class_colours_are_exact_in_the_picture() -> None:
    codes = np.full((60, 80), 2, np.uint8)
    image = np.asarray(Image.open(io.BytesIO(draw_map(class_rgb(codes, PICTURES["backscatter"]), UTM, width_px=600))))
    assert (image == CLASS_COLORS[2][:3]).all(axis=-1).mean() > 0.6


# --- arrays to pictures -------------------------------------------------------------------------------------------


def test_composites_keep_water_dark_and_nan_apart() -> None:
    vv = np.array([[-20.0, -10.0, 0.0, np.nan, -10.0]], np.float32)
    vh = np.array([[-28.0, -16.0, -7.0, np.nan, np.nan]], np.float32)
    rgb = backscatter_rgb(vv, vh).astype(int)
    assert rgb.shape == (1, 5, 3)
    brightness = rgb[0, :3].sum(axis=-1)
    assert brightness[0] < brightness[1] < brightness[2]
    assert tuple(rgb[0, 3]) == UNSEEN
    assert len(set(rgb[0, 4])) == 1  # one polarisation alone is grey
    one = backscatter_rgb(vv, np.full_like(vv, np.nan))
    assert (one[0, :3, 0] == one[0, :3, 2]).all() and tuple(one[0, 3]) == UNSEEN


def test_class_pictures_have_the_colours_of_the_classes_and_land_keeps_its_backdrop() -> None:
    backdrop = np.stack([np.full((1, 7), g, np.uint8) for g in (10, 10, 10)], axis=-1)
    backdrop[0, 6] = 240
    codes = np.array([[0, 1, 2, 3, 254, 255, 0]], np.uint8)
    rgb = class_rgb(codes, backdrop)
    for place, code in ((1, 1), (2, 2), (3, 3), (4, 254)):
        assert tuple(rgb[0, place]) == CLASS_COLORS[code][:3]
    assert tuple(rgb[0, 5]) == UNSEEN
    assert rgb[0, 0].max() < rgb[0, 6].max() and len(set(rgb[0, 0])) == 1


def test_probability_colours_get_darker_and_missing_is_apart() -> None:
    light = probability_colors().astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(light) < 0).all()
    rgb = probability_rgb(np.array([[0, 100, 101, 255]], np.uint8))
    assert tuple(rgb[0, 2]) == tuple(rgb[0, 3]) == UNSEEN
    assert tuple(rgb[0, 0]) == tuple(probability_colors()[0]) and tuple(rgb[0, 1]) == tuple(probability_colors()[-1])


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 km²"),
        (820.0, "820 m²"),
        (25_000.0, "2.50 ha"),
        (999_999.0, "1.00 km²"),
        (12_345_678.0, "12.3 km²"),
        (987_654_321.0, "988 km²"),
        (1.23456789e12, "1 234 568 km²"),
        (None, "unknown"),
    ],
)
def test_areas_read_well(value: float | None, text: str) -> None:
    assert wording.area_text(value).replace("\u00a0", " ").replace("\u202f", " ") == text


@given(st.floats(1, 1e15))
@settings(max_examples=200, deadline=None)
def test_areas_are_within_half_a_per_cent_of_the_value(value: float) -> None:
    number, unit = wording.area_text(value).split("\u00a0")
    shown = float(number.replace("\u202f", "")) * {"km²": 1e6, "ha": 1e4, "m²": 1.0}[unit]
    assert shown == pytest.approx(value, rel=0.0051)


@given(st.floats(0, 100))
@settings(max_examples=200, deadline=None)
def test_per_cent_is_0_or_100_only_when_it_is(percent: float) -> None:
    text = wording.percent_text(percent).replace("\u00a0", " ")
    assert (text == "0 %") == (percent == 0) and (text == "100 %") == (percent == 100)
    if re.fullmatch(r"[\d.]+ %", text):
        assert float(text[:-2]) == pytest.approx(percent, abs=0.0501)


def test_times_and_days() -> None:
    assert wording.time_text("2021-06-17T23:27:41-03:00") == "2021-06-18 02:27 UTC"
    assert wording.time_text("2021-06-17") == "2021-06-17" and wording.time_text(None) is None
    assert [wording.days_text(d) for d in (1, 12, 0, -3, None)] == [
        *("1 day earlier", "12 days earlier", "the same day", "3 days later", "")
    ]


def test_a_report_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"report\.html"):
        write_flood_report(tmp_path / "missing" / "report.html", result=RESULT, pictures={}, preview_grid=UTM, zones=[])
    write_flood_report(tmp_path / "report.html", result=RESULT, pictures={}, preview_grid=UTM, zones=[])
    assert "é" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_drawing_leaves_matplotlibs_global_state_alone() -> None:
    import matplotlib
    from matplotlib._pylab_helpers import Gcf

    before, figures = dict(matplotlib.rcParams), len(Gcf.figs)
    flood_report_html(result=RESULT, pictures=PICTURES, preview_grid=UTM, zones=ZONES)
    assert dict(matplotlib.rcParams) == before
    assert len(Gcf.figs) == figures
