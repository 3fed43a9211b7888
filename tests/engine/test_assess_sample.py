"""Drawing points: the design that was asked for, blind, the same for the same seed, right in every CRS."""

from __future__ import annotations

import json

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine

from engine.assess.drawing import draw_random, draw_systematic
from engine.assess.population import Population
from engine.errors import BandError, Cancelled, EngineError, GridError, InputError, MissingFileError, ParameterError
from engine.events import CancelToken, Reporter
from engine.jobs import find_job
from engine.metrics.area_estimates import estimate_accuracy
from engine.metrics.stratified_sample import post_stratified
from engine.raster import classes as classes_module
from engine.raster.classes import MISSING

UTM = Affine(10, 0, 400_000, 0, -10, 5_600_000)


def do(job, **params):
    job = find_job(job)
    return job.run(job.parse(params), Reporter())


def write(path, codes, *, crs="EPSG:32633", transform=UTM, legend="worldcover", nodata=255, **keywords):
    codes = np.asarray(codes)
    bands = codes if codes.ndim == 3 else codes[None]
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=bands.shape[1], width=bands.shape[2], dtype=bands.dtype,
        crs=crs, transform=transform, nodata=nodata, **keywords,
    ) as target:  # fmt: skip
        target.write(bands)
        if legend:
            target.update_tags(SAMESCENE_LEGEND=legend)
    return str(path)


def blocks(seed=0, shape=(120, 150)):
    """A map of three classes, with a corner of nodata and one of unknown."""
    rng = np.random.default_rng(seed)
    codes = np.kron(
        rng.choice(np.array([10, 40, 80], np.uint8), (12, 15), p=[0.5, 0.4, 0.1]), np.ones((10, 10), np.uint8)
    )
    codes = codes[: shape[0], : shape[1]]
    codes[:10, :20] = 255
    codes[-10:, -20:] = 0
    return codes


@pytest.fixture
def mapped(tmp_path):
    return write(tmp_path / "map.tif", blocks(), tiled=True, blockxsize=16, blockysize=16)


def layer(folder):
    meta, _, wkb, columns = pyogrio.raw.read(folder / "points.gpkg", layer="points")
    import shapely

    points = shapely.from_wkb(wkb)
    return meta, shapely.get_x(points), shapely.get_y(points), dict(zip(meta["fields"], columns, strict=True))


def test_the_folder_of_a_stratified_sample(mapped, tmp_path):
    result = do("assess-sample", map=mapped, points=120, min_points=30, out=str(tmp_path / "s"))
    out = tmp_path / "s"
    assert {p.name for p in out.iterdir()} == {"points.gpkg", "design.json", "report.html", "result.json"}
    stored = json.loads((out / "result.json").read_text())
    assert stored == {k: v for k, v in result.items() if k != "out"}
    strata = {one["code"]: one for one in result["figures"]["strata"]}
    codes = blocks()
    assert set(strata) == {10, 40, 80} and sum(one["points"] for one in strata.values()) == 120
    assert strata[80]["points"] == 30
    for code, one in strata.items():
        assert one["pixels"] == int((codes == code).sum())
        assert one["area_m2"] == pytest.approx(one["pixels"] * 100, rel=1e-3)
    assert sum(one["weight"] for one in strata.values()) == pytest.approx(1)
    meta, x, y, fields = layer(out)
    assert list(meta["fields"]) == ["point_id", "label", "confident", "note", "labelled_by", "labelled_at"]
    assert [str(t) for t in meta["dtypes"]] == ["int32", "int32", "bool", "object", "object", "datetime64[ms]"]
    assert fields["point_id"].tolist() == list(range(1, 121)) and np.isnan(fields["label"].astype(float)).all()
    # Points at centres of pixels whose class is that of the design, none twice.
    design = json.loads((out / "design.json").read_text())
    assert design["map"]["sha256"] == result["inputs"]["map"]["sha256"] and len(design["map"]["sha256"]) == 64
    col, row = (x - UTM.c) / 10 - 0.5, (UTM.f - y) / 10 - 0.5
    assert (row == [p["row"] for p in design["points"]]).all() and (col == [p["col"] for p in design["points"]]).all()
    assert [codes[p["row"], p["col"]] for p in design["points"]] == [p["map_class"] for p in design["points"]]
    assert len({(p["row"], p["col"]) for p in design["points"]}) == 120
    assert design["legend"] == "worldcover" and 0 in design["excluded_codes"]
    assert 0 not in {one["code"] for one in design["classes"]}


