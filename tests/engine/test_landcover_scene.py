"""Images of a land-cover map: files told apart by their bands, brought to one grid, products as they are delivered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from engine.errors import BandError, GridError, InputError, MissingFileError, ParameterError, UnitsError
from engine.events import Reporter
from engine.mapping.landcover.scene import LandcoverScene
from engine.raster.grid import Window
from engine.raster.read import open_raster
from engine.sensors import Unit
from tests.engine import landcover_scenes as small
from tests.engine import optical_scenes as files

WHEN = "2022-06-12T10:15:59Z"


def light(path: Path, codes: np.ndarray, names=small.BANDS, *, offset=0, gsd=10, when=WHEN, **more) -> Path:
    """An image of some bands, at 10 m or coarser, every ``gsd / 10``-th pixel."""
    step = gsd // 10
    values = small.reflectance(codes)[[small.BANDS.index(name) for name in names]][:, ::step, ::step]
    array = files.digital(values, offset)
    place = from_origin(files.WEST, files.NORTH, gsd, gsd)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver=more.pop("driver", "GTiff"), dtype=array.dtype, count=len(array), height=array.shape[1],
        width=array.shape[2], crs="EPSG:32633", transform=place, **more,
    ) as file:  # fmt: skip
        file.write(array)
        if when:
            file.update_tags(ACQUIRED=when)
            for number, name in enumerate(names, 1):
                file.set_band_description(number, name)
    return path


def test_bands_of_several_files_come_to_the_finest_grid(tmp_path):
    codes = small.truth(60, 80)
    fine = light(tmp_path / "fine.tif", codes, ("B02", "B03", "B04", "B08"), offset=1000)
    coarse = light(tmp_path / "coarse.tif", codes, ("B11", "B12"), offset=1000, gsd=20)
    radar = files.write(tmp_path / "s1.tif", files.backscatter(60, 80), ("VV", "VH"), tags={"ACQUIRED": "2022-06-10"})
    with LandcoverScene.open([str(radar), str(coarse), str(fine)]) as scene, open_raster(coarse) as raw:
        assert scene.grid.shape == (60, 80)
        assert scene.sensors == ("s1", "s2")
        assert scene.optical_bands == small.BANDS
        assert scene.polarisations == ("VV", "VH")
        values = scene.read_optical(scene.grid.window, ["B12", "B02"])
        expected = raw.onto(scene.grid, resampling="bilinear").read(scene.grid.window, [2])[0]
        inner = np.isfinite(expected)
        assert inner.mean() > 0.9
        for file in scene.images.light:  # judged together: both have the offset, although B11 alone is bright
            assert file.scale.offset == 1000
        assert np.allclose(values[0][inner], (expected[inner] - 1000) / 1e4, atol=1e-6)
        assert np.allclose(values[1], small.reflectance(codes)[0], atol=1e-4)
        assert np.isfinite(scene.read(Window(10, 10, 5, 5))).all()


def test_a_band_in_two_files_is_taken_from_the_finer(tmp_path):
    codes = small.truth(60, 80)
    fine = light(tmp_path / "fine.tif", codes, ("B02", "B04"))
    coarse = light(tmp_path / "coarse.tif", codes, ("B02", "B11"), gsd=20)
    with LandcoverScene.open([str(coarse), str(fine)]) as scene:
        assert {f.raster.path.rpartition("/")[2]: sorted(f.bands) for f in scene.images.light} == {
            "fine.tif": ["B02", "B04"],
            "coarse.tif": ["B11"],
        }
    again = light(tmp_path / "again.tif", codes, ("B04",))
    with pytest.raises(BandError, match=r"again.tif: the band B04 stands in .*fine.tif too"):
        LandcoverScene.open([str(fine), str(again)])


def test_files_of_single_bands_are_told_by_their_names(tmp_path):
    codes = small.truth(60, 80)
    paths = [
        light(tmp_path / f"T32TNR_20220612T101559_{name}_10m.tif", codes, (name,), when=None)
        for name in ("B02", "B03", "B04", "B08")
    ]
    with LandcoverScene.open([str(path) for path in paths]) as scene:
        assert scene.optical_bands == ("B02", "B03", "B04", "B08")
        assert scene.images.dated.acquired is not None
        assert scene.images.dated.acquired.isoformat() == "2022-06-12T10:15:59+00:00"


def test_mixed_dates_are_refused_and_sensors_far_apart_warned_of(tmp_path):
    codes = small.truth(60, 80)
    first = light(tmp_path / "first.tif", codes, ("B02", "B03"))
    other = light(tmp_path / "other.tif", codes, ("B04", "B08"), when="2022-06-15T10:15:59Z")
    with pytest.raises(InputError, match=r"other.tif: was taken on 2022-06-15, .*first.tif on 2022-06-12"):
        LandcoverScene.open([str(first), str(other)])
    radar = files.write(tmp_path / "s1.tif", files.backscatter(60, 80), ("VV", "VH"), tags={"ACQUIRED": "2022-08-01"})
    reporter = Reporter()
    with LandcoverScene.open([str(first), str(radar)]) as scene:
        scene.advise(reporter)
    assert any("50 days apart" in line for line in reporter.warnings)


def product(folder: Path, level: str, codes: np.ndarray, *, xml: bool) -> Path:
    """A tiny product as ESA delivers it."""
    baseline = "N0400" if not xml else "N9999"
    safe = folder / f"S2A_MSI{level}_20220612T101559_{baseline}_R022_T32TNR_20220612T170000.SAFE"
    images = safe / "GRANULE" / f"{level}_T32TNR_A036419_20220612T101559" / "IMG_DATA"
    lossless = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES", "when": None}
    for name in small.BANDS:
        gsd = 20 if name in ("B11", "B12") else 10
        stem = f"T32TNR_20220612T101559_{name}"
        if level == "L1C":
            light(images / f"{stem}.jp2", codes, (name,), offset=1000, gsd=gsd, **lossless)
            continue
        for size in (20, 60) if gsd == 20 else (10, 20, 60):
            light(images / f"R{size}m" / f"{stem}_{size}m.jp2", codes, (name,), offset=1000, gsd=size, **lossless)
    light(images / "T32TNR_20220612T101559_TCI.jp2", codes, ("B04",), **lossless)
    if level == "L2A":
        scl = np.full((1, *codes[::2, ::2].shape), 4, np.uint8)
        scl[:, :5] = 9
        place = from_origin(files.WEST, files.NORTH, 20, 20)
        with rasterio.open(
            images / "R20m" / "T32TNR_20220612T101559_SCL_20m.jp2", "w", driver="JP2OpenJPEG", dtype="uint8", count=1,
            height=scl.shape[1], width=scl.shape[2], crs="EPSG:32633", transform=place,
            QUALITY="100", REVERSIBLE="YES",
        ) as file:  # fmt: skip
            file.write(scl)
    if xml:
        tag = "BOA_ADD_OFFSET" if level == "L2A" else "RADIO_ADD_OFFSET"
        (safe / f"MTD_MSI{level}.xml").write_text(
            "<n1:Level><PRODUCT_START_TIME>2022-06-12T10:15:59.024Z</PRODUCT_START_TIME>"
            f'<{tag} band_id="0">-1000</{tag}><{tag} band_id="1">-1000</{tag}></n1:Level>'
        )
    return safe


@pytest.mark.parametrize("level", ["L1C", "L2A"])
@pytest.mark.parametrize("xml", [True, False])
def test_a_safe_folder_is_a_scene(tmp_path, level, xml):
    codes = small.truth(120, 180)
    bright = np.where(codes == 80, 50, codes).astype(np.uint8)  # nothing dark: only the product tells the offset
    safe = product(tmp_path, level, bright, xml=xml)
    with LandcoverScene.open([str(safe)]) as scene:
        assert scene.grid.shape == (120, 180)
        assert scene.optical_bands == small.BANDS
        assert {file.scale.offset for file in scene.images.light} == {1000}
        assert scene.images.dated.acquired is not None
        assert scene.images.dated.acquired.date().isoformat() == "2022-06-12"
        assert np.allclose(scene.read_optical(scene.grid.window, ["B08"])[0], small.reflectance(bright)[3], atol=1e-4)
        assert (scene.images.scl is not None) == (level == "L2A")
        if level == "L2A":
            clouds = scene.clouds(scene.grid.window, {})
            assert clouds[:10].all()
            assert not clouds[10:].any()
    if xml:
        with LandcoverScene.open([str(next(safe.glob("MTD*.xml")))]) as scene:
            assert scene.optical_bands == small.BANDS


def test_a_folder_without_a_product_is_told(tmp_path):
    with pytest.raises(InputError, match="no band file of a Sentinel-2 product"):
        LandcoverScene.open([str(tmp_path)])


def test_unclear_input_is_one_line(tmp_path):
    codes = small.truth(60, 80)
    image = light(tmp_path / "s2.tif", codes)
    unnamed = files.write(tmp_path / "unnamed.tif", files.digital(small.reflectance(codes)[:4]), ())
    with pytest.raises(BandError, match=r"unnamed.tif: no band of Sentinel-1 .* was found"):
        LandcoverScene.open([str(unnamed)])
    with LandcoverScene.open([str(unnamed)], bands="B02=1,B03=2,B04=3,B08=4") as scene:
        assert scene.optical_bands == ("B02", "B03", "B04", "B08")
    with pytest.raises(ParameterError, match="--units is for Sentinel-1"):
        LandcoverScene.open([str(image)], unit=Unit.DB)
    radar = files.write(tmp_path / "s1.tif", files.backscatter(60, 80), ("VV", "VH"))
    with pytest.raises(ParameterError, match="--scl is for Sentinel-2"):
        LandcoverScene.open([str(radar)], scl=str(image))
    with pytest.raises(UnitsError, match="other values than the classes"):
        LandcoverScene.open([str(image)], scl=str(image))
    far = files.write(tmp_path / "far.tif", files.backscatter(60, 80), ("VV", "VH"), west=700_000.0)
    with pytest.raises(GridError, match="does not overlap"):
        LandcoverScene.open([str(image), str(far)])
    with pytest.raises(MissingFileError, match="does not exist"):
        LandcoverScene.open([str(image), str(tmp_path / "none.tif")])


def test_sentinel1_in_other_units_and_in_two_files_is_the_same_scene(tmp_path):
    decibel = files.backscatter(60, 80)
    both = files.write(tmp_path / "both.tif", decibel, ("VV", "VH"))
    power = (10 ** (decibel / 10)).astype(np.float32)
    vv = files.write(tmp_path / "vv.tif", power[:1], ("VV",))
    vh = files.write(tmp_path / "vh.tif", power[1:], ("VH",))
    with LandcoverScene.open([str(both)]) as one, LandcoverScene.open([str(vh), str(vv)]) as two:
        assert two.polarisations == ("VV", "VH")
        assert two.sensors == ("s1",)
        assert np.allclose(one.read(one.grid.window), two.read(two.grid.window), atol=1e-3)
    with pytest.raises(UnitsError):
        LandcoverScene.open([str(both)], unit=Unit.POWER)


def test_the_simple_cloud_test_tells_cloud_from_sand_and_snow():
    from engine.optics.clouds import looks_cloudy

    grounds = {  # B02, B04, B11
        "cloud": (0.5, 0.5, 0.4),
        "sand": (0.26, 0.42, 0.5),
        "snow": (0.8, 0.8, 0.1),
        "forest": (0.03, 0.03, 0.15),
        "missing": (np.nan, 0.5, 0.4),
    }
    planes = np.array(list(grounds.values()), np.float32).T
    found = looks_cloudy(dict(zip(("B02", "B04", "B11"), planes, strict=True)))
    assert found is not None
    assert dict(zip(grounds, found.tolist(), strict=True)) == {name: name == "cloud" for name in grounds}
    assert looks_cloudy({"B02": planes[0], "B04": planes[1]}) is None
