"""``engine data check`` and ``engine data pack`` as a person calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from engine.errors import ParameterError
from engine.events import Reporter
from engine.jobs import find_job
from engine.training.data.items import S2_BANDS
from engine.training.data.pack import PackedDataset

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def write(path, array, names=(), **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=array.shape[1], width=array.shape[2], count=array.shape[0],
        dtype=array.dtype, crs="EPSG:32633", transform=from_origin(500_000.0, 5_000_000.0, 10.0, 10.0),
    ) as out:  # fmt: skip
        out.write(array)
        out.update_tags(**tags)
        for i, name in enumerate(names, 1):
            out.set_band_description(i, name)


@pytest.fixture
def source(tmp_path):
    for k in range(4):
        generator = np.random.default_rng(k)
        s1 = np.array([-11.0, -18.0])[:, None, None] + generator.normal(0, 1.5, (2, 32, 32))
        write(tmp_path / f"data/Event_{k}_S1.tif", s1.astype(np.float32), ("VV", "VH"), ACQUIRED=f"2020-01-0{k + 1}")
        s2 = generator.integers(200, 3000, (12, 32, 32)).astype(np.uint16)
        write(tmp_path / f"data/Event_{k}_S2.tif", s2, S2_BANDS, ACQUIRED="2020-01-02")
        label = np.zeros((1, 32, 32), np.int16)
        label[:, :8] = 1
        label[:, -16:] = -1
        write(tmp_path / f"data/Event_{k}_label.tif", label)
    return tmp_path / "data"


def run(job, **params):
    found = find_job(job)
    return found.run(found.parse(params), Reporter())


def engine(*words):
    return subprocess.run([sys.executable, "-m", "engine", *map(str, words)], capture_output=True, text=True)


def test_check_tells_what_is_there(source, tmp_path):
    result = run("data-check", path=str(source), out=str(tmp_path / "check.json"))
    assert json.loads((tmp_path / "check.json").read_text()) == result
    assert (result["items"], result["pairs"], result["labelled"], result["groups"]) == (4, 4, 4, 1)
    assert (result["read"], result["good"], result["broken"], result["left_out"]) == (4, 4, 0, [])
    assert result["classes"] == [
        {"code": 0, "name": "not water", "pixels": 4 * 8 * 32, "share": 0.5},
        {"code": 1, "name": "water", "pixels": 4 * 8 * 32, "share": 0.5},
    ]
    assert result["ignored_share"] == 0.5
    assert result["sizes"] == [{"height": 32, "width": 32, "items": 4}] and result["gsd_m"] == [10, 10]
    assert result["days_between"] == {"known": 4, "median": 1.0, "largest": 2.0}
    assert result["dates"]["s1"] == {
        "first": "2020-01-01T00:00:00+00:00", "last": "2020-01-04T00:00:00+00:00", "known": 4,
    }  # fmt: skip
    assert abs(result["statistics"]["s1"]["mean"][1] + 18) < 0.2


def test_check_lists_what_is_broken_ends_with_1_and_one_line_that_names_the_file(source, tmp_path):
    (source / "Event_2_S1.tif").write_bytes(b"nothing")
    done = engine("data", "check", source, "--json", tmp_path / "check.json")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "Event_2_S1.tif" in done.stderr
    assert "3 good, 1 broken" in done.stdout and "Event_2_S1.tif" in done.stdout
    result = json.loads((tmp_path / "check.json").read_text())
    assert [(o["name"], o["reason"]) for o in result["left_out"]] == [("Event_2", "unreadable")]
    done = engine("data", "check", source, "--max-days", "0.5")
    assert "left out, dates" in done.stdout


def test_check_reads_a_part_when_asked(source):
    result = run("data-check", path=str(source), limit=2)
    assert (result["items"], result["read"], result["good"]) == (4, 2, 2)


def test_a_good_check_ends_with_0(source):
    done = engine("data", "check", source)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 in 1 groups: 4 pairs, 4 labelled" in done.stdout and "water" in done.stdout


def test_pack_then_check_the_pack_then_harm_it(source, tmp_path):
    done = engine("data", "pack", source, "--crop", "16", "-o", tmp_path / "pack")
    assert (done.returncode, done.stderr) == (0, "")
    assert "samples/s" in done.stdout
    # Half of each item has no label: two of its four squares.
    assert len(PackedDataset(tmp_path / "pack")) == 8
    result = run("data-check", path=str(tmp_path / "pack"))
    assert (result["kind"], result["items"], result["broken"]) == ("pack", 8, 0)
    assert [c["share"] for c in result["classes"]] == [0.5, 0.5]
    shard = tmp_path / "pack" / "shards" / "00000-s2.npy"
    data = bytearray(shard.read_bytes())
    data[-5] ^= 255
    shard.write_bytes(data)
    done = engine("data", "check", tmp_path / "pack")
    assert done.returncode == 1 and "00000-s2.npy" in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1


def test_pack_refuses_too_much_that_is_broken_in_one_line(source, tmp_path):
    (source / "Event_2_S1.tif").unlink()
    (source / "Event_2_S2.tif").write_bytes(b"x" * 500)
    done = engine("data", "pack", source, "--crop", "16", "-o", tmp_path / "pack")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Event_2_S2.tif" in done.stderr
    assert "1 of 4 items are broken, more than 10%" in done.stderr
    done = engine("data", "pack", source, "--crop", "16", "-o", tmp_path / "pack", "--max-broken", "0.5")
    assert done.returncode == 0 and "Event_2_S2.tif" in done.stdout


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"path": "x", "out": "y", "s2_bands": "B02,B99"}, "B99|different names"),
        ({"path": "x", "out": "y", "s2_bands": "B02,B02"}, "different names"),
        ({"path": "x", "out": "y", "crop": 3}, "crop"),
        ({"path": "x", "out": "y", "max_broken": 2}, "max_broken"),
        ({"path": "x", "out": "y", "unknown": 2}, "unknown"),
    ],
)
def test_impossible_options_are_named(params, words):
    with pytest.raises(ParameterError, match=words):
        find_job("data-pack").parse(params)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_the_shared_chips_check_clean_with_the_shares_that_their_list_tells():
    result = run("data-check", path=str(SHARED / "flood"))
    assert (result["items"], result["broken"], result["labelled"]) == (8, 0, 8)
    rows = (SHARED / "flood" / "chips.csv").read_text().splitlines()
    columns = rows[0].split(",")
    listed = [dict(zip(columns, row.split(","), strict=False)) for row in rows[1:]]
    ignored = np.mean([float(row["ignore_share"]) for row in listed])
    assert result["ignored_share"] == pytest.approx(ignored, abs=1e-3)
    water = sum(float(r["water_share_of_valid"]) * (1 - float(r["ignore_share"])) for r in listed)
    valid = sum(1 - float(r["ignore_share"]) for r in listed)
    assert result["classes"][1]["share"] == pytest.approx(water / valid, abs=2e-3)
