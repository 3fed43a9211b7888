"""Change between two maps: sums to the pixel, areas in any CRS, legends, small patches, zones, bad input."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.warp import Resampling, calculate_default_transform, reproject
from scipy import ndimage

from engine.errors import BandError, Cancelled, GridError, InputError, MissingFileError, ParameterError
from engine.events import CancelToken, Reporter
from engine.jobs import find_job
from engine.legends import find_legend
from engine.mapping.landcover.change_zones import ChangeZones
from engine.mapping.landcover.map_pair import _modes
from engine.mapping.landcover.naming import Naming, of_legend
from engine.mapping.landcover.transitions import MOST, ChangeSums, TransitionCodes
from engine.raster import classes as classes_module
from engine.raster.grid import Grid
from engine.raster.regions import Regions

UTM = Affine(10, 0, 400_000, 0, -10, 5_600_000)
CRS = "EPSG:32633"
CODES = np.array([10, 30, 40, 80], np.uint8)


def do(job, **params):
    job = find_job(job)
    return job.run(job.parse(params), Reporter())


def write(path, codes, *, crs=CRS, transform=UTM, legend="worldcover", nodata=255, tags=None, names=None):
    codes = np.asarray(codes)
    bands = codes if codes.ndim == 3 else codes[None]
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2], dtype=bands.dtype,
        crs=crs, transform=transform, nodata=nodata,
    ) as target:  # fmt: skip
        target.write(bands)
        target.update_tags(**({"SAMESCENE_LEGEND": legend} if legend else {}), **(tags or {}))
        target.update_tags(1, **{f"CLASS_{code}": name for code, name in (names or {}).items()})
    return str(path)


def two_maps(shape=(90, 110), seed=0):
    """Patches of four classes; the second with some patches changed, and unknown and missing pixels in both."""
    rng = np.random.default_rng(seed)
    one = np.kron(rng.choice(CODES, (shape[0] // 10, shape[1] // 10)), np.ones((10, 10), np.uint8))
    other = one.copy()
    where = np.kron(rng.random((shape[0] // 5, shape[1] // 5)) < 0.15, np.ones((5, 5), bool))
    other[where] = rng.choice(CODES, where.sum())
    one[:10, :10], one[-5:, :30], other[20:30, :8] = 255, 0, 0
    return one, other


def pixel(path):
    with rasterio.open(path) as source:
        return source.read(1), source


def test_the_folder_and_its_sums(tmp_path):
    one, other = two_maps()
    a, b = write(tmp_path / "a.tif", one), write(tmp_path / "b.tif", other)
    result = do("landcover-change", map_a=a, map_b=b, out=str(tmp_path / "c"))
    out = tmp_path / "c"
    stored = json.loads((out / "result.json").read_text())
    assert stored == {k: v for k, v in result.items() if k != "out"}
    assert {p.name for p in out.iterdir()} == {*stored["outputs"].values(), "change.tif.aux.xml"}
    figures = stored["figures"]
    seen = (one != 255) & (one != 0) & (other != 255) & (other != 0)
    matrix = {(row["from_code"], row["to_code"]): row for row in figures["matrix"]}
    for x in CODES:
        for y in CODES:
            count = int((seen & (one == x) & (other == y)).sum())
            assert matrix.get((int(x), int(y)), {"pixels": 0})["pixels"] == count
    assert sum(row["pixels"] for row in figures["matrix"]) == int(seen.sum())
    assert figures["changed_m2"] == pytest.approx(int((seen & (one != other)).sum()) * 100, rel=1e-3)
    assert figures["compared_m2"] + figures["not_comparable_m2"] == pytest.approx(one.size * 100, rel=1e-3)
    for row in figures["classes"]:
        assert row["before_m2"] - row["loss_m2"] + row["gain_m2"] == pytest.approx(row["after_m2"], abs=0.1)
    # The raster: every pixel has the code of its pair, the codes have names and colours, the largest change is 1.
    change, source = pixel(out / "change.tif")
    assert (
        source.nodata == 255 and ((change == 255) == ~seen).all() and ((change == 0) == (seen & (one == other))).all()
    )
    with rasterio.open(out / "change.tif") as source:
        names = {k: v for k, v in source.tags(1).items() if k.startswith("CLASS_")}
        colors = source.colormap(1)
        assert source.tags()["SAMESCENE_CHANGE_LEGEND"] == "worldcover" and source.profile["tiled"]
    areas = [row["area_m2"] for row in figures["transitions"]]
    assert areas == sorted(areas, reverse=True) and [row["code"] for row in figures["transitions"]][:2] == [1, 2]
    for row in figures["transitions"]:
        assert int((change == row["code"]).sum()) == row["pixels"] == matrix[row["from_code"], row["to_code"]]["pixels"]
        assert (
            names[f"CLASS_{row['code']}"] == f"{row['from_name']} → {row['to_name']}" and colors[row["code"]][3] == 255
        )
    assert names["CLASS_0"] == "no change" and names["CLASS_255"] == "not comparable"
    with (out / "matrix.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["pixels"]) for r in rows] == [r["pixels"] for r in figures["matrix"]]
    meta, _, geometry, _ = pyogrio.raw.read(out / "change.gpkg", layer="matrix")
    assert geometry is None and list(meta["fields"]) == list(figures["matrix"][0])
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "has the errors of both" in page and "engine assess" in page and "<script" not in page
    assert any("errors of both" in line for line in stored["warnings"])


def test_no_change_is_zero(tmp_path):
    one, _ = two_maps()
    a = write(tmp_path / "a.tif", one)
    figures = do("landcover-change", map_a=a, map_b=a, out=str(tmp_path / "c"))["figures"]
    assert figures["changed_m2"] == 0 and figures["changed_percent"] == 0 and figures["transitions"] == []
    assert all(row["gain_m2"] == row["loss_m2"] == 0 for row in figures["classes"])


def test_the_result_does_not_depend_on_how_the_maps_are_cut(tmp_path, monkeypatch):
    one, other = two_maps(seed=3)
    a, b = write(tmp_path / "a.tif", one), write(tmp_path / "b.tif", other)

    def made(name):
        result = do("landcover-change", map_a=a, map_b=b, min_area=1500, out=str(tmp_path / name))
        return pixel(tmp_path / name / "change.tif")[0], result["figures"]["matrix"]

    whole = made("a")
    monkeypatch.setattr(classes_module, "_STRIP_PX", 110 * 7)
    cut = made("b")
    assert (whole[0] == cut[0]).all() and whole[1] == cut[1]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_small_patches_count_as_no_change(tmp_path_factory, seed, least):
    """Against labelling the whole map at once: 8-connected patches of changed pixels below the area are dropped."""
    rng = np.random.default_rng(seed)
    one = rng.choice(CODES, (20, 24))
    other = np.where(rng.random(one.shape) < 0.25, rng.choice(CODES, one.shape), one).astype(np.uint8)
    folder = tmp_path_factory.mktemp("min")
    a, b = write(folder / "a.tif", one), write(folder / "b.tif", other)
    figures = do("landcover-change", map_a=a, map_b=b, min_area=least * 100.0 - 50, out=str(folder / "c"))["figures"]
    labels, count = ndimage.label(one != other, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    stays = (labels > 0) & (sizes[labels] >= least)
    change = pixel(folder / "c" / "change.tif")[0]
    assert ((change != 0) == stays).all()
    assert figures["changed_m2"] == pytest.approx(stays.sum() * 100, rel=1e-3)
    assert sum(row["pixels"] for row in figures["matrix"]) == one.size


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_modes(seed, k):
    rng = np.random.default_rng(seed)
    fine = rng.choice(np.array([10, 40, 80, 255], np.uint8), (5 * k, 7 * k))
    found = _modes(fine, k)
    for r in range(5):
        for c in range(7):
            values, counts = np.unique(fine[r * k : (r + 1) * k, c * k : (c + 1) * k], return_counts=True)
            assert found[r, c] == values[np.argmax(counts)]


def test_a_finer_later_map_gives_its_most_frequent_class(tmp_path):
    one, other = two_maps()
    fine = np.kron(other, np.ones((4, 4), np.uint8))
    rng = np.random.default_rng(1)
    fine = np.where(rng.random(fine.shape) < 0.2, rng.choice(CODES, fine.shape), fine).astype(np.uint8)
    a = write(tmp_path / "a.tif", one)
    b = write(tmp_path / "b.tif", fine, transform=UTM @ Affine.scale(0.25))
    do("landcover-change", map_a=a, map_b=b, out=str(tmp_path / "c"))
    found = pixel(tmp_path / "c" / "change.tif")[0]
    mode = _modes(fine, 4)
    seen = (one != 255) & (one != 0) & (mode != 0)
    assert ((found == 0) == (seen & (mode == one))).all() and ((found == 255) == ~seen).all()
    coarse = do("landcover-change", map_a=b, map_b=a, out=str(tmp_path / "d"))
    assert any("4.0 times as large" in line for line in coarse["warnings"])


def test_maps_of_different_extent_are_compared_where_both_are(tmp_path):
    one, other = two_maps()
    a = write(tmp_path / "a.tif", one)
    b = write(tmp_path / "b.tif", other[30:70, 50:], transform=UTM @ Affine.translation(50, 30))
    figures = do("landcover-change", map_a=a, map_b=b, out=str(tmp_path / "c"))["figures"]
    part = (slice(30, 70), slice(50, None))
    seen = (one[part] != 255) & (one[part] != 0) & (other[part] != 0)
    assert sum(row["pixels"] for row in figures["matrix"]) == int(seen.sum())
    change, _ = pixel(tmp_path / "c" / "change.tif")
    assert change.shape[0] < 60  # cut to the overlap, with a little margin
    far = write(tmp_path / "far.tif", other, transform=Affine(10, 0, 500_000, 0, -10, 5_600_000))
    with pytest.raises(GridError, match="do not overlap"):
        do("landcover-change", map_a=a, map_b=far, out=str(tmp_path / "d"))


def test_areas_agree_between_degrees_and_utm(tmp_path):
    one, other = two_maps()
    west, north = UTM.c, UTM.f
    transform, width, height = calculate_default_transform(
        CRS, "EPSG:4326", 110, 90, west, north - 900, west + 1100, north, resolution=1e-5
    )
    paths = {}
    for name, codes in (("a", one), ("b", other)):
        degrees = np.full((height, width), 255, np.uint8)
        reproject(
            codes, degrees, src_transform=UTM, src_crs=CRS, dst_transform=transform, dst_crs="EPSG:4326",
            src_nodata=255, dst_nodata=255, resampling=Resampling.nearest,
        )  # fmt: skip
        paths[name] = write(tmp_path / f"{name}.tif", codes)
        paths[f"{name}_geo"] = write(tmp_path / f"{name}_geo.tif", degrees, crs="EPSG:4326", transform=transform)
    utm = do("landcover-change", map_a=paths["a"], map_b=paths["b"], out=str(tmp_path / "u"))["figures"]
    geo = do("landcover-change", map_a=paths["a_geo"], map_b=paths["b_geo"], out=str(tmp_path / "g"))["figures"]
    mixed = do("landcover-change", map_a=paths["a"], map_b=paths["b_geo"], out=str(tmp_path / "m"))["figures"]
    for found in (geo, mixed):
        assert found["compared_m2"] == pytest.approx(utm["compared_m2"], rel=1e-3)
        for mine, theirs in zip(utm["classes"], found["classes"], strict=True):
            assert theirs["after_m2"] == pytest.approx(mine["after_m2"], rel=1e-3)


def test_maps_in_different_legends(tmp_path):
    """Dynamic World against WorldCover: the first map's legend, by the mapping that ships; or the one asked for."""
    world = find_legend("worldcover")
    dynamic = find_legend("dynamic-world")
    back = {world: own for own, world in dynamic.mapping_to(world).items()}
    one, other = two_maps()
    translated = np.vectorize(lambda c: back.get(int(c), int(c)))(other).astype(np.uint8)
    a = write(tmp_path / "a.tif", one)
    b = write(tmp_path / "b.tif", translated, legend="dynamic-world")
    plain = write(tmp_path / "p.tif", other)
    same = do("landcover-change", map_a=a, map_b=plain, out=str(tmp_path / "s"))["figures"]
    found = do("landcover-change", map_a=a, map_b=b, out=str(tmp_path / "c"))
    assert found["figures"]["matrix"] == same["matrix"] and found["figures"]["legend"] == "worldcover"
    assert any("brought from the legend dynamic-world to worldcover" in line for line in found["warnings"])
    asked = do("landcover-change", map_a=a, map_b=b, legend="dynamic-world", out=str(tmp_path / "d"))["figures"]
    assert asked["legend"] == "dynamic-world" and asked["changed_m2"] == same["changed_m2"]
    # A file that names no legend but has WorldCover's codes is WorldCover.
    untold = write(tmp_path / "u.tif", other, legend=None)
    assert do("landcover-change", map_a=a, map_b=untold, out=str(tmp_path / "e"))["figures"]["matrix"] == same["matrix"]
    strange = write(tmp_path / "x.tif", np.full((90, 110), 7, np.uint8), legend=None)
    with pytest.raises(ParameterError, match="names no legend, and its codes 7 are not those of worldcover"):
        do("landcover-change", map_a=a, map_b=strange, out=str(tmp_path / "f"))


