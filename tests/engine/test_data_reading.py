"""Items on one grid, in one unit, with every missing value NaN: what goes into training."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from engine.errors import InputError
from engine.optics.reflectance import cloud_share, find_scale
from engine.training.data.items import (
    S2_BANDS,
    Acquisition,
    LabelFile,
    LabelItem,
    PairItem,
    days_apart,
    moment_in,
    pair_dates,
    place_of,
)
from engine.training.data.places import find_items
from engine.training.data.reading import LeftOut, Rules, load_item, read_item, refuse_above

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def write(path, array, *, names=(), gsd=10.0, west=500_000.0, north=5_000_000.0, nodata=None, crs="EPSG:32633", **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=array.shape[1], width=array.shape[2], count=array.shape[0],
        dtype=array.dtype, crs=crs, transform=from_origin(west, north, gsd, gsd), nodata=nodata,
    ) as out:  # fmt: skip
        out.write(array)
        out.update_tags(**tags)
        for i, name in enumerate(names, 1):
            out.set_band_description(i, name)
    return path


def radar(side=20, seed=0):
    noise = np.random.default_rng(seed).normal(0, 1.5, (2, side, side))
    return (np.array([-11.0, -18.0])[:, None, None] + noise).astype(np.float32)


def pair(tmp_path, *, s1=None, s2=None, s1_keys=None, s2_keys=None, name="One"):
    """A pair in a folder; the arrays or the georeference may be given."""
    s1 = radar() if s1 is None else s1
    s2 = np.random.default_rng(1).integers(200, 3000, (12, 20, 20)).astype(np.uint16) if s2 is None else s2
    write(tmp_path / f"{name}_S1.tif", s1, names=("VV", "VH"), **(s1_keys or {}))
    write(tmp_path / f"{name}_S2.tif", s2, names=S2_BANDS, **(s2_keys or {}))
    return PairItem(
        name, name, Acquisition("s1", tmp_path / f"{name}_S1.tif"), Acquisition("s2", tmp_path / f"{name}_S2.tif")
    )


@given(rows=st.integers(-6, 6), cols=st.integers(-6, 6))
@settings(max_examples=12, deadline=None)
def test_a_radar_image_on_a_moved_grid_lands_where_its_georeference_says(tmp_path_factory, rows, cols):
    """Brute force: the value at every target pixel is that of the source pixel with the same ground coordinates."""
    folder = tmp_path_factory.mktemp("moved")
    s1 = radar(24, seed=3)
    keys = {"west": 500_000.0 + 10.0 * cols, "north": 5_000_000.0 - 10.0 * rows}
    item = pair(folder, s1=s1, s1_keys=keys)
    read = read_item(item).s1
    for r in range(20):
        for c in range(20):
            y, x = r - rows, c - cols
            inside = 0 <= y < 24 and 0 <= x < 24
            if inside:
                assert (read[:, r, c] == s1[:, y, x]).all()
            else:
                assert np.isnan(read[:, r, c]).all()


def test_coarser_bands_are_brought_to_the_finest_grid_by_georeference(tmp_path):
    folder = tmp_path / "S2"
    ramp = np.arange(20, dtype=np.float64) * 10 + 5  # metres from the left edge
    write(folder / "B02.tif", np.tile(500 + ramp, (1, 20, 1)).astype(np.uint16))
    coarse = np.arange(10, dtype=np.float64) * 20 + 10
    write(folder / "B11.tif", np.tile(500 + coarse, (1, 10, 1)).astype(np.uint16), gsd=20.0)
    write(tmp_path / "S1.tif", radar(), names=("VV", "VH"))
    layout = (("B11.tif", ("B11",)), ("B02.tif", ("B02",)))
    item = PairItem("x", "x", Acquisition("s1", tmp_path / "S1.tif"), Acquisition("s2", folder, layout))
    s2 = read_item(item, s2_bands=("B02", "B11")).s2
    assert s2.shape == (2, 20, 20)
    assert np.allclose(s2[0, :, 1:-1], s2[1, :, 1:-1], atol=1e-6)  # a ramp stays a ramp, at the same places


def test_labels_keep_their_codes_on_their_own_grid(tmp_path):
    item = pair(tmp_path, s1=radar(30), s1_keys={"west": 499_950.0, "north": 5_000_050.0})
    codes = np.random.default_rng(2).integers(-1, 2, (1, 20, 20)).astype(np.int16)
    write(tmp_path / "label.tif", codes)
    labelled = LabelItem(
        "One", "One", item.s1, item.s2, label=LabelFile(tmp_path / "label.tif", classes={0: "a", 1: "b"})
    )
    arrays = read_item(labelled)
    assert np.array_equal(arrays.label, codes[0])
    assert np.array_equal(arrays.s1, radar(30)[:, 5:25, 5:25])


@pytest.mark.parametrize(
    ("unit", "change"), [("power", lambda db: 10 ** (db / 10)), ("amplitude", lambda db: 10 ** (db / 20))]
)
def test_linear_radar_becomes_decibel_and_nothing_missing_passes_the_logarithm(tmp_path, unit, change):
    linear = change(radar(seed=5)).astype(np.float32)
    linear[:, 3, 4] = 0.0
    linear[:, 5, 6] = np.nan
    item = pair(tmp_path, s1=linear, s1_keys={"UNITS": unit})
    s1 = read_item(item).s1
    bad = np.zeros((20, 20), bool)
    bad[3, 4] = bad[5, 6] = True
    assert np.isnan(s1[:, bad]).all() and np.isfinite(s1[:, ~bad]).all()
    assert np.allclose(s1[:, ~bad], radar(seed=5)[:, ~bad], atol=1e-4)


def test_decibel_filled_with_zero_and_nothing_declared_is_missing_there(tmp_path):
    values = radar(seed=6)
    values[:, :, :5] = 0.0
    s1 = read_item(pair(tmp_path, s1=values)).s1
    assert np.isnan(s1[:, :, :5]).all() and np.isfinite(s1[:, :, 5:]).all()


@pytest.mark.parametrize("nodata", [0, 65535])
def test_missing_optical_pixels_are_nan_in_all_bands(tmp_path, nodata):
    s2 = np.random.default_rng(1).integers(200, 3000, (12, 20, 20)).astype(np.uint16)
    s2[:, :4] = nodata
    item = pair(tmp_path, s2=s2, s2_keys={"nodata": nodata})
    read = read_item(item).s2
    assert np.isnan(read[:, :4]).all() and np.isfinite(read[:, 4:]).all()
    item = pair(tmp_path, s2=np.where(s2 == nodata, 0, s2).astype(np.uint16), name="Undeclared")
    read = read_item(item).s2
    assert np.isnan(read[:, :4]).all() and np.isfinite(read[:, 4:]).all()


@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_the_offset_of_newer_products_is_found_and_taken_off(level):
    generator = np.random.default_rng(0)
    names = [*S2_BANDS, "B10"] if level == "L1C" else list(S2_BANDS)
    plain = {n: generator.integers(100, 4000, 500).astype(np.float32) for n in names}
    if level == "L1C":
        plain["B10"] = generator.integers(5, 40, 500).astype(np.float32)
    moved = {n: v + 1000 for n, v in plain.items()}
    late, early = datetime(2023, 5, 1, tzinfo=timezone.utc), datetime(2019, 5, 1, tzinfo=timezone.utc)
    common = {"tags": {}, "integer": True, "declared": None}
    for when in (None, late, early):
        assert find_scale(plain, acquired=when, **common).offset == 0
    assert find_scale(moved, acquired=late, **common).offset == 1000
    # Reprocessed old images have the offset too: the cirrus band tells; without it only the date is left.
    assert find_scale(moved, acquired=early, **common).offset == (1000 if level == "L1C" else 0)
    tagged = {**common, "tags": {"PROCESSING_BASELINE": "05.00"}}
    assert find_scale(moved, acquired=early, **tagged).offset == 1000
    assert find_scale(plain, acquired=late, **{**common, "tags": {"PROCESSING_BASELINE": "02.12"}}).offset == 0
    assert find_scale(moved, acquired=late, **{**common, "declared": 0}).offset == 0


def test_reflectance_in_float_files_is_left_alone():
    values = {n: np.linspace(0.01, 0.6, 50, dtype=np.float32) for n in S2_BANDS}
    found = find_scale(values, tags={}, integer=False, acquired=None, declared=None)
    assert (found.scale, found.offset) == (1.0, 0)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
@pytest.mark.parametrize(
    ("file", "offset"),
    [
        ("s1s2_pairs/train/terramesh_609U_541L_3_0_S2L1C.tif", 1000),
        ("s1s2_pairs/train/terramesh_609U_541L_3_0_S2L2A.tif", 0),
        ("s1s2_pairs/train/terramesh_38D_378R_2_3_S2L1C.tif", 0),
        ("s1s2_pairs/train/sen12mscr_19_p30_cloudy_S2L1C.tif", 0),
        ("s1s2_pairs/train/ssl4eo_0000200_20200604_S2L2A.tif", 0),
        ("scenes/majortom_0U_199R_S2L2A.tif", 1000),
        ("flood/train/Spain_7370579_S2.tif", 0),
    ],
)
def test_the_offset_of_real_files(file, offset):
    item = PairItem("x", "x", None, Acquisition("s2", SHARED / file))
    (note,) = read_item(item).notes
    assert note.startswith(f"S2 minus {offset}, times 0.0001"), note


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_real_grids_that_differ_are_read_by_their_georeference():
    """SSL4EO-S12: the grids differ by 4 and 3 pixels and 0.7 % in size; each pixel, by hand from both transforms."""
    item = next(i for i in find_items(str(SHARED / "s1s2_pairs")).pairs if i.name == "ssl4eo_0000200_20200604")
    arrays = read_item(item)
    with rasterio.open(item.s1.where) as file:
        values, back = file.read(), ~file.transform
    target = arrays.grid.transform
    generator = np.random.default_rng(0)
    for row, col in generator.integers(0, 264, (300, 2)):
        x, y = back @ (target @ (col + 0.5, row + 0.5))
        inside = 0 <= int(np.floor(y)) < 264 and 0 <= int(np.floor(x)) < 264
        expected = values[:, int(np.floor(y)), int(np.floor(x))] if inside else np.full(2, np.nan)
        assert np.array_equal(arrays.s1[:, row, col], expected, equal_nan=True)


def test_cloud_is_white_in_blue_and_infrared_snow_and_soil_are_not():
    bands = ["B02", "B11"]
    image = np.array([[[0.5, 0.8, 0.15, 0.05]], [[0.4, 0.05, 0.4, 0.02]]], np.float32)  # cloud, snow, soil, water
    assert cloud_share(image, bands) == 0.25
    image[:, 0, 3] = np.nan
    assert cloud_share(image, bands) == pytest.approx(1 / 3)
    assert cloud_share(image, ["B02", "B12"]) is None


def test_what_is_broken_is_named_with_its_file_and_reason(tmp_path):
    good = pair(tmp_path / "good")
    cases = {}
    cut = pair(tmp_path / "cut")
    whole = (tmp_path / "cut" / "One_S2.tif").read_bytes()
    (tmp_path / "cut" / "One_S2.tif").write_bytes(whole[: len(whole) // 2])
    cases["unreadable"] = (cut, "One_S2.tif")
    gone = pair(tmp_path / "gone")
    (tmp_path / "gone" / "One_S1.tif").unlink()
    cases["missing"] = (gone, "One_S1.tif")
    cases["empty"] = (pair(tmp_path / "nan", s1=np.full((2, 20, 20), np.nan, np.float32)), "One_S1.tif")
    cases["mismatched"] = (pair(tmp_path / "far", s1_keys={"west": 900_000.0}), "One_S1.tif")
    cases["units"] = (pair(tmp_path / "dn", s1=np.abs(radar()) * 300), "One_S1.tif")
    assert not isinstance(load_item(good, Rules()), LeftOut)
    for reason, (item, file) in cases.items():
        why = load_item(item, Rules())
        assert isinstance(why, LeftOut), reason
        assert (why.reason, why.broken) == (reason, True) and file in why.why, why
        assert "\n" not in why.why


def test_grids_without_a_crs_that_differ_are_mismatched_and_equal_ones_are_read(tmp_path):
    keys = {"crs": None}
    assert not isinstance(load_item(pair(tmp_path / "a", s1_keys=keys, s2_keys=keys), Rules()), LeftOut)
    why = load_item(pair(tmp_path / "b", s1=radar(24), s1_keys=keys, s2_keys=keys), Rules())
    assert isinstance(why, LeftOut) and why.reason == "mismatched" and "One_S1.tif" in why.why


def test_what_the_rules_exclude_is_told_and_is_not_broken(tmp_path):
    white = np.full((12, 20, 20), 6000, np.uint16)
    cloudy = pair(tmp_path / "c", s2=white)
    why = load_item(cloudy, Rules())
    assert isinstance(why, LeftOut) and (why.reason, why.broken) == ("cloudy", False) and "100%" in why.why
    assert not isinstance(load_item(cloudy, Rules(max_cloud=None)), LeftOut)
    apart = pair(tmp_path / "d", s1_keys={"ACQUIRED": "2020-01-01"}, s2_keys={"ACQUIRED": "2020-03-01"})
    why = load_item(apart, Rules())
    assert isinstance(why, LeftOut) and (why.reason, why.broken) == ("dates", False) and "60.0 days" in why.why
    assert not isinstance(load_item(apart, Rules(max_days=60)), LeftOut)
    holes = radar()
    holes[:, :5] = np.nan
    why = load_item(pair(tmp_path / "e", s1=holes), Rules(max_missing=0.24))
    assert isinstance(why, LeftOut) and why.reason == "empty" and "25%" in why.why
    assert not isinstance(load_item(pair(tmp_path / "f", s1=holes), Rules(max_missing=0.25)), LeftOut)


def test_too_much_that_is_broken_is_refused_and_choices_are_not_counted():
    broken = [LeftOut(f"n{i}", "missing", f"/data/n{i}.tif: does not exist.") for i in range(3)]
    cloudy = [LeftOut(f"c{i}", "cloudy", "white", broken=False) for i in range(50)]
    refuse_above([*cloudy, *broken[:1]], 10, 0.1, place="here")
    with pytest.raises(InputError, match=r"here: 3 of 20 items are broken, more than 10%. /data/n0.tif") as caught:
        refuse_above([*cloudy, *broken], 20, 0.1, place="here")
    assert caught.value.remedy


DAY = datetime(2020, 1, 1, tzinfo=timezone.utc)
DATES = st.lists(st.integers(0, 60), max_size=4).map(lambda days: [DAY + timedelta(days=d) for d in days])


@given(first=DATES, second=DATES, most=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_pairs_of_dates_are_near_used_once_and_leave_no_near_pair_over(first, second, most):
    pairs = pair_dates(first, second, max_days=most)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(days_apart(first[i], second[j]) <= most for i, j in pairs)
    left = [i for i in range(len(first)) if i not in {i for i, _ in pairs}]
    free = [j for j in range(len(second)) if j not in {j for _, j in pairs}]
    assert not any(days_apart(first[i], second[j]) <= most for i in left for j in free)
    # The nearest of all possible pairs is always among them.
    near = [days_apart(a, b) for a in first for b in second if days_apart(a, b) <= most]
    if near:
        assert min(near) == min(days_apart(first[i], second[j]) for i, j in pairs)
    # The order in which acquisitions are listed changes nothing but the numbers.
    told = sorted((first[i], second[j]) for i, j in pairs)
    for order in list(permutations(range(len(second))))[:3]:
        again = pair_dates(first, [second[k] for k in order], max_days=most)
        assert sorted((first[i], second[order[j]]) for i, j in again) == told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S1A_IW_GRDH_1SDV_20200607T054639_20200607T054704", "2020-06-07T05:46:39+00:00"),
        ("2020-06-04T05:46:39", "2020-06-04T05:46:39+00:00"),
        ("ssl4eo_0000200_20200604", "2020-06-04T00:00:00+00:00"),
        ("20200604", "2020-06-04T00:00:00+00:00"),
        ("Spain_7370579", None),
        ("ROIs2017_winter_112_p797", None),
        ("20201345T000000", None),
        ("20200231T000000", None),
    ],
)
def test_dates_in_names(text, expected):
    found = moment_in(text)
    assert (found.isoformat() if found else None) == expected


@pytest.mark.parametrize(
    ("name", "group"), [("Spain_7370579", "Spain"), ("Sri-Lanka_1", "Sri-Lanka"), ("place", "place"), ("7", "7")]
)
def test_groups_from_names(name, group):
    assert place_of(name) == group
