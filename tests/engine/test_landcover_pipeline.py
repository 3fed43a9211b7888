"""From probabilities to classes: laws of unknown, not observed, clouds, legends; streamed equals whole."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.device import choose_device
from engine.errors import BandError, ModelError, ParameterError
from engine.events import Reporter
from engine.mapping.inference import StreamingInference
from engine.mapping.landcover.arrays import map_arrays
from engine.mapping.landcover.choose import automatic
from engine.mapping.landcover.classes import ClassTable, class_table
from engine.mapping.landcover.classifier import LandcoverModel
from engine.mapping.landcover.pipeline import LandcoverRule, map_classes
from engine.mapping.landcover.scene import LandcoverScene
from engine.mapping.scene.preview import Preview
from engine.models.bundle import KnownModel, save_bundle
from engine.models.card import Card
from engine.models.segmenter import Segmenter
from tests.engine import landcover_scenes as small
from tests.engine import optical_scenes as files

ROOT = Path(__file__).resolve().parents[2]
NAN = np.float32(np.nan)


def mapped(model: LandcoverModel, *paths: Path, **more):
    """Codes and confidence of files, without a minimum mapping unit unless it is asked for."""
    reporter = more.pop("reporter", Reporter())
    return map_arrays([str(p) for p in paths], model, reporter=reporter, **{"min_area": 0.0, **more})


def by_look(model: LandcoverModel, *, budget: int | None = None) -> LandcoverModel:
    """The model with the rule of :class:`ByLook` for its network."""
    settings = dataclasses.replace(model._engine.settings, activation="softmax", temperature=0.1)
    if budget is not None:
        settings = dataclasses.replace(settings, budget_bytes=budget)
    model._engine = StreamingInference(small.ByLook(), settings, device=choose_device("cpu"))
    return model


@pytest.fixture
def model(tmp_path) -> LandcoverModel:
    return LandcoverModel(small.make_model(tmp_path / "model"), device="cpu")


@pytest.fixture
def image(tmp_path) -> Path:
    return files.write(tmp_path / "s2.tif", small.reflectance(small.truth()), small.BANDS)


def test_the_map_is_what_the_network_says(tmp_path, model):
    """One tile: the network by hand against the pipeline."""
    values = small.reflectance(small.truth(64, 64), seed=3)
    values[:, :4, :9] = NAN
    path = files.write(tmp_path / "s2.tif", values, small.BANDS)
    arrays = mapped(model, path)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (small.MEAN, small.STD))
    x = torch.from_numpy(np.nan_to_num((values - mean) / std)[None])
    with torch.inference_mode():
        chance = torch.softmax(model.bundle.network()(x) / model.card.temperature, dim=1)[0].numpy()
    expected = np.array(small.CODES, np.uint8)[chance.argmax(axis=0)]
    expected[:4, :9] = 255
    sure = np.abs(np.diff(np.sort(chance, axis=0)[-2:], axis=0)[0]) > 1e-4
    assert np.array_equal(arrays.codes[sure], expected[sure])
    percent = np.where(expected == 255, 255, np.rint(chance.max(axis=0) * 100))
    assert np.abs(arrays.confidence.astype(int) - percent)[sure].max() <= 1
    assert len(np.unique(arrays.codes)) > 2, "a network that says one thing proves nothing"


def test_truth_is_found_where_the_network_knows_it(model, image):
    arrays = mapped(by_look(model), image)
    assert np.array_equal(arrays.codes, small.truth())
    assert arrays.confidence.min() > 50


def test_column_groups_change_nothing(tmp_path, model):
    """Past the budget the scene is done in groups of columns: the map is the same."""
    codes = np.kron(np.random.default_rng(0).choice(small.CODES, (10, 30)), np.ones((10, 10), int)).astype(np.uint8)
    tiled = {"tiled": True, "blockxsize": 32, "blockysize": 32}
    path = files.write(tmp_path / "wide.tif", small.reflectance(codes), small.BANDS, **tiled)
    one = mapped(by_look(model), path, min_area=5000)
    assert model._engine.facts()["column_groups"] == 1
    many = mapped(by_look(model, budget=1), path, min_area=5000)
    assert model._engine.facts()["column_groups"] > 2
    assert np.array_equal(one.codes, many.codes)
    assert np.array_equal(one.confidence, many.confidence)


@pytest.mark.parametrize("cut", [0, 35, 60, 99])
def test_unknown_is_exactly_what_is_less_sure(model, image, cut):
    base = mapped(model, image, unknown_below=0)
    arrays = mapped(model, image, unknown_below=cut)
    assert np.array_equal(arrays.confidence, base.confidence), "the confidence stays"
    assert np.array_equal(arrays.codes == 0, base.confidence < cut)
    assert np.array_equal(arrays.codes[base.confidence >= cut], base.codes[base.confidence >= cut])


def test_the_threshold_of_the_card_is_the_default(tmp_path, image):
    model = LandcoverModel(small.make_model(tmp_path / "shy", unknown_below=0.6), device="cpu")
    arrays = mapped(model, image)
    assert np.array_equal(arrays.codes == 0, arrays.confidence < 60)
    assert 0 < (arrays.codes == 0).mean() < 1


def test_clouds_are_unknown_and_nodata_is_not_observed(tmp_path, model):
    values = small.reflectance(small.truth())
    values[:, 10:20, 10:30] = 0.6  # cloud by the simple test
    values[:, 30:35, :7] = NAN
    values[1, 40, 40] = NAN  # one band that the model needs
    values[5, 42, 40] = NAN  # one that it can do without
    path = files.write(tmp_path / "s2.tif", values, small.BANDS)
    arrays = mapped(by_look(model), path)
    expected = small.truth()
    expected[10:20, 10:30] = 0
    expected[30:35, :7] = 255
    expected[40, 40] = 255
    wrong = arrays.codes != expected
    wrong[42, 40] = False  # its class may be another
    assert not wrong.any()
    assert arrays.codes[42, 40] not in (0, 255)
    assert (arrays.confidence[10:20, 10:30] == 0).all()
    assert np.array_equal(arrays.confidence == 255, expected == 255)


def test_the_scene_classification_is_asked_where_it_is_given(tmp_path, model, image):
    scl = np.full((1, 48, 64), 4, np.uint8)
    scl[:, :10, :10], scl[:, 10:12, :10], scl[:, :, 60:] = 9, 3, 0
    path = tmp_path / "scl.tif"
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=1, height=48, width=64, crs="EPSG:32633",
        transform=rasterio.transform.from_origin(files.WEST, files.NORTH, 20, 20),
    ) as file:  # fmt: skip
        file.write(scl)
    arrays = mapped(by_look(model), image, scl=str(path))
    hidden = np.kron(np.isin(scl[0], (0, 3, 9)), np.ones((2, 2), bool))
    assert np.array_equal(arrays.codes, np.where(hidden, 0, small.truth()))
    assert np.array_equal(arrays.confidence == 0, hidden)


def test_clouds_are_mapped_from_sentinel1_by_a_model_of_both(tmp_path):
    model = LandcoverModel(small.make_model(tmp_path / "both", ("s1", "s2")), device="cpu")
    values = small.reflectance(small.truth())
    values[:, :40, :60] = 0.6
    s2 = files.write(tmp_path / "s2.tif", values, small.BANDS)
    radar = files.backscatter()
    radar[:, :10, :10] = NAN
    s1 = files.write(tmp_path / "s1.tif", radar, ("VV", "VH"))
    both = mapped(model, s1, s2)
    assert (both.codes[:10, :10] == 0).all(), "cloud over ground that the radar did not see"
    assert (both.codes != 255).all()
    assert (both.codes[10:40, 10:60] != 0).all()
    alone = mapped(model, s2)
    assert (alone.codes[:40, :60] == 0).all()
    radar_alone = mapped(model, s1)
    assert np.array_equal(radar_alone.codes == 255, np.pad(np.ones((10, 10), bool), ((0, 86), (0, 118))))
    assert len(np.unique(both.codes)) > 1


def test_a_plain_network_of_two_sensors_needs_both(tmp_path):
    torch.manual_seed(1)
    network = Segmenter(bands=8, classes=4, width=0.0625).eval()
    bundle = save_bundle(tmp_path / "joint", network, small.card(("s1", "s2"), name="joint"))
    model = LandcoverModel(bundle, device="cpu")
    values = small.reflectance(small.truth())
    values[:, :20, :20] = 0.6
    values[:, 60:70, :20] = NAN
    s2 = files.write(tmp_path / "s2.tif", values, small.BANDS)
    radar = files.backscatter()
    radar[:, :10, :30] = NAN
    s1 = files.write(tmp_path / "s1.tif", radar, ("VV", "VH"))
    codes = mapped(model, s2, s1).codes
    missing = np.zeros(codes.shape, bool)
    missing[:10, :30] = missing[60:70, :20] = True
    cloudy = np.zeros(codes.shape, bool)
    cloudy[10:20, :20] = True
    assert np.array_equal(codes == 255, missing)
    assert np.array_equal(codes == 0, cloudy)
    with pytest.raises(BandError, match=r"s2.tif: lacks the Sentinel-1 band VV, VH, which the model joint needs"):
        mapped(model, s2)


def test_optional_bands_may_be_absent_and_others_not(tmp_path, model):
    values = small.reflectance(small.truth())
    four = files.write(tmp_path / "four.tif", values[:4], small.BANDS[:4])
    arrays = mapped(by_look(model), four)
    assert (arrays.codes == small.truth()).mean() > 0.7, "the missing bands count as their mean"
    nameless = files.write(tmp_path / "chip.tif", values[:4], ("blue", "green", "red", "nir"), crs=None)
    assert np.array_equal(mapped(by_look(model), nameless).codes, arrays.codes)
    few = files.write(tmp_path / "few.tif", values[:3], small.BANDS[:3])
    lacking = r"few.tif: lacks the Sentinel-2 band B08, .* found B02, B03, B04; expected at least"
    with pytest.raises(BandError, match=lacking):
        mapped(model, few)


def test_b8a_stands_in_for_b08_and_the_report_says_so(tmp_path, model, image):
    values, names = small.reflectance(small.truth()), list(small.BANDS)
    names[names.index("B08")] = "B8A"
    reporter = Reporter()
    found = mapped(by_look(model), files.write(tmp_path / "s2.tif", values, names), reporter=reporter)
    assert np.array_equal(found.codes, mapped(by_look(model), image).codes)
    assert [line for line in reporter.warnings if "There is no B08: B8A is read in its place" in line]
    both = np.concatenate([values, np.full_like(values[:1], 0.9)])
    reporter = Reporter()
    found = mapped(by_look(model), files.write(tmp_path / "both.tif", both, [*small.BANDS, "B8A"]), reporter=reporter)
    assert np.array_equal(found.codes, mapped(by_look(model), image).codes), "B08 itself where there is one"
    assert not [line for line in reporter.warnings if "B8A" in line]


def test_sensors_that_the_model_does_not_take(tmp_path, model, image):
    s1 = files.write(tmp_path / "s1.tif", files.backscatter(), ("VV", "VH"))
    with pytest.raises(ModelError, match="is a Sentinel-1 image; the model tiny-s2 maps from Sentinel-2 alone"):
        mapped(model, s1)
    reporter = Reporter()
    mapped(model, s1, image, reporter=reporter)
    assert any("s1.tif: is not looked at" in line for line in reporter.warnings)


def test_small_patches_go_and_their_confidence_says_so(tmp_path, model):
    codes = small.truth()
    codes[10, 10:12] = 80
    path = files.write(tmp_path / "s2.tif", small.reflectance(codes), small.BANDS)
    before, after = mapped(by_look(model), path), mapped(by_look(model), path, min_area=300)
    assert (before.codes[10, 10:12] == 80).all()
    assert np.array_equal(after.codes, small.truth())
    changed = before.codes != after.codes
    assert np.array_equal(after.confidence[~changed], before.confidence[~changed])
    assert np.array_equal(after.confidence[changed], np.minimum(before.confidence, 100 - before.confidence)[changed])


def test_another_legend_adds_up_what_becomes_one(tmp_path):
    codes = (20, 30, 90, 95)
    card = Card.model_validate(
        small.card(("s2",), codes=codes) | {"network": {}, "weights_sha256": "0" * 64, "engine_version": "1"}
    )
    own, other = class_table(card), class_table(card, "dfc2020")
    assert own.codes == codes
    assert other.codes == (2, 4, 5), "wetland and mangroves become one"
    chance = np.array([0.4, 0.1, 0.25, 0.25], np.float32)[:, None, None]
    assert own.decide(np.log(chance))[0].item() == 20
    found, percent = other.decide(np.log(chance))
    assert (found.item(), percent.item()) == (5, 50)
    found, percent = other.decide(np.full((4, 2, 2), NAN))
    assert (found == 255).all()
    assert (percent == 255).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 30))
def test_a_decision_is_the_softmax_of_groups(seed, spread):
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, spread, (5, 70, 3)).astype(np.float32)
    logits[:, 2, 1] = NAN
    members = ((3,), (0, 4), (1,))
    table = ClassTable("x", "x", (7, 9, 11), {}, {}, members, (2,))
    codes, percent = table.decide(logits)
    e = np.exp((logits - logits.max(axis=0)).astype(np.float64))
    chance = np.stack([e[list(m)].sum(axis=0) for m in (*members, (2,))]) / e.sum(axis=0)
    best = chance[:3].max(axis=0)
    expected = np.array([7, 9, 11, 0])[np.where(chance[3] > best, 3, chance[:3].argmax(axis=0))]
    clear = np.abs(np.diff(np.sort(chance, axis=0)[-2:], axis=0)[0]) > 1e-6
    assert np.array_equal(codes[clear], expected[clear])
    seen = np.isfinite(best)
    assert np.abs(percent[seen] - 100 * best[seen]).max() <= 0.51
    assert (codes[2, 1], percent[2, 1]) == (255, 255)


def test_classes_without_a_counterpart_become_unknown(tmp_path):
    legend = tmp_path / "own.json"
    legend.write_text(
        '{"name": "mine", "title": "Mine", "classes": [{"code": 1, "name": "a", "color": "#112233"}, '
        '{"code": 2, "name": "b", "color": "#445566"}, {"code": 3, "name": "c", "color": "#778899"}], '
        '"to": {"worldcover": {"1": 10, "2": 0, "3": 0}}}'
    )
    fill = {"network": {}, "weights_sha256": "0" * 64, "engine_version": "1"}
    card = Card.model_validate(small.card(("s2",), codes=(1, 2, 3)) | fill | {"legend": str(legend)})
    table = class_table(card, "worldcover")
    assert table.codes == (10,)
    assert table.lost == (1, 2)
    chance = np.array([[0.4, 0.6], [0.3, 0.2], [0.3, 0.2]], np.float32)[:, None]
    codes, percent = table.decide(np.log(chance))
    assert codes.tolist() == [[0, 10]]
    assert percent.tolist() == [[40, 60]]
    with pytest.raises(ParameterError, match="no mapping from the legend mine to dfc2020"):
        class_table(card, "dfc2020")


def test_a_model_with_classes_of_its_own(tmp_path):
    classes = [{"value": 3, "name": "vines", "color": "#aa0011"}, {"value": 7, "name": "rest"}]
    fill = {"network": {}, "weights_sha256": "0" * 64, "engine_version": "1"}
    card = Card.model_validate(small.card(("s2",)) | fill | {"classes": classes, "legend": None})
    table = class_table(card)
    assert table.legend == "model:tiny-s2"
    assert table.names == {0: "unknown", 3: "vines", 7: "rest", 255: "not observed"}
    assert table.colors[3] == (170, 0, 17, 255)
    assert table.colors[7] not in (table.colors[3], table.colors[0])
    with pytest.raises(ParameterError, match="has classes of its own"):
        class_table(card, "worldcover")


def test_the_colours_of_the_card_stand_in_the_models_own_legend_alone(tmp_path):
    card = small.make_model(tmp_path / "model").card
    first = card.classes[0].model_copy(update={"color": "#123456"})
    card = card.model_copy(update={"classes": (first, *card.classes[1:])})
    assert class_table(card).colors[first.value] == (0x12, 0x34, 0x56, 255)
    assert (0x12, 0x34, 0x56, 255) not in class_table(card, "dfc2020").colors.values()


def test_which_starter_model_auto_takes(tmp_path):
    light, both = KnownModel("landcover", tmp_path), KnownModel("landcover-s1s2", tmp_path)
    assert automatic(("s2",), [light, both])[0] == "landcover"
    assert automatic(("s1", "s2"), [light, both])[0] == "landcover-s1s2"
    assert automatic(("s1",), [light, both])[0] == "landcover-s1s2"
    assert automatic(("s2",), [both])[0] == "landcover-s1s2"
    name, why = automatic(("s1", "s2"), [light])
    assert name == "landcover"
    assert "landcover-s1s2" in why
    for sensors in (("s1",), ("s2",)):
        with pytest.raises(ModelError, match="No model is installed that maps land cover"):
            automatic(sensors, [light] if sensors == ("s1",) else [])


def test_the_picture_is_taken_from_what_inference_reads(tmp_path, model):
    values = small.reflectance(small.truth(130, 170))
    values[:, :9, :30] = NAN
    path = files.write(tmp_path / "s2.tif", values, small.BANDS)
    with LandcoverScene.open([str(path)]) as scene:
        for size, step in ((200, 1), (60, 3)):
            preview = Preview(scene, size=size, prefer_light=True)
            table, rule = class_table(model.card), LandcoverRule()
            keywords = {"folder": tmp_path, "reporter": Reporter(), "watch": preview.take_light}
            map_classes(scene, model, table, rule=rule, sinks=[preview], **keywords)
            assert preview.step == step
            half = step // 2
            expected = values[[2, 1, 0], half::step, half::step]  # red, green, blue
            got = preview.mean[:, : expected.shape[1], : expected.shape[2]]
            assert np.array_equal(np.isnan(got), np.isnan(expected))
            assert np.allclose(np.nan_to_num(got), np.nan_to_num(expected))


MEMORY = """
import json, resource, sys
import numpy as np
import torch
from affine import Affine
from rasterio.crs import CRS
from engine.device import Device
from engine.events import Reporter
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.mapping.landcover.classes import class_table
from engine.mapping.landcover.classifier import LandcoverModel
from engine.mapping.landcover.pipeline import LandcoverRule, map_classes
from engine.mapping.landcover.totals import TotalsSink
from engine.models.bundle import load_bundle
from engine.raster.grid import Grid, Window
from tests.engine import landcover_scenes as small

