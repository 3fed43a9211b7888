"""What an index would hold and cost, told before: against real indexes, real describers, and what the index refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.crossview.crops import Cropper
from engine.crossview.geometric_describer import GeometricDescriber
from engine.crossview.imagery import Imagery
from engine.crossview.learned_describer import LearnedDescriber
from engine.crossview.resolution import GridPlace
from engine.crossview.wants import GEOMETRIC, learned_scales_m, wanted_by
from engine.device import Device
from engine.errors import EngineError, ModelError, ParameterError, RegionError
from engine.events import Reporter
from engine.jobs import find_job
from engine.models.crossview import CrossViewNetwork
from engine.models.crossview_bundle import save_crossview
from engine.raster.read import open_raster
from tests.engine import locate_world as world

ROOT = Path(__file__).resolve().parents[2]
SMALL = "9.1795,48.7796,9.1805,48.7803"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return world.write_reference(tmp_path_factory.mktemp("reference") / "ortho.tif")


def plan(region=SMALL, **options):
    job = find_job("locate-plan")
    return job.run(job.parse({"region": region, **options}), Reporter())


def index(reference, out, region=SMALL, **options):
    job = find_job("locate-index")
    request = job.parse({"reference": reference, "region": region, "out": str(out), "method": "geometric", **options})
    return job.run(request, Reporter())


def test_the_plan_is_what_the_index_becomes(reference, tmp_path):
    told = plan(reference=reference, method="geometric")
    made = index(reference, tmp_path / "index")["figures"]
    assert told["counted"] and told["cells"] == told["new_cells"] == made["cells"] + made["gaps"]
    assert told["bytes"] == made["bytes"] and told["bytes_per_cell"] == made["bytes_per_cell"]
    assert told["scales_m"] == made["scales_m"] and told["cell_m"] == 10
    assert told["gsd_m"] == pytest.approx(world.GSD, rel=0.01) and not told["problems"]
    wide = "9.1795,48.7796,9.1810,48.7803"
    more = plan(wide, reference=reference, method="geometric", index=str(tmp_path / "index"))
    added = index(reference, tmp_path / "index", wide, update=True)["figures"]
    assert 0 < more["new_cells"] == added["added"] < more["cells"]


def test_imagery_is_used_as_far_as_the_plan_says(reference):
    told = plan(reference=reference, method="geometric")
    describer = GeometricDescriber(Device("cpu"))
    assert told["reach_m"] == describer.side * 0.5 / 2 + 10, "half a crop at the scale that is served, and a cell"
    free = plan(method="geometric")
    assert free["gsd_m"] is None and free["finest_m"] == 0.3 and free["coarsest_m"] == pytest.approx(0.92)


def test_the_geometric_method_wants_what_its_describer_takes():
    (wanted,), describer = wanted_by(GEOMETRIC), GeometricDescriber(Device("cpu"))
    assert (wanted.side, wanted.scales_m, wanted.scale_bytes) == (describer.side, describer.scales_m, describer.dim)
    assert wanted.one_scale == describer.one_scale and wanted.layer == describer.layer


def random_model(folder, *, encoder, width, stages, extent_m):
    grey = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.25)}
    sizes = {"ground_size": (32, 64), "overhead_size": (64, 64)}
    network = CrossViewNetwork(encoder, width=width, stages=stages, maps=3, **sizes).eval()
    card = {
        "name": "tiny", "title": "A tiny network", "licence": "GPL-2.0-or-later", "gsd_m": (0.5, 1.0),
        "crossview": {
            "ground": {"size": (32, 64), "hfov_deg": 360, "vfov_deg": 180, "heading": "any", **grey},
            "overhead": {"size": (64, 64), "extent_m": extent_m, **grey},
        },
        "trained_on": [{"name": "nothing", "licence": "GPL-2.0-or-later"}],
    }  # fmt: skip
    save_crossview(folder, network, card)
    return folder


@pytest.mark.parametrize(
    ("encoder", "width", "stages", "extent"),
    [("resnet18", 0.0625, 4, None), ("convnext_tiny", 0.125, 3, 40.0), ("resnet50", 0.0625, 2, 25.6)],
)
def test_a_model_wants_what_its_describer_takes(tmp_path, encoder, width, stages, extent):
    folder = random_model(tmp_path / "model", encoder=encoder, width=width, stages=stages, extent_m=extent)
    (wanted,) = wanted_by(str(folder), precision="float32")
    describer = LearnedDescriber.load(str(folder), device=Device("cpu"), precision="float32")
    assert (wanted.side, wanted.scales_m, wanted.scale_bytes) == (describer.side, describer.scales_m, 4 * describer.dim)
    assert wanted.scales_m == learned_scales_m(extent, wanted.side)
    told = plan(method=str(folder))
    assert told["cell_m"] == 30 and told["bytes_per_cell"] == 9 + 2 * describer.dim * len(describer.scales_m)


@pytest.mark.parametrize(
    "options",
    [
        {"region": "9.0,48.0,9.1,48.1"},
        {"scales": "0.2"},
        {"reference": "nowhere.tif"},
        {"reference": "https://tiles.example.org/{z}/{x}.png"},
    ],
)
def test_what_the_index_refuses_is_told_by_the_plan_in_the_same_words(reference, tmp_path, options):
    given = {"reference": reference, **options}
    told = plan(given.pop("region", SMALL), method="geometric", **given)
    with pytest.raises(EngineError) as refused:
        index(given.pop("reference"), tmp_path / "index", options.get("region", SMALL), **given)
    assert told["problems"] == [{"message": refused.value.message, "remedy": refused.value.remedy}]
    assert not (tmp_path / "index").exists()


def test_a_coarse_server_and_a_large_region_are_told():
    address = "https://tiles.example.org/{z}/{x}/{y}.png?key=secret"
    told = plan(reference=address, max_zoom=15, method="geometric")
    assert "0.8 m or finer" in told["problems"][0]["message"] and "secret" not in str(told)
    assert "0.92 m" in told["problems"][0]["remedy"] and told["zoom"] == 15
    told = plan("9.0,48.7,9.2,48.9", reference=address, method="geometric")
    assert "in bulk" in told["problems"][0]["message"] and told["tiles"] > 50_000
    assert told["seconds"] >= told["tiles"] / 10 and "tiles.example.org" in told["note"]
    told = plan("8.0,48.0,9.0,49.0", reference=address, method="geometric")
    assert not told["counted"] and told["cells"] == pytest.approx(81e6, rel=0.05)


@pytest.mark.parametrize("region", ["9.18,48.7,9.18,48.8", "9.1,48.7,9.2,48.7", "9.2,48.8,9.3"])
def test_a_region_without_a_size_is_refused_in_one_line(region):
    with pytest.raises(RegionError) as refused:
        plan(region)
    assert region in refused.value.message and "\n" not in refused.value.message


def test_unknown_methods_and_scales_are_refused():
    with pytest.raises(ModelError, match="no model 'nosuch'"):
        plan(method="nosuch")
    with pytest.raises(ParameterError, match="--scales"):
        plan(scales="fine")


def test_pixels_on_the_ground_are_measured_like_crops_are_cut(reference):
    with open_raster(reference) as raster:
        place = GridPlace(raster.grid)
        assert Cropper(Imagery(raster), side=8).gsd_m(world.LON, world.LAT) == place.gsd_m(world.LON, world.LAT)
        col, row = place.pixels(np.array([world.LON]), np.array([world.LAT]))
        assert col == pytest.approx(world.SIDE / 2, abs=0.01) and row == pytest.approx(world.SIDE / 2, abs=0.01)


def test_a_plan_loads_no_network(reference):
    code = (
        "import sys; from engine.jobs import find_job; from engine.events import Reporter; j = find_job('locate-plan');"
        f"j.run(j.parse(dict(region={SMALL!r}, reference={reference!r})), Reporter()); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