def test_codes_that_a_legend_knows_as_no_class(tmp_path):
    """Cloud (8) in the Esri legend: not comparable, and no error."""
    one = np.full((20, 20), 2, np.uint8)
    other = one.copy()
    other[:5] = 8
    a, b = (write(tmp_path / f"{n}.tif", m, legend="esri-lulc", nodata=None) for n, m in (("a", one), ("b", other)))
    figures = do("landcover-change", map_a=a, map_b=b, out=str(tmp_path / "c"))["figures"]
    assert sum(row["pixels"] for row in figures["matrix"]) == 300 and figures["changed_m2"] == 0
    sample = do("assess-sample", map=b, points=20, out=str(tmp_path / "s"))["figures"]
    assert [s["code"] for s in sample["strata"]] == [2]


def test_codes_of_ones_own_keep_the_names_in_the_file(tmp_path):
    one, other = (np.where(m == 255, 255, m // 10).astype(np.uint8) for m in two_maps())
    names = {1: "pine", 3: "meadow", 4: "field", 8: "pond"}
    a, b = (write(tmp_path / f"{n}.tif", m, legend=None, names=names) for n, m in (("a", one), ("b", other)))
    figures = do("landcover-change", map_a=a, map_b=b, out=str(tmp_path / "c"))["figures"]
    assert figures["legend"] is None
    assert {row["from_name"] for row in figures["matrix"]} == {*names.values(), "class 0"}
    # A model's own classes are told by the name of the model, which is no legend: the names in the file count.
    own = write(tmp_path / "m.tif", other, legend="model:mine", names={**names, 4: "road"})
    with pytest.raises(ParameterError, match=r"Code 4 is 'field' in .* and 'road' in"):
        do("landcover-change", map_a=a, map_b=own, out=str(tmp_path / "d"))


def test_zones(tmp_path):
    one, other = two_maps()
    a, b = write(tmp_path / "a.tif", one), write(tmp_path / "b.tif", other)
    x0, y0 = UTM.c, UTM.f
    boxes = [shapely.box(x0 + 100, y0 - 500, x0 + 600, y0 - 100), shapely.box(x0 + 300, y0 - 2000, x0 + 900, y0 - 300)]
    options = {"driver": "GPKG", "geometry_type": "Polygon", "crs": CRS}
    names = [np.array(["west", "east"], object)]
    pyogrio.raw.write(tmp_path / "z.gpkg", shapely.to_wkb(np.array(boxes)), names, ["name"], **options)
    result = do(
        "landcover-change", map_a=a, map_b=b, zones=str(tmp_path / "z.gpkg"), zone_field="name", out=str(tmp_path / "c")
    )
    rows = {row["zone_id"]: row for row in result["figures"]["zones"]}
    seen = (one != 255) & (one != 0) & (other != 255) & (other != 0)
    west = np.zeros(one.shape, bool)
    west[10:50, 10:60] = True
    assert rows["west"]["compared_m2"] == pytest.approx((west & seen).sum() * 100, rel=1e-3)
    assert rows["west"]["changed_m2"] == pytest.approx((west & seen & (one != other)).sum() * 100, rel=1e-3)
    assert rows["east"]["compared_percent"] < 50  # it reaches over the edge
    meta, _, _, columns = pyogrio.raw.read(tmp_path / "c" / "change.gpkg", layer="zones")
    assert list(meta["fields"])[:3] == ["zone_id", "compared_m2", "changed_m2"] and len(columns[0]) == 2
    meta, _, _, columns = pyogrio.raw.read(tmp_path / "c" / "change.gpkg", layer="zone_changes")
    fields = dict(zip(meta["fields"], columns, strict=True))
    inside = fields["zone_id"] == "west"
    assert fields["area_m2"][inside].sum() == pytest.approx(rows["west"]["compared_m2"], abs=2)
    with pytest.raises(ParameterError, match="--zone-field is given without --zones"):
        do("landcover-change", map_a=a, map_b=b, zone_field="name", out=str(tmp_path / "d"))


def test_more_kinds_of_change_than_codes(tmp_path):
    rng = np.random.default_rng(0)
    one, other = rng.integers(1, 30, (2, 120, 120)).astype(np.uint8)
    a, b = write(tmp_path / "a.tif", one, legend=None), write(tmp_path / "b.tif", other, legend=None)
    result = do("landcover-change", map_a=a, map_b=b, out=str(tmp_path / "c"))
    change = pixel(tmp_path / "c" / "change.tif")[0]
    assert ((change == 0) == (one == other)).all()
    listed = result["figures"]["transitions"]
    assert len(listed) == MOST - 1
    assert int((change == MOST).sum()) == int((one != other).sum()) - sum(row["pixels"] for row in listed)
    assert len(result["figures"]["matrix"]) > MOST and any("share the code 254" in w for w in result["warnings"])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_codes_and_sums_agree(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.choice(np.array([10, 20, 30, 255], np.uint8), (2, 13, 17))
    sums = ChangeSums()
    sums.add(one, other, np.full((1, 1), 2.0))
    naming = of_legend(find_legend("worldcover"))
    codes = TransitionCodes(sums, naming)
    raster = codes.of(one, other)
    assert sums.compared == 2.0 * ((one != 255) & (other != 255)).sum()
    assert sums.changed == 2.0 * ((raster != 0) & (raster != 255)).sum()
    for number, (a, b) in enumerate(codes.pairs, start=1):
        assert ((raster == number) == ((one == a) & (other == b))).all()


def test_zones_add_up_over_strips():
    grid = Grid(20, 20, UTM, rasterio.crs.CRS.from_string(CRS))
    regions = Regions("z", grid.crs, np.array([shapely.box(*grid.bounds)], object), ("all",))
    one, other = two_maps((20, 20))
    whole, cut = ChangeZones(regions, grid), ChangeZones(regions, grid)
    areas = np.full((1, 1), 100.0)
    whole.add(grid.window, one, other, areas)
    for strip in grid.strips(7):
        rows = slice(strip.core.row, strip.core.row_stop)
        cut.add(strip.core, one[rows], other[rows], areas)
    assert whole.rows(Naming()) == cut.rows(Naming()) and whole.changes(Naming()) == cut.changes(Naming())


def test_dates_the_wrong_way_round_are_told(tmp_path):
    one, other = two_maps()
    a = write(tmp_path / "a.tif", one, tags={"ACQUIRED": "2023-06-01"})
    b = write(tmp_path / "b.tif", other, tags={"ACQUIRED": "2019-06-01"})
    result = do("landcover-change", map_a=a, map_b=b, out=str(tmp_path / "c"))
    assert any("wrong way round" in line for line in result["warnings"])


def test_bad_maps_are_one_clear_line(tmp_path):
    one, other = two_maps()
    a = write(tmp_path / "a.tif", one)

    def fails(kind, words, **params):
        with pytest.raises(kind, match=words) as failure:
            do("landcover-change", **{"map_a": a, "map_b": a, "out": str(tmp_path / "o"), **params})
        assert "\n" not in failure.value.line and not (tmp_path / "o").exists()

    fails(MissingFileError, "later map does not exist", map_b="absent.tif")
    fails(GridError, "no coordinate reference system", map_b=write(tmp_path / "b.tif", other, crs=None))
    fails(BandError, "has 2 bands", map_b=write(tmp_path / "c.tif", np.stack([one, other])))
    reflectance = write(tmp_path / "d.tif", one / np.float32(100), nodata=None)
    fails(InputError, "expected class codes, whole numbers", map_b=reflectance)
    fails(InputError, "has class code 1245", map_b=write(tmp_path / "e.tif", one.astype(np.int16) + 990, nodata=-1))
    fails(GridError, "no place where both have a class", map_b=write(tmp_path / "f.tif", np.zeros_like(one)))
    fails(ParameterError, "no legend 'nonsense'", legend="nonsense")
    fails(
        ParameterError, "codes 11 are no classes of the legend", map_b=write(tmp_path / "g.tif", np.full_like(one, 11))
    )


def test_cancel_leaves_nothing(tmp_path):
    one, other = two_maps()
    a, b = write(tmp_path / "a.tif", one), write(tmp_path / "b.tif", other)
    job = find_job("landcover-change")
    for stage in ("count", "patches", "compare", "tables"):
        token = CancelToken()

        def stop(event, stage=stage, token=token):
            if getattr(event, "stage", "") == stage:
                token.cancel()

        request = job.parse({"map_a": a, "map_b": b, "min_area": 500.0, "out": str(tmp_path / "c")})
        with pytest.raises(Cancelled):
            job.run(request, Reporter(stop, token=token))
        assert not (tmp_path / "c").exists()


class TestLegend:
    """engine landcover-legend."""

    def test_another_legend(self, tmp_path):
        one, _ = two_maps()
        a = write(tmp_path / "a.tif", one, tags={"ACQUIRED": "2023-06-01"})
        result = do("landcover-legend", map=a, legend="dfc2020", out=str(tmp_path / "l"))
        made, _ = pixel(tmp_path / "l" / "landcover.tif")
        mapping = find_legend("worldcover").mapping_to(find_legend("dfc2020"))
        for code in np.unique(one):
            expected = mapping.get(int(code), int(code))
            assert (made[one == code] == expected).all()
        with rasterio.open(tmp_path / "l" / "landcover.tif") as source:
            assert source.tags()["SAMESCENE_LEGEND"] == "dfc2020" and source.tags()["ACQUIRED"] == "2023-06-01"
            assert source.colormap(1)[mapping[10]] == dict(find_legend("dfc2020").colors)[mapping[10]]
            assert source.nodata == 255
        assert sum(row["pixels"] for row in result["figures"]["classes"]) == one.size

    def test_merging(self, tmp_path):
        one, _ = two_maps()
        a = write(tmp_path / "a.tif", one)
        result = do("landcover-legend", map=a, merge="30+40=40, 80=0", out=str(tmp_path / "l"))
        made, _ = pixel(tmp_path / "l" / "landcover.tif")
        assert (made[(one == 30) | (one == 40)] == 40).all() and (made[one == 80] == 0).all()
        names = {row["code"]: row["name"] for row in result["figures"]["classes"]}
        assert names[40] == "Grassland or Cropland" and result["figures"]["legend"] is None

    def test_a_mapping_of_ones_own(self, tmp_path):
        one, _ = two_maps()
        own = write(tmp_path / "a.tif", np.where(one == 255, 255, one // 10).astype(np.uint8), legend=None)
        (tmp_path / "m.json").write_text('{"0": 0, "1": 10, "3": 30, "4": 40, "8": 80}')
        do("landcover-legend", map=own, mapping=str(tmp_path / "m.json"), legend="worldcover", out=str(tmp_path / "l"))
        assert (pixel(tmp_path / "l" / "landcover.tif")[0] == one).all()

    def test_errors(self, tmp_path):
        one, _ = two_maps()
        a = write(tmp_path / "a.tif", one)
        own = write(tmp_path / "b.tif", one // 10, legend=None)
        (tmp_path / "m.json").write_text('{"10": 1}')
        (tmp_path / "n.json").write_text("[1]")

        def fails(words, **params):
            with pytest.raises(InputError, match=words):
                do("landcover-legend", **{"map": a, "out": str(tmp_path / "o"), **params})
            assert not (tmp_path / "o").exists()

        fails("Nothing is asked for")
        fails("no legend 'x'", legend="x")
        fails(r"no CODE\+CODE=CODE", merge="30-40")
        fails("--merge names 31; the classes are 10, 20", merge="30+31=30")
        fails("says nothing of the codes 30, 40, 80", mapping=str(tmp_path / "m.json"))
        fails("expected codes by code", mapping=str(tmp_path / "n.json"))
        fails("cannot be read", mapping=str(tmp_path / "none.json"))
        fails("names no legend", map=own, legend="dfc2020")
