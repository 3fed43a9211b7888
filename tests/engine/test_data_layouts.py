"""Published layouts, each on a tiny fixture of the exact folder structure, file names, bands and pixel sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.training.data.items import S2_BANDS, LabelItem
from engine.training.data.places import find_items
from engine.training.data.reading import LeftOut, Rules, load_item, read_item

L1C = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
L2A = tuple(b for b in L1C if b != "B10")
SIZES = {"B1": 6, "B9": 6, "B10": 6, "B5": 2, "B6": 2, "B7": 2, "B8A": 2, "B11": 2, "B12": 2}
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def write(path: Path, array, *, names=(), gsd=10.0, west=500_000.0, north=5_000_000.0, nodata=None, crs="EPSG:32633"):
    array = np.atleast_3d(array) if array.ndim < 3 else array
    array = array.transpose(2, 0, 1) if array.shape[-1] == 1 and array.ndim == 3 and array.shape[0] != 1 else array
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=array.shape[1], width=array.shape[2], count=array.shape[0],
        dtype=array.dtype, crs=crs, transform=from_origin(west, north, gsd, gsd), nodata=nodata,
    ) as out:  # fmt: skip
        out.write(array)
        for i, name in enumerate(names, 1):
            out.set_band_description(i, name)
    return path


def radar(side=24, seed=0, bands=2):
    levels = np.array([-11.0, -18.0], np.float32)[:bands, None, None]
    return levels + np.random.default_rng(seed).normal(0, 1.5, (bands, side, side)).astype(np.float32)


def optical(side=24, bands=13, seed=0):
    return np.random.default_rng(seed).integers(200, 3000, (bands, side, side)).astype(np.uint16)


def one_band_files(folder: Path, names, side=24, prefix="", seed=0):
    """One file a band, the coarser bands with fewer and larger pixels, as published."""
    for i, name in enumerate(names):
        step = SIZES.get(name.replace("B0", "B") if name.startswith("B") else name, 1)
        array = np.full((1, side // step, side // step), 500 + 100 * i, np.uint16)
        write(folder / f"{prefix}{name}.tif", array, gsd=10.0 * step)


def ssl4eo(root: Path) -> Path:
    dates = {
        "s1": ("S1A_IW_GRDH_1SDV_20200607T010101_20200607T010126_032900_03CF9B_AAAA",
               "S1B_IW_GRDH_1SDV_20200903T010101_20200903T010126_023200_02C0E0_BBBB"),
        "s2a": ("20200604T054639_20200604T054831_T43SDR", "20200901T054641_20200901T055117_T43SDR"),
        "s2c": ("20200604T054639_20200604T054831_T43SDR", "20200823T054639_20200823T054831_T43SDR"),
    }  # fmt: skip
    for place in ("0000200", "0000201"):
        for k, name in enumerate(dates["s1"]):
            for i, pol in enumerate(("VV", "VH")):
                # Sentinel-1 lies 40 m further east, as in the real data.
                write(root / "s1" / place / name / f"{pol}.tif", radar(28, seed=k)[i : i + 1], west=500_040.0 - 80.0)
        for name in dates["s2a"]:
            one_band_files(root / "s2a" / place / name, L2A)
        for name in dates["s2c"]:
            one_band_files(root / "s2c" / place / name, L1C)
    return root


def test_ssl4eo_pairs_each_date_with_the_nearest_and_reads_every_band_on_one_grid(tmp_path):
    found = find_items(f"ssl4eo-s12:{ssl4eo(tmp_path)}")
    assert [item.name for item in found.items] == [
        f"{p}_{d}" for p in ("0000200", "0000201") for d in ("20200604", "20200901")
    ]
    assert not found.left_out
    first, second = found.items[:2]
    assert first.group == second.group == "0000200"
    assert round(first.days_between) == 3 and round(second.days_between) == 2
    arrays = read_item(first)
    assert arrays.s1.shape == (2, 24, 24) and arrays.s2.shape == (12, 24, 24)
    assert np.isfinite(arrays.s1).all()
    # Each band file held one value: the order of bands is by name, whatever their pixel size.
    assert np.allclose(arrays.s2[:, 12, 12], (500 + 100 * np.arange(12)) * 1e-4)
    assert np.allclose(arrays.s2, arrays.s2[:, :1, :1])


def test_ssl4eo_levels_and_dates_too_far_apart(tmp_path):
    root = ssl4eo(tmp_path)
    close = find_items(f"ssl4eo-s12:{root}@l1c", max_days=5)
    assert len(close.items) == 2
    assert {one.reason for one in close.left_out} == {"dates"}
    assert len(close.left_out) == 4 and not any(one.broken for one in close.left_out)
    assert any(b == ("B10",) for _, b in close.items[0].s2.layout)
    with pytest.raises(ParameterError, match="no split"):
        find_items(f"ssl4eo-s12:{root}@train")


def test_ssl4eo_lacking_places_and_bands_are_named(tmp_path):
    root = ssl4eo(tmp_path)
    gone = sorted((root / "s2a" / "0000200").iterdir())[0] / "B8.tif"
    gone.unlink()
    (root / "s1" / "0000201").rename(root / "elsewhere")
    found = find_items(f"ssl4eo-s12:{root}")
    assert [one.reason for one in found.left_out] == ["missing"] and "0000201" in found.left_out[0].why
    why = load_item(found.items[0], Rules())
    assert isinstance(why, LeftOut) and why.reason == "missing" and str(gone) in why.why and why.broken


def sen12ms(root: Path, *, season="ROIs1158_spring", label="lc", patches=(30, 31), scene="1", values=None) -> Path:
    for patch in patches:

        def name(role, patch=patch):
            return root / season / f"{role}_{scene}" / f"{season}_{role}_{scene}_p{patch}.tif"

        write(name("s1"), radar(seed=patch))
        write(name("s2"), optical(seed=patch))
        codes = np.random.default_rng(patch).integers(1, 11, (4 if label == "lc" else 1, 24, 24)).astype(np.uint16)
        if values is not None:
            codes[:] = values
        write(name(label), codes)
    return root


def test_sen12ms(tmp_path):
    root = sen12ms(tmp_path)
    found = find_items(f"sen12ms:{root}")
    assert [item.name for item in found.items] == ["ROIs1158_spring_1_p30", "ROIs1158_spring_1_p31"]
    assert all(isinstance(item, LabelItem) and item.group == "ROIs1158_spring_1" for item in found.items)
    arrays = read_item(found.items[0])
    with rasterio.open(root / "ROIs1158_spring/s2_1/ROIs1158_spring_s2_1_p30.tif") as file:
        raw = file.read()
    kept = [i for i in range(13) if i != 10]  # B10 is not among the bands that both levels have
    assert np.allclose(arrays.s2, raw[kept] * 1e-4, atol=1e-6)
    with rasterio.open(root / "ROIs1158_spring/lc_1/ROIs1158_spring_lc_1_p30.tif") as file:
        assert np.array_equal(arrays.label, file.read(1))


def test_sen12ms_lists_and_what_they_name_in_vain(tmp_path):
    root = sen12ms(tmp_path)
    (root / "splits").mkdir()
    (root / "splits" / "train_list.txt").write_text("ROIs1158_spring_s2_1_p30.tif\nROIs1868_summer_s2_2_p7.tif\n")
    found = find_items(f"sen12ms:{root}@train")
    assert [item.name for item in found.items] == ["ROIs1158_spring_1_p30"]
    assert "ROIs1868_summer_s1_2_p7.tif" in found.left_out[0].why
    with pytest.raises(MissingFileError, match="test_list"):
        find_items(f"sen12ms:{root}@test")
    (root / "splits" / "train_list.txt").write_text("nonsense\n")
    with pytest.raises(DamagedFileError, match="nonsense"):
        find_items(f"sen12ms:{root}@train")


def test_dfc2020_splits_and_labels(tmp_path):
    sen12ms(tmp_path, season="ROIs0000_validation", label="dfc", scene="0", patches=(0,))
    sen12ms(tmp_path, season="ROIs0000_test", label="dfc", scene="0", patches=(0, 1))
    assert len(find_items(f"dfc2020:{tmp_path}").items) == 3
    (only,) = find_items(f"dfc2020:{tmp_path}@validation").items
    arrays = read_item(only)
    assert set(np.unique(arrays.label)) <= set(range(1, 11))
    assert only.label.classes[10] == "water"


def test_dfc2020_zero_is_no_label_and_a_strange_class_is_damage(tmp_path):
    sen12ms(tmp_path, season="ROIs0000_test", label="dfc", scene="0", patches=(0,), values=0)
    (item,) = find_items(f"dfc2020:{tmp_path}").items
    why = load_item(item, Rules())
    assert isinstance(why, LeftOut) and why.reason == "empty" and "no pixel has a label" in why.why
    sen12ms(tmp_path, season="ROIs0000_test", label="dfc", scene="0", patches=(0,), values=77)
    why = load_item(item, Rules())
    assert isinstance(why, LeftOut) and why.reason == "unreadable" and "77" in why.why


BEN_BANDS = S2_BANDS
PATCH_S2 = "S2A_MSIL2A_20170613T101031_87_48"
PATCH_S1 = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48"


def ben_v1(root: Path, names=((PATCH_S2, PATCH_S1),)) -> Path:
    for s2, s1 in names:
        folder = root / "BigEarthNet-v1.0" / s2
        one_band_files(folder, BEN_BANDS, prefix=f"{s2}_")
        told = {"labels": ["Pastures", "Sea and ocean"], "acquisition_date": "2017-06-13 10:10:31"}
        (folder / f"{s2}_labels_metadata.json").write_text(json.dumps(told))
        folder = root / "BigEarthNet-S1-v1.0" / s1
        for i, pol in enumerate(("VV", "VH")):
            write(folder / f"{s1}_{pol}.tif", radar()[i : i + 1])
        (folder / f"{s1}_labels_metadata.json").write_text(
            json.dumps({"labels": ["Pastures"], "corresponding_s2_patch": s2})
        )
    return root


def test_bigearthnet_version_1(tmp_path):
    root = ben_v1(tmp_path)
    (item,) = find_items(f"bigearthnet-mm:{root}").items
    assert item.name == PATCH_S2 and item.classes == ("Pastures", "Sea and ocean")
    assert item.group == "S2A_MSIL2A_20170613T101031"
    assert abs(item.days_between - 0.278) < 0.001
    arrays = read_item(item)
    assert np.allclose(arrays.s2[:, 0, 0], (500 + 100 * np.arange(12)) * 1e-4)
    (root / "train.csv").write_text(f"{PATCH_S2},{PATCH_S1}\nS2A_MSIL2A_20170613T101031_1_1,S1A_gone\n")
    listed = find_items(f"bigearthnet-mm:{root}@train")
    assert len(listed.items) == 1 and "S2A_MSIL2A_20170613T101031_1_1" in listed.left_out[0].why


def test_bigearthnet_version_2_pairs_by_tile_place_and_date(tmp_path):
    s2 = ("S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57", "S2B_MSIL2A_20180613T101031_N9999_R022_T33UUP_26_57")
    s1 = ("S1A_IW_GRDH_1SDV_20180612T165043_33UUP_26_57", "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_26_57")
    for name in s2:
        one_band_files(tmp_path / "BigEarthNet-S2" / name[:-6] / name, BEN_BANDS, prefix=f"{name}_")
    for name in s1:
        for i, pol in enumerate(("VV", "VH")):
            write(tmp_path / "BigEarthNet-S1" / name[:-6] / name / f"{name}_{pol}.tif", radar()[i : i + 1])
    found = find_items(f"bigearthnet-mm:{tmp_path}")
    assert [(i.s2.where.name, i.s1.where.name) for i in found.items] == [(s2[0], s1[1]), (s2[1], s1[0])]
    assert read_item(found.items[0]).s2.shape == (12, 24, 24)


def sen1floods11(root: Path) -> Path:
    hand = root / "data" / "flood_events" / "HandLabeled"
    for k, name in enumerate(("Ghana_103272", "Bolivia_76104")):
        write(hand / "S1Hand" / f"{name}_S1Hand.tif", radar(seed=k), nodata=float("nan"))
        write(hand / "S2Hand" / f"{name}_S2Hand.tif", optical(seed=k).astype(np.int16))
        label = np.random.default_rng(k).integers(-1, 2, (1, 24, 24)).astype(np.int16)
        write(hand / "LabelHand" / f"{name}_LabelHand.tif", label)
    weak = root / "data" / "flood_events" / "WeaklyLabeled"
    write(weak / "S1Weak" / "Ghana_5_S1Weak.tif", radar(seed=9))
    write(weak / "S2Weak" / "Ghana_5_S2Weak.tif", optical(seed=9).astype(np.int16))
    write(weak / "S2IndexLabelWeak" / "Ghana_5_S2IndexLabelWeak.tif", np.ones((1, 24, 24), np.int16))
    lists = root / "splits" / "flood_handlabeled"
    lists.mkdir(parents=True)
    (lists / "flood_train_data.csv").write_text("Ghana_103272_S1Hand.tif,Ghana_103272_LabelHand.tif\n")
    return root


def test_sen1floods11(tmp_path):
    root = sen1floods11(tmp_path)
    every = find_items(f"sen1floods11:{root}")
    assert [(i.name, i.group) for i in every.items] == [("Bolivia_76104", "Bolivia"), ("Ghana_103272", "Ghana")]
    assert len(every.pairs) == len(every.labelled) == 2
    (train,) = find_items(f"sen1floods11:{root}@train").items
    arrays = read_item(train)
    assert arrays.s1.shape == (2, 24, 24) and arrays.s2.shape == (12, 24, 24)
    assert set(np.unique(arrays.label)) == {-1, 0, 1}
    (weak,) = find_items(f"sen1floods11:{root}@weak").items
    assert weak.name == "Ghana_5" and (read_item(weak).label == 1).all()


def test_folder_by_name_and_its_sub_folders(tmp_path):
    for split, name in (("train", "Spain_1"), ("val", "Ghana_2")):
        write(tmp_path / split / f"{name}_S1.tif", radar(), names=("VV", "VH"))
        write(tmp_path / split / f"{name}_S2.tif", optical(bands=12), names=S2_BANDS)
    write(tmp_path / "train" / "Spain_1_label.tif", np.ones((1, 24, 24), np.int16))
    write(tmp_path / "train" / "Alone_S1.tif", radar(), names=("VV", "VH"))
    found = find_items(str(tmp_path))
    assert [i.name for i in found.items] == ["Ghana_2", "Spain_1"]
    assert len(found.pairs) == 2 and [i.name for i in found.labelled] == ["Spain_1"]
    assert [i.name for i in find_items(f"folder:{tmp_path}@val").items] == ["Ghana_2"]


def test_folder_by_list(tmp_path):
    write(tmp_path / "a" / "one_S1.tif", radar(), names=("VV", "VH"))
    write(tmp_path / "a" / "one_S2.tif", optical(bands=12), names=S2_BANDS)
    (tmp_path / "a" / "pairs.csv").write_text(
        "name,split,site,s1,s2_l2a,s1_date,s2_l2a_date\n"
        "one,train,here,a/one_S1.tif,a/one_S2.tif,2020-01-02,2020-01-04\n"
        "two,val,there,two_S1.tif,two_S2.tif,,\n"
        "three,val,there,three_S1.tif,,,\n"
    )
    found = find_items(str(tmp_path / "a"))
    assert [(i.name, i.group) for i in found.items] == [("one", "here"), ("two", "there")]
    assert found.items[0].days_between == 2.0
    assert [(o.name, o.broken) for o in found.left_out] == [("three", False)]
    assert read_item(found.items[0]).s2 is not None  # paths count from the folder above too
    why = load_item(found.items[1], Rules())
    assert isinstance(why, LeftOut) and why.reason == "missing" and "two_S2.tif" in why.why
    assert [i.name for i in find_items(f"folder:{tmp_path / 'a' / 'pairs.csv'}@train").items] == ["one"]
    with pytest.raises(ParameterError, match="no row has the split"):
        find_items(f"{tmp_path / 'a'}@test")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "name,s1\nx,y\n"])
def test_a_list_without_the_columns_is_refused(tmp_path, text):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(DamagedFileError, match="expected name, s1 and s2"):
        find_items(str(tmp_path))


def test_simulated_scenes(tmp_path):
    from engine.events import Reporter
    from engine.simulate.job import run
    from engine.simulate.request import SceneRequest

    for seed in (1, 2):
        run(
            SceneRequest(out=str(tmp_path / f"scene-{seed}"), seed=seed, width=96, height=96, products="s1,s2,labels"),
            Reporter(),
        )
    found = find_items(f"simulated:{tmp_path}")
    assert [i.name for i in found.items] == [f"scene-{s}/{d}" for s in (1, 2) for d in ("after", "before")]
    assert len(found.pairs) == 2 and len(found.labelled) == 4
    arrays = read_item(found.pairs[0])
    assert arrays.s1.shape == (2, 96, 96) and arrays.s2.shape == (12, 96, 96)
    assert 0 < np.nanmedian(arrays.s2) < 1 and -30 < np.nanmedian(arrays.s1) < 0
    assert [i.name for i in find_items(f"simulated:{tmp_path / 'scene-1'}@after").items] == ["scene-1/after"]


@pytest.mark.parametrize(
    "place", ["sen12ms", "dfc2020", "bigearthnet-mm", "ssl4eo-s12", "sen1floods11", "simulated", "folder"]
)
def test_a_folder_of_another_kind_is_refused_with_what_was_expected(tmp_path, place):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(ParameterError, match="expected") as caught:
        find_items(f"{place}:{tmp_path}")
    assert str(tmp_path) in caught.value.message and caught.value.remedy


def test_unknown_kinds_and_places_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="no data kind"):
        find_items(f"landsat:{tmp_path}")
    with pytest.raises(MissingFileError, match="does not exist"):
        find_items(str(tmp_path / "nowhere"))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_the_shared_pairs_and_chips_are_read():
    pairs = find_items(str(SHARED / "s1s2_pairs"))
    assert len(pairs.pairs) == 11 and [one.name for one in pairs.left_out] == ["sen12mscr_19_p30_cloudy"]
    for item in pairs.pairs:
        if item.name.startswith(("ben", "ssl4eo", "terramesh_609U")):
            arrays = load_item(item, Rules())
            assert not isinstance(arrays, LeftOut), arrays
            assert arrays.s1.shape[1:] == arrays.s2.shape[1:] == arrays.grid.shape
            assert 0.0 < np.nanmedian(arrays.s2) < 1.0 and -25 < np.nanmedian(arrays.s1) < -3
    chips = find_items(str(SHARED / "flood"))
    assert len(chips.labelled) == 8 and len({i.group for i in chips.items}) == 6