class Endless:
    "Fields of 50 x 50 pixels, made as they are read."
    sensors, polarisations, optical_bands, cloud_bands, block = ("s2",), (), small.BANDS, (), (256, 256)
    def __init__(self, height, width):
        self.grid = Grid(height, width, Affine(10, 0, 5e5, 0, -10, 5e6), CRS.from_epsg(32633))
        self.crop = Window(0, 0, height, width)
        self.looks = np.array(list(small.LOOKS.values()), np.float32).T
    def read_optical(self, window, names):
        rows = (np.arange(window.row, window.row_stop) // 50)[:, None]
        return np.ascontiguousarray(self.looks[:, (rows + np.arange(window.col, window.col_stop) // 50) % 4])
    def clouds(self, window, values):
        return np.zeros(window.shape, bool)

torch.set_num_threads(1)
model = LandcoverModel(load_bundle(sys.argv[1]), device="cpu")
settings = InferenceSettings(tile=256, overlap=32, mean=small.MEAN, std=small.STD, activation="softmax")
model._engine = StreamingInference(small.ByLook(), settings, device=Device("cpu"))
table = class_table(model.card)
totals = TotalsSink(table)
map_classes(Endless(int(sys.argv[3]), 800), model, table, rule=LandcoverRule(), sinks=[totals],
            folder=__import__("pathlib").Path(sys.argv[2]), reporter=Reporter())
print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "n": int(totals.pixels.sum())}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is Linux's")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    folder = small.make_model(tmp_path / "model").folder

    def peak(height: int) -> float:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(folder), str(tmp_path), str(height)],
            capture_output=True, text=True, cwd=ROOT, check=True,
            env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        answer = json.loads(done.stdout)
        assert answer["n"] == height * 800
        return float(answer["peak"])

    low, high = peak(1200), peak(4000)
    assert high < 1.1 * low, f"{low} {high}"
