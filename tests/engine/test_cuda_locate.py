"""Panoramas are found on a CUDA device as on the processor: index and search from end to end, by every method."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.crossview.index.reader import CellIndex
from engine.events import Reporter
from engine.jobs import find_job
from tests.engine import locate_world as world

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
DEVICES = ("cpu", "cuda")
PLACES = [(-62.0, 41.0, 200.0), (35.0, -58.0, 20.0)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("world")
    world.write_reference(home / "ortho.tif")
    for k, (east, north, heading) in enumerate(PLACES):
        picture = world.panorama(world.ground(), *world.at(east, north), heading)
        world.write_panorama(home / f"p{k}.png", picture)
    return home


def run(name: str, **options: object) -> dict:
    job = find_job(name)
    return job.run(job.parse(dict(options)), Reporter())


@pytest.mark.parametrize("method", ["fused", "crossview", "geometric"])
def test_the_same_places_are_found(photos, tmp_path, method):
    found = {}
    for device in DEVICES:
        index, out = str(tmp_path / f"index-{device}"), tmp_path / device
        given = {"reference": str(photos / "ortho.tif"), "region": world.BOX, "method": method, "cell": 20}
        run("locate-index", out=index, device=device, **given)
        every = [str(photos / f"p{k}.png") for k in range(len(PLACES))]
        run("locate-search", index=index, panorama=every, out=str(out), verify=30, top=5, device=device)
        result = json.loads((out / "result.json").read_text())
        assert result["device"].startswith(device)
        found[device] = [photo["best"] for photo in result["figures"]["photos"]]
    for here, there in zip(*found.values(), strict=True):
        for name in ("lon", "lat"):
            assert here[name] == pytest.approx(there[name], abs=1e-6)
        assert abs((here["heading_deg"] - there["heading_deg"] + 180) % 360 - 180) <= 3.0 + 1e-3
        assert here["probability_50m"] == pytest.approx(there["probability_50m"], abs=0.02)


def test_an_index_of_either_device_serves_the_other(photos, tmp_path):
    given = {"reference": str(photos / "ortho.tif"), "region": world.BOX, "method": "fused", "cell": 20}
    codes = {}
    for device, other in (DEVICES, DEVICES[::-1]):
        folder = str(tmp_path / device)
        run("locate-index", out=folder, device=device, precision="float32", **given)
        run(
            "locate-search", index=folder, panorama=[str(photos / "p0.png")], out=str(tmp_path / f"found-{device}"),
            device=other, verify=10,
        )  # fmt: skip
        index = CellIndex(Path(folder))
        codes[device] = {layer: np.array(index.shard(layer, 0)) for layer in ("learned", "geometric")}
    for layer, most in (("learned", 2e-2), ("geometric", 1)):
        here, there = (codes[device][layer].astype(np.float64) for device in DEVICES)
        assert len(here) > 50 and np.abs(here - there).max() <= most