def test_the_layer_is_blind(mapped, tmp_path):
    """Nothing in the layer, and not its order, tells the stratum."""
    do("assess-sample", map=mapped, points=300, allocation="equal", out=str(tmp_path / "s"))
    _, _, _, fields = layer(tmp_path / "s")
    assert not {"stratum", "map_class", "code"} & set(fields)
    design = json.loads((tmp_path / "s" / "design.json").read_text())
    strata = np.array([p["stratum"] for p in design["points"]])
    changes = int((np.diff(strata) != 0).sum())
    assert 150 < changes < 250  # two in three neighbours differ in a random order of three equal strata


def test_the_same_seed_gives_the_same_points_however_the_map_is_cut(mapped, tmp_path, monkeypatch):
    def drawn(name, **params):
        do("assess-sample", map=mapped, points=80, out=str(tmp_path / name), **params)
        return json.loads((tmp_path / name / "design.json").read_text())["points"]

    first = drawn("a", seed=3)
    monkeypatch.setattr(classes_module, "_STRIP_PX", 150 * 7)
    assert drawn("b", seed=3) == first
    assert drawn("c", seed=4) != first
    systematic = drawn("d", design="systematic")
    monkeypatch.setattr(classes_module, "_STRIP_PX", 10**9)
    assert drawn("e", design="systematic") == systematic


@pytest.mark.parametrize("design", ["simple", "systematic"])
def test_designs_without_strata(mapped, tmp_path, design):
    result = do("assess-sample", map=mapped, points=200, design=design, out=str(tmp_path / "s"))
    stored = json.loads((tmp_path / "s" / "design.json").read_text())
    assert stored["design"] == design and len(stored["strata"]) == 1
    assert stored["strata"][0]["pixels"] == int(np.isin(blocks(), (10, 40, 80)).sum())
    count = result["figures"]["points"]
    assert count == 200 if design == "simple" else abs(count - 200) < 40
    if design == "systematic":
        rows = np.unique([p["row"] for p in stored["points"]])
        assert np.ptp(np.diff(rows)) <= 1


class _Drawn:
    """How often each pixel is drawn over many seeds."""

    def __init__(self, path, how, repeats):
        with Population(path) as population:
            census = population.census(Reporter())
            self.areas = np.broadcast_to(population.areas(population.grid.window), population.grid.shape)
            self.counts = np.zeros(population.grid.shape)
            self.sizes = []
            for seed in range(repeats):
                points = how(population, census, seed)
                self.sizes.append(len(points))
                np.add.at(self.counts, (points.row, points.col), 1)


def test_in_degrees_a_place_and_not_a_pixel_has_the_same_chance(tmp_path):
    """Between 50 and 80 degrees north a pixel shrinks to a quarter: so does its chance to be drawn."""
    path = write(
        tmp_path / "map.tif", np.full((60, 40), 10, np.uint8), crs="EPSG:4326", transform=Affine(0.5, 0, 0, 0, -0.5, 80)
    )
    for how in (
        lambda p, c, s: draw_random(p, c, {10: 40}, seed=s, reporter=Reporter()),
        lambda p, c, s: draw_systematic(p, c, 40, seed=s, reporter=Reporter()),
    ):
        drawn = _Drawn(path, how, 300)
        share = drawn.counts.reshape(6, 10, 40).sum(axis=(1, 2)) / drawn.counts.sum()
        area = drawn.areas.reshape(6, 10, 40).sum(axis=(1, 2)) / drawn.areas.sum()
        assert share == pytest.approx(area, abs=0.02)
        assert np.mean(drawn.sizes) == pytest.approx(40, rel=0.03)


def test_every_pixel_of_a_stratum_can_be_asked_for(tmp_path):
    codes = np.full((30, 30), 10, np.uint8)
    codes[0, :7] = 80
    path = write(tmp_path / "map.tif", codes)
    result = do("assess-sample", map=path, points=100, allocation="10=93,80=7", out=str(tmp_path / "s"))
    assert result["figures"]["points"] == 100
    more = do("assess-sample", map=path, points=100, min_points=20, out=str(tmp_path / "t"))
    assert {s["code"]: s["points"] for s in more["figures"]["strata"]} == {10: 93, 80: 7}
    assert any("Every pixel of stratum 80" in line for line in more["warnings"])


