"""From labels to figures: the published numbers through the command, partly labelled samples, other maps, bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from engine.errors import DamagedFileError, EngineError, GridError, InputError, MissingFileError, ParameterError
from engine.events import Reporter
from engine.jobs import find_job

UTM = Affine(10, 0, 400_000, 0, -10, 5_600_000)
CRS = "EPSG:32633"


def do(job, **params):
    job = find_job(job)
    return job.run(job.parse(params), Reporter())


def write(path, codes, *, legend="worldcover", transform=UTM, nodata=255):
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=codes.shape[0], width=codes.shape[1], dtype="uint8", crs=CRS,
        transform=transform, nodata=nodata,
    ) as target:  # fmt: skip
        target.write(codes.astype(np.uint8), 1)
        if legend:
            target.update_tags(SAMESCENE_LEGEND=legend)
    return str(path)


def truth_and_map(seed=1):
    """A truth, and a map of it that is wrong in one pixel of six."""
    rng = np.random.default_rng(seed)
    classes = np.array([10, 40, 80], np.uint8)
    truth = np.kron(rng.choice(classes, (20, 20), p=[0.5, 0.35, 0.15]), np.ones((10, 10), np.uint8))
    wrong = rng.random(truth.shape) < 1 / 6
    return truth, np.where(wrong, rng.choice(classes, truth.shape), truth).astype(np.uint8)


def put_labels(folder, label_of, **columns):
    """Label every point by ``label_of(point of the design)`` (None: empty), with further fields."""
    design = json.loads((Path(folder) / "design.json").read_text())["points"]
    path = Path(folder) / "points.gpkg"
    meta, _, wkb, _ = pyogrio.raw.read(path, layer="points")
    labels = [label_of(p) for p in design]
    mask = np.array([v is None for v in labels])
    fields = {"point_id": np.array([p["point_id"] for p in design], np.int32)}
    fields["label"] = np.array([0 if v is None else v for v in labels], np.int32)
    fields |= {name: np.array([make(p) for p in design]) for name, make in columns.items()}
    path.unlink()
    pyogrio.raw.write(
        path, wkb, list(fields.values()), list(fields), field_mask=[mask if n == "label" else None for n in fields],
        layer="points", driver="GPKG", geometry_type="Point", crs=meta["crs"],
    )  # fmt: skip


@pytest.fixture
def sample(tmp_path):
    """A labelled sample of 300 points in ``sample`` with its truth."""
    truth, mapped = truth_and_map()
    path = write(tmp_path / "map.tif", mapped)
    do("assess-sample", map=path, points=300, out=str(tmp_path / "sample"))
    put_labels(tmp_path / "sample", lambda p: int(truth[p["row"], p["col"]]))
    return tmp_path / "sample", truth, mapped


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_folder_of_a_report(sample, tmp_path):
    folder, truth, mapped = sample
    out = tmp_path / "r"
    result = do("assess-report", sample=str(folder), out=str(out))
    assert {p.name for p in out.iterdir()} == set(result["outputs"].values())
    stored = json.loads((out / "result.json").read_text())
    assert stored == {k: v for k, v in result.items() if k != "out"}
    figures = result["figures"]
    assert figures["kind"] == "probability" and not figures["indicative"] and "Olofsson" in figures["estimator"]
    overall = figures["overall_accuracy"]
    assert overall["low"] < (truth == mapped).mean() < overall["high"] and overall["n"] == 300
    for one in figures["classes"]:
        area = one["area_m2"]
        assert area["low"] <= (truth == one["code"]).sum() * 100 <= area["high"]
        assert one["mapped_m2"] == pytest.approx((mapped == one["code"]).sum() * 100, rel=1e-3)
    assert sum(one["area_m2"]["value"] for one in figures["classes"]) == pytest.approx(figures["total_area_m2"])
    assert np.sum(figures["matrix"]["counts"]) == 300 and np.sum(figures["matrix"]["proportions"]) == pytest.approx(1)
    matrix = rows_of(out / "matrix.csv")
    assert [row[0] for row in matrix] == [
        "map \\ reference",
        "10 Tree cover",
        "40 Cropland",
        "80 Permanent water",
        "total",
    ]
    assert int(matrix[-1][-1]) == 300
    accuracy = {(r[0], r[1]): r for r in rows_of(out / "accuracy.csv")[1:]}
    assert float(accuracy["overall accuracy", ""][3]) == overall["value"] and len(accuracy) == 10
    assert [r[0] for r in rows_of(out / "area.csv")] == ["code", "10", "40", "80"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "95 %" in page and "http" not in page.replace("http-equiv", "") and "<script" not in page
    assert "nan" not in json.dumps(stored).lower().replace("nanmean", "")


def test_the_example_of_olofsson_2014_through_the_command(tmp_path):
    """The published matrix as a drawn sample (a map of 1 in 1000 pixels): areas and intervals as printed."""
    counts = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
    areas = [200_000, 150_000, 3_200_000, 6_450_000]
    codes = np.repeat([1, 2, 3, 4], np.array(areas) // 1000).reshape(100, 100)
    path = write(tmp_path / "map.tif", codes, legend=None)
    do("assess-sample", map=path, allocation="1=75,2=75,3=165,4=325", out=str(tmp_path / "s"))
    file = tmp_path / "s" / "design.json"
    design = json.loads(file.read_text())
    for strata in (design["strata"], design["map_classes"]):  # Landsat pixels, as many as in the paper
        for one, pixels in zip(strata, areas, strict=True):
            one["pixels"], one["area_m2"] = pixels, pixels * 900.0
    design["total_pixels"], design["total_area_m2"] = sum(areas), sum(areas) * 900.0
    file.write_text(json.dumps(design))
    labels = {k: list(np.repeat([1, 2, 3, 4], counts[k - 1])) for k in (1, 2, 3, 4)}
    put_labels(tmp_path / "s", lambda p: int(labels[p["stratum"]].pop()))
    figures = do("assess-report", sample=str(tmp_path / "s"), out=str(tmp_path / "r"))["figures"]
    hectares = [(one["area_m2"]["value"] / 1e4, 1.96 * one["area_m2"]["se"] / 1e4) for one in figures["classes"]]
    assert [round(value) for value, _ in hectares] == [21_158, 11_686, 285_770, 581_386]
    # The command corrects for the finite population (Stehman 2014), the paper does not: under 1 ha of difference.
    assert [half for _, half in hectares] == pytest.approx([6_158, 3_756, 15_510, 16_282], abs=1.2)
    assert round(figures["overall_accuracy"]["value"], 2) == 0.95


def test_a_partly_labelled_sample(sample, tmp_path):
    folder, truth, _ = sample
    put_labels(folder, lambda p: int(truth[p["row"], p["col"]]) if p["point_id"] <= 100 else None)
    result = do("assess-report", sample=str(folder), out=str(tmp_path / "r"))
    points = result["figures"]["points"]
    assert (points["drawn"], points["used"], points["missing"]) == (300, 100, 200)
    assert any("200 of 300 points have no label" in line for line in result["warnings"])
    full = result["figures"]["overall_accuracy"]
    assert full["low"] < full["value"] < full["high"]


def test_a_stratum_without_labels_is_told(sample, tmp_path):
    folder, truth, mapped = sample
    put_labels(folder, lambda p: None if p["stratum"] == 80 else int(truth[p["row"], p["col"]]))
    result = do("assess-report", sample=str(folder), out=str(tmp_path / "r"))
    share = (mapped != 80).mean()
    assert result["figures"]["covered_share"] == pytest.approx(share, abs=1e-3)
    assert any("No labelled point in stratum 80" in line for line in result["warnings"])
    water = next(one for one in result["figures"]["classes"] if one["code"] == 80)
    assert water["users_accuracy"]["value"] is None and "no point" in water["users_accuracy"]["why"]
    total = sum(one["area_m2"]["value"] for one in result["figures"]["classes"])
    assert total == pytest.approx(share * result["figures"]["total_area_m2"], rel=1e-3)


def test_another_map_is_assessed_with_the_same_points(sample, tmp_path):
    """Strata that are not the classes of the map: Stehman 2014; mapped areas are those of the other map."""
    folder, truth, _ = sample
    _, other = truth_and_map(seed=1)
    other[:, 100:] = truth[:, 100:]
    path = write(tmp_path / "other.tif", other)
    result = do("assess-report", sample=str(folder), map=path, out=str(tmp_path / "r"))
    figures = result["figures"]
    assert "Stehman" in figures["estimator"]
    low, high = (figures["overall_accuracy"][k] for k in ("low", "high"))
    assert low < (other == truth).mean() < high
    for one in figures["classes"]:
        assert one["mapped_m2"] == pytest.approx((other == one["code"]).sum() * 100, rel=1e-3)
    # The sample's own map named again is no other map.
    again = do("assess-report", sample=str(folder), map=str(tmp_path / "map.tif"), out=str(tmp_path / "q"))
    assert "Olofsson" in again["figures"]["estimator"]
    # A map of a part of the place: the points outside are wrong, and that is said.
    part = write(tmp_path / "part.tif", other[:150])
    result = do("assess-report", sample=str(folder), map=part, out=str(tmp_path / "p"))
    assert any("count as wrong" in line for line in result["warnings"])
    assert result["figures"]["matrix"]["names"][-1] == "no class"
    assert result["figures"]["overall_accuracy"]["value"] < figures["overall_accuracy"]["value"]


@pytest.mark.parametrize("design", ["simple", "systematic"])
def test_designs_without_strata_are_post_stratified(tmp_path, design):
    truth, mapped = truth_and_map()
    path = write(tmp_path / "map.tif", mapped)
    do("assess-sample", map=path, points=300, design=design, out=str(tmp_path / "s"))
    put_labels(tmp_path / "s", lambda p: int(truth[p["row"], p["col"]]))
    figures = do("assess-report", sample=str(tmp_path / "s"), out=str(tmp_path / "r"))["figures"]
    assert "stratified afterwards" in figures["estimator"]
    assert figures["overall_accuracy"]["low"] < (truth == mapped).mean() < figures["overall_accuracy"]["high"]
    shares = np.sum(figures["matrix"]["proportions"], axis=1)
    assert shares == pytest.approx([(mapped == c).mean() for c in (10, 40, 80)], abs=1e-3)
    # Another map by the same points: the strata stay those of the first.
    other = mapped.copy()
    other[:, 100:] = truth[:, 100:]
    path = write(tmp_path / "other.tif", other)
    figures = do("assess-report", sample=str(tmp_path / "s"), map=path, out=str(tmp_path / "q"))["figures"]
    assert "Stehman 2014" in figures["estimator"]
    assert figures["overall_accuracy"]["low"] < (truth == other).mean() < figures["overall_accuracy"]["high"]
    assert sum(one["area_m2"]["value"] for one in figures["classes"]) == pytest.approx(figures["total_area_m2"])


def test_a_class_that_the_map_misses_everywhere(tmp_path):
    codes = np.zeros((60, 60), np.uint8)
    codes[:20] = 1
    path = write(tmp_path / "change.tif", codes, legend=None)
    do("assess-sample", map=path, points=100, out=str(tmp_path / "s"))
    put_labels(tmp_path / "s", lambda p: 7 if p["row"] > 50 else p["map_class"])
    result = do("assess-report", sample=str(tmp_path / "s"), out=str(tmp_path / "r"))
    assert any("classes that the map does not have: 7" in line for line in result["warnings"])
    missed = next(one for one in result["figures"]["classes"] if one["code"] == 7)
    assert missed["mapped_m2"] == 0 and missed["area_m2"]["low"] < 9 * 60 * 100 < missed["area_m2"]["high"]
    assert missed["producers_accuracy"]["value"] == 0 and missed["users_accuracy"]["value"] is None


def test_a_class_that_neither_map_nor_legend_has_is_an_error_of_omission(sample, tmp_path):
    folder, truth, mapped = sample
    put_labels(folder, lambda p: 12 if p["row"] < 40 else int(truth[p["row"], p["col"]]))
    result = do("assess-report", sample=str(folder), out=str(tmp_path / "r"))
    wrong = [line for line in result["warnings"] if "the map does not have: 12" in line]
    assert len(wrong) == 1
    classes = {one["code"]: one for one in result["figures"]["classes"]}
    missed = classes[12]
    assert missed["name"] == "class 12" and missed["mapped_m2"] == 0 and missed["points_mapped"] == 0
    assert missed["producers_accuracy"]["value"] == 0 and missed["users_accuracy"]["value"] is None
    assert missed["area_m2"]["low"] < 0.2 * 200 * 200 * 100 < missed["area_m2"]["high"]
    design = json.loads((folder / "design.json").read_text())["points"]
    right = [p["row"] >= 40 and truth[p["row"], p["col"]] == mapped[p["row"], p["col"]] for p in design]
    share = result["figures"]["overall_accuracy"]["value"]
    assert share == pytest.approx(np.mean(right), abs=0.05) and share < 0.75


def test_a_convenience_sample_may_name_a_class_that_the_legend_lacks(tmp_path):
    truth, mapped = truth_and_map()
    path = write(tmp_path / "map.tif", mapped)
    x, y = 400_000 + 10 * np.arange(20) + 5.0, np.full(20, 5_599_995.0)
    labels = [12] * 5 + [int(c) for c in truth[0, 5:20]]
    points = convenience(tmp_path / "p.gpkg", x, y, labels)
    result = do("assess-report", sample=points, map=path, label_field="class", out=str(tmp_path / "r"))
    assert any("the map does not have: 12" in line for line in result["warnings"])
    missed = next(one for one in result["figures"]["classes"] if one["code"] == 12)
    assert (missed["points_reference"], missed["points_mapped"], missed["mapped_m2"]) == (5, 0, 0)
    assert result["figures"]["overall_accuracy"]["value"] == pytest.approx((truth == mapped)[0, 5:20].sum() / 20)


def test_pages_are_whole(sample, tmp_path):
    """Every tag that is opened is closed, and texts from files are escaped."""
    from html.parser import HTMLParser

    class Tags(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open = []

        def handle_starttag(self, tag, attrs):
            if tag not in {"meta", "img", "br", "line", "circle", "rect"}:
                self.open.append(tag)

        def handle_endtag(self, tag):
            if tag not in {"line", "circle", "rect"}:
                assert self.open.pop() == tag

    folder, _, _ = sample
    design = json.loads((folder / "design.json").read_text())
    design["classes"][0]["name"] = design["map_classes"][0]["name"] = "<b>trees & more"
    (folder / "design.json").write_text(json.dumps(design))
    do("assess-report", sample=str(folder), out=str(tmp_path / "r"))
    for page in (folder / "report.html", tmp_path / "r" / "report.html"):
        tags = Tags()
        tags.feed(page.read_text(encoding="utf-8"))
        assert tags.open == []
    assert "&lt;b&gt;trees &amp; more" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


def test_labels_that_are_not_confident_can_be_left_out(sample, tmp_path):
    folder, truth, _ = sample
    put_labels(folder, lambda p: int(truth[p["row"], p["col"]]), confident=lambda p: p["point_id"] % 3 != 0)
    kept = do("assess-report", sample=str(folder), out=str(tmp_path / "a"))["figures"]["points"]
    left = do("assess-report", sample=str(folder), confident_only=True, out=str(tmp_path / "b"))["figures"]["points"]
    assert kept["used"] == 300 and kept["not_confident"] == 100 and left["used"] == 200


def test_one_class_only_is_allowed_and_explained(sample, tmp_path):
    folder, _, _ = sample
    put_labels(folder, lambda p: 10)
    result = do("assess-report", sample=str(folder), out=str(tmp_path / "r"))
    assert any("All labels are of one class (10)" in line for line in result["warnings"])
    others = [one for one in result["figures"]["classes"] if one["code"] != 10]
    assert all(one["producers_accuracy"]["value"] is None for one in others)


def convenience(path, x, y, labels, *, crs=CRS, driver="GPKG", field="class"):
    pyogrio.raw.write(
        path,
        shapely.to_wkb(shapely.points(x, y)),
        [np.array(labels)],
        [field],
        driver=driver,
        geometry_type="Point",
        crs=crs,
    )
    return str(path)


@pytest.mark.parametrize(("driver", "suffix"), [("GPKG", ".gpkg"), ("GeoJSON", ".geojson"), ("ESRI Shapefile", ".shp")])
def test_a_convenience_sample_is_indicative(tmp_path, driver, suffix):
    truth, mapped = truth_and_map()
    path = write(tmp_path / "map.tif", mapped)
    rng = np.random.default_rng(2)
    row, col = rng.integers(0, 200, (2, 50))
    x, y = 400_000 + 10 * col + 5.0, 5_600_000 - 10 * row - 5.0
    crs = CRS
    if driver == "GeoJSON":
        from engine.raster.crs import Transformation

        (x, y), crs = Transformation(CRS, "EPSG:4326")(x, y), "EPSG:4326"
    names = {10: "tree cover", 40: "Cropland", 80: "80"}  # names in any case, or codes
    points = convenience(
        tmp_path / f"p{suffix}", x, y, [names[int(c)] for c in truth[row, col]], crs=crs, driver=driver
    )
    result = do("assess-report", sample=points, map=path, label_field="class", out=str(tmp_path / "r"))
    figures = result["figures"]
    assert figures["indicative"] and figures["kind"] == "convenience" and figures["design"] is None
    assert figures["overall_accuracy"]["value"] == pytest.approx((truth == mapped)[row, col].mean())
    assert figures["overall_accuracy"]["low"] is None and "no probability sample" in figures["overall_accuracy"]["why"]
    assert all(one["area_m2"] is None and one["users_accuracy"]["low"] is None for one in figures["classes"])
    assert any("indicative" in line for line in result["warnings"])
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "indicative" in page and "Adjusted" not in page
    assert not (tmp_path / "r" / "matrix_area.csv").exists()


def test_points_outside_and_on_nodata_are_left_out_and_told(tmp_path):
    _, mapped = truth_and_map()
    mapped[:20] = 255
    path = write(tmp_path / "map.tif", mapped)
    points = convenience(
        tmp_path / "p.gpkg", [400_505.0, 400_505, 300_000], [5_598_505.0, 5_599_950, 5_600_000], [10, 10, 10]
    )
    result = do("assess-report", sample=points, map=path, label_field="class", out=str(tmp_path / "r"))
    assert result["figures"]["points"]["used"] == 1
    assert any("1 points outside of the map and 1 on pixels without a class" in line for line in result["warnings"])
    nowhere = convenience(tmp_path / "q.gpkg", [300_000.0, 400_505], [5_600_000.0, 5_599_950], [10, 10])
    with pytest.raises(InputError, match="1 lie outside of it, the others on nodata"):
        do("assess-report", sample=nowhere, map=path, label_field="class", out=str(tmp_path / "o"))


def test_bad_samples(sample, tmp_path):
    folder, truth, _ = sample
    out = str(tmp_path / "o")

    def fails(kind, words, **params):
        with pytest.raises(kind, match=words) as failure:
            do("assess-report", **{"sample": str(folder), "out": out, **params})
        assert "\n" not in failure.value.line and not Path(out).exists()

    fails(InputError, "have no field 'klasse'; found point_id, label", label_field="klasse")
    fails(MissingFileError, "has no points.gpkg", sample=str(tmp_path))
    fails(MissingFileError, "does not exist", sample=str(tmp_path / "none.gpkg"))
    (tmp_path / "text.gpkg").write_text("no layer")
    fails(DamagedFileError, "cannot be read as a vector layer", sample=str(tmp_path / "text.gpkg"))
    points = convenience(tmp_path / "p.gpkg", [400_505.0], [5_598_505.0], [10])
    fails(ParameterError, "the map must be named", sample=points)
    no_crs = convenience(tmp_path / "q.shp", [400_505.0], [5_598_505.0], [10], crs=None, driver="ESRI Shapefile")
    fails(GridError, "no coordinate reference system", sample=no_crs, map=str(tmp_path / "map.tif"))
    text = convenience(tmp_path / "t.gpkg", [400_505.0], [5_598_505.0], ["swamp"])
    fails(InputError, "holds 'swamp'", sample=text, map=str(tmp_path / "map.tif"), label_field="class")
    box = shapely.to_wkb(np.array([shapely.box(0, 0, 1, 1)]))
    options = {"driver": "GPKG", "geometry_type": "Polygon", "crs": CRS}
    pyogrio.raw.write(tmp_path / "poly.gpkg", box, [np.array([10])], ["label"], **options)
    fails(
        InputError, "holds Polygon; expected points", sample=str(tmp_path / "poly.gpkg"), map=str(tmp_path / "map.tif")
    )
    far = write(tmp_path / "far.tif", truth, transform=Affine(10, 0, 600_000, 0, -10, 5_600_000))
    fails(InputError, "no labelled point lies on a pixel with a class; 300 of 300", map=far)
    for code in (0, 255, 1000):
        put_labels(folder, lambda p, code=code: code)
        fails(InputError, f"has {code}, which is no class of the legend; expected 10 Tree cover")
    put_labels(folder, lambda p: None)
    fails(InputError, "none of the 300 points has a label")
    put_labels(folder, lambda p: 10)
    design = json.loads((folder / "design.json").read_text())
    (folder / "design.json").write_text(json.dumps({**design, "points": design["points"][:-2]}))
    fails(InputError, "point_id 299, 300 is not in design.json")
    (folder / "design.json").write_text(json.dumps({**design, "strata": "?"}))
    fails(DamagedFileError, "not the design of a sample: strata")
    (folder / "design.json").unlink()
    fails(MissingFileError, "tells how the points were drawn")
    assert issubclass(InputError, EngineError)


def test_points_that_were_moved_are_told(sample, tmp_path):
    folder, _, _ = sample
    path = folder / "points.gpkg"
    meta, _, wkb, (ids, labels) = pyogrio.raw.read(path, layer="points")
    points = shapely.from_wkb(wkb)
    points[:3] = shapely.transform(points[:3], lambda xy: xy + 50)
    path.unlink()
    pyogrio.raw.write(
        path,
        shapely.to_wkb(points),
        [ids, labels],
        ["point_id", "label"],
        layer="points",
        driver="GPKG",
        geometry_type="Point",
        crs=meta["crs"],
    )
    result = do("assess-report", sample=str(folder), out=str(tmp_path / "r"))
    assert any(line.startswith("3 points do not lie where they were drawn") for line in result["warnings"])