def test_area_of_interest_and_strata_of_another_raster(mapped, tmp_path):
    strata = np.zeros((30, 40), np.uint8)
    strata[:, 20:] = 1
    other = write(
        tmp_path / "strata.tif", strata, transform=Affine(40, 0, 400_000, 0, -40, 5_600_000), legend=None, nodata=None
    )
    result = do("assess-sample", map=mapped, strata=other, points=60, out=str(tmp_path / "s"))
    assert [s["code"] for s in result["figures"]["strata"]] == [0, 1]
    design = json.loads((tmp_path / "s" / "design.json").read_text())
    assert all(p["stratum"] == strata[p["row"] // 4, p["col"] // 4] for p in design["points"])
    assert {c["code"] for c in design["map_classes"]} == {10, 40, 80}

    from engine.raster.crs import Transformation

    lon, lat = Transformation("EPSG:32633", "EPSG:4326")(
        np.array([400_300.0, 400_900.0]), np.array([5_599_100.0, 5_599_700.0])
    )
    box = f"{lon[0]},{lat[0]},{lon[1]},{lat[1]}"
    inside = do("assess-sample", map=mapped, aoi=box, points=40, out=str(tmp_path / "t"))
    assert inside["figures"]["total_area_m2"] == pytest.approx(600 * 600, rel=0.05)
    design = json.loads((tmp_path / "t" / "design.json").read_text())
    assert all(25 <= p["row"] <= 95 and 25 <= p["col"] <= 95 for p in design["points"])


def test_areas_agree_between_degrees_and_utm(tmp_path):
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    codes = blocks()
    utm = write(tmp_path / "utm.tif", codes)
    transform, width, height = calculate_default_transform(
        "EPSG:32633", "EPSG:4326", 150, 120, 400_000, 5_598_800, 401_500, 5_600_000, resolution=2e-5
    )
    degrees = np.full((height, width), 255, np.uint8)
    reproject(
        codes,
        degrees,
        src_transform=UTM,
        src_crs="EPSG:32633",
        dst_transform=transform,
        dst_crs="EPSG:4326",
        src_nodata=255,
        dst_nodata=255,
        resampling=Resampling.nearest,
    )
    geo = write(tmp_path / "geo.tif", degrees, crs="EPSG:4326", transform=transform)
    found = [do("assess-sample", map=p, points=50, out=str(tmp_path / n)) for p, n in ((utm, "a"), (geo, "b"))]
    for one, other in zip(*(f["figures"]["strata"] for f in found), strict=True):
        assert other["area_m2"] == pytest.approx(one["area_m2"], rel=1e-3)


def test_the_number_of_points_from_a_standard_error(mapped, tmp_path):
    result = do("assess-sample", map=mapped, target_se=0.03, expected="10=0.9,40=0.8,80=0.7", out=str(tmp_path / "s"))
    weights = np.array([s["weight"] for s in result["figures"]["strata"]])
    spread = np.sqrt([0.09, 0.16, 0.21])
    expected = (weights @ spread) ** 2 / (0.03**2 + (weights @ spread**2) / result["figures"]["total_pixels"])
    assert result["figures"]["points"] == int(np.ceil(expected))


def test_maps_without_legend(tmp_path):
    """WorldCover's codes without names are WorldCover; other codes keep the names that the file has."""
    codes = blocks()
    plain = write(tmp_path / "plain.tif", codes, legend=None)
    result = do("assess-sample", map=plain, points=50, out=str(tmp_path / "a"))
    assert result["figures"]["legend"] == "worldcover" and result["figures"]["strata"][0]["name"] == "Tree cover"
    own = write(tmp_path / "own.tif", np.where(codes == 255, 255, codes // 10).astype(np.uint8), legend=None)
    with rasterio.open(own, "r+") as target:
        target.update_tags(1, CLASS_1="pine", CLASS_4="oak")
    result = do("assess-sample", map=own, points=50, out=str(tmp_path / "b"))
    assert [s["name"] for s in result["figures"]["strata"]] == ["class 0", "pine", "oak", "class 8"]


@pytest.mark.parametrize(
    ("params", "kind", "words"),
    [
        ({"map": "absent.tif"}, MissingFileError, "does not exist"),
        ({"allocation": "10=5,90=5"}, ParameterError, "names stratum 90; found 10, 40, 80"),
        ({"allocation": "10=5,80=999999"}, ParameterError, "999999 points are wanted in stratum 80, which has"),
        ({"allocation": "some"}, ParameterError, "not known"),
        ({"allocation": "10=a,20=b"}, ParameterError, "no CODE=NUMBER"),
        ({"allocation": "optimal"}, ParameterError, "needs the user's accuracy"),
        ({"allocation": "optimal", "expected": "10=1.4"}, ParameterError, "not within 0 to 1"),
        ({"allocation": "optimal", "expected": "20=.4"}, ParameterError, "--expected names 20"),
        ({"points": 900_000}, ParameterError, "900000 points are wanted, but only"),
        ({"points": 900_000, "design": "simple"}, ParameterError, "900000 points are wanted, but only"),
        ({"points": 9_000, "design": "systematic"}, ParameterError, "too many for"),
        ({"points": 20, "min_points": 50}, ParameterError, "20 points are too few for 50 in each of 3 strata"),
        ({"exclude": "10,40,80,0"}, GridError, "no pixel with a class"),
        ({"exclude": "x"}, ParameterError, "no list of codes"),
        ({"design": "simple", "strata": "s.tif"}, ParameterError, "--strata is given with the design simple"),
        ({"legend": "nonsense"}, ParameterError, "no legend 'nonsense'"),
    ],
)  # fmt: skip
def test_errors_are_one_clear_line_and_leave_nothing(mapped, tmp_path, params, kind, words):
    out = tmp_path / "s"
    with pytest.raises(kind, match=words) as failure:
        do("assess-sample", **{"map": mapped, "out": str(out), **params})
    assert "\n" not in failure.value.line and not out.exists()


def test_maps_that_cannot_be_sampled(tmp_path):
    no_crs = write(tmp_path / "a.tif", blocks(), crs=None)
    with pytest.raises(GridError, match="no coordinate reference system"):
        do("assess-sample", map=no_crs, out=str(tmp_path / "o"))
    values = write(tmp_path / "b.tif", np.full((9, 9), 1.5, np.float32), legend=None, nodata=None)
    with pytest.raises(InputError, match=r"the value 1\.5 at row 0, column 0; expected class codes"):
        do("assess-sample", map=values, out=str(tmp_path / "o"))
    bands = write(tmp_path / "c.tif", np.zeros((3, 9, 9), np.uint8))
    with pytest.raises(BandError, match="has 3 bands"):
        do("assess-sample", map=bands, out=str(tmp_path / "o"))
    blank = write(tmp_path / "d.tif", np.full((9, 9), 255, np.uint8))
    with pytest.raises(GridError, match="no pixel with a class"):
        do("assess-sample", map=blank, out=str(tmp_path / "o"))


def test_cancel_leaves_nothing(mapped, tmp_path):
    token = CancelToken()
    job = find_job("assess-sample")

    def stop(event):
        if getattr(event, "stage", "") == "draw":
            token.cancel()

    with pytest.raises(Cancelled):
        job.run(job.parse({"map": mapped, "points": 50, "out": str(tmp_path / "s")}), Reporter(stop, token=token))
    assert not (tmp_path / "s").exists()
    assert issubclass(Cancelled, EngineError)


@pytest.mark.parametrize("design", ["stratified", "simple", "systematic"])
def test_in_degrees_areas_and_not_pixels_are_estimated(tmp_path, design):
    """Between 50 and 80 degrees north, with water mostly in the north: 35 % of the pixels are 31 % of the area.

    Many samples of each design give the share of the area on average, and their intervals hold it.
    """
    rng = np.random.default_rng(0)
    shape = 120, 80
    truth = np.where(rng.random(shape) < np.linspace(0.6, 0.1, 120)[:, None], 80, 10).astype(np.uint8)
    mapped = np.where(rng.random(shape) < 0.2, rng.choice(np.array([10, 80], np.uint8), shape), truth)
    path = write(
        tmp_path / "map.tif", mapped.astype(np.uint8), crs="EPSG:4326", transform=Affine(0.25, 0, 0, 0, -0.25, 80)
    )
    values, held, draws = [], 0, 150
    with Population(path) as population:
        census = population.census(Reporter())
        areas = np.broadcast_to(population.areas(population.grid.window), shape)
        share = areas[truth == 80].sum() / areas.sum()
        assert (truth == 80).mean() - share > 0.04
        sizes = np.array([census.strata[10], census.strata[80]])
        for seed in range(draws):
            if design == "systematic":
                points = draw_systematic(population, census, 300, seed=seed, reporter=Reporter())
            else:
                wanted = {10: 150, 80: 150} if design == "stratified" else {MISSING: 300}
                points = draw_random(population, census, wanted, seed=seed, reporter=Reporter())
            sample = post_stratified(
                area=sizes[:, 1],
                pixels=sizes[:, 0].astype(np.int64),
                mapped=(points.mapped == 80).astype(np.int64),
                reference=(truth[points.row, points.col] == 80).astype(np.int64),
                names=("land", "water"),
            )
            found = estimate_accuracy(sample).area[1]
            values.append(found.value)
            held += found.low <= share <= found.high
    assert np.mean(values) == pytest.approx(share, abs=0.005)
    assert held / draws > 0.9
