"""Packs and batches: what comes out is what the files hold, packed, mapped, interrupted or read directly."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from engine.errors import (
    BandError,
    Cancelled,
    DamagedFileError,
    InputError,
    MissingFileError,
    OutputError,
    ParameterError,
)
from engine.events import CancelToken, Reporter
from engine.training.data.crops import NODATA, SCALES, decode, encode, windows
from engine.training.data.dataset import Cutting, PairDataset, Windows, join, read_dataset, read_rate
from engine.training.data.items import S2_BANDS
from engine.training.data.opening import open_data
from engine.training.data.pack import PackedDataset, is_pack, write_pack
from engine.training.data.places import find_items
from engine.training.data.sampling import TimePartners

torch.set_num_threads(1)
CUTTING = Cutting(side=16)


def write(path, array, names=(), west=500_000.0, **tags):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=array.shape[1], width=array.shape[2], count=array.shape[0],
        dtype=array.dtype, crs="EPSG:32633", transform=from_origin(west, 5_000_000.0, 10.0, 10.0),
    ) as out:  # fmt: skip
        out.write(array)
        out.update_tags(**tags)
        for i, name in enumerate(names, 1):
            out.set_band_description(i, name)


def made(root: Path, count=5, side=36, *, s2=True, label=True) -> Path:
    for k in range(count):
        generator = np.random.default_rng(k)
        s1 = np.array([-11.0, -18.0])[:, None, None] + generator.normal(0, 1.5, (2, side, side))
        s1[:, :3, :5] = np.nan
        write(root / f"Event_{k}_S1.tif", s1.astype(np.float32), ("VV", "VH"), ACQUIRED=f"2020-01-0{k + 1}")
        if s2:
            values = generator.integers(200, 3000, (12, side, side)).astype(np.uint16)
            write(root / f"Event_{k}_S2.tif", values, S2_BANDS, ACQUIRED=f"2020-01-0{k + 1}")
        if label:
            write(root / f"Event_{k}_label.tif", generator.integers(-1, 2, (1, side, side)).astype(np.int16))
    return root


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return made(tmp_path_factory.mktemp("source"))


def contents(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_windows_are_cut_out_of_the_whole_batch(source):
    data = read_dataset(find_items(str(source)), cutting=Cutting(side=36))
    whole, corners = data.batch([4, 1, 1]), [(0, 26), (13, 7), (26, 0)]
    seen = data.batch([4, 1, 1], windows=Windows(10, corners))
    assert seen["index"].equal(whole["index"]) and seen.keys() == whole.keys()
    for name in whole.keys() - {"index"}:
        for i, (top, left) in enumerate(corners):
            assert seen[name][i].equal(whole[name][i][..., top : top + 10, left : left + 10]), name


def pack(source, out, **more):
    return write_pack([find_items(str(source))], out, **{"cutting": CUTTING, "shard_samples": 8, **more})


@given(value=st.floats(-60, 60), sensor=st.sampled_from(["s1", "s2"]))
@settings(max_examples=60, deadline=None)
def test_codes_hold_values_to_half_a_step_and_missing_ones_as_missing(value, sensor):
    value = value if sensor == "s1" else value / 20
    array = np.array([value, np.nan, np.inf, 1e9, -1e9], np.float32)
    codes = encode(array, sensor)
    assert codes.dtype == np.int16 and codes[1] == codes[2] == NODATA
    back = decode(codes, sensor)
    assert np.isnan(back[1:3]).all() and np.isfinite(back[[0, 3, 4]]).all()
    assert abs(back[0] - np.float32(value)) <= 0.51 * SCALES[sensor] + 1e-5
    assert back[3] > 3.2 and back[4] < -3.2  # out of range: the nearest, never missing


def test_reflectance_of_products_comes_back_exactly():
    numbers = np.arange(0, 20_001)
    assert np.array_equal(np.rint(decode(encode((numbers * 1e-4).astype(np.float32), "s2"), "s2") * 1e4), numbers)


@given(height=st.integers(1, 300), width=st.integers(1, 300), side=st.integers(1, 128))
@settings(max_examples=100, deadline=None)
def test_squares_lie_inside_do_not_overlap_needlessly_and_leave_out_little(height, width, side):
    found = windows(height, width, side)
    assert len(set(found)) == len(found)
    rows, cols = sorted({w.row for w in found}), sorted({w.col for w in found})
    assert len(found) == len(rows) * len(cols)
    for starts, length in ((rows, height), (cols, width)):
        if length <= side:
            assert starts == [0]
            continue
        assert starts[0] >= 0 and starts[-1] + side <= length
        covered = np.zeros(length, bool)
        for s in starts:
            covered[s : s + side] = True
        assert (~covered).sum() <= max(1, 0.25 * side + len(starts))
        assert len(starts) <= -(-length // side)


def test_a_batch_is_what_the_files_hold(source):
    data = read_dataset(find_items(str(source)), cutting=Cutting(side=36))
    assert len(data) == 5 and data.groups == ["Event"] * 5 and data.classes == {0: "not water", 1: "water"}
    batch = data.batch([3, 0])
    assert {k: (tuple(v.shape), v.dtype) for k, v in batch.items()} == {
        "index": ((2,), torch.int64),
        "s1": ((2, 2, 36, 36), torch.float32),
        "s1_valid": ((2, 1, 36, 36), torch.bool),
        "s2": ((2, 12, 36, 36), torch.float32),
        "s2_valid": ((2, 1, 36, 36), torch.bool),
        "label": ((2, 36, 36), torch.int64),
    }
    for place, k in enumerate((3, 0)):
        with rasterio.open(source / f"Event_{k}_S1.tif") as file:
            raw = file.read()
        valid = np.isfinite(raw).all(axis=0)
        assert np.array_equal(batch["s1_valid"][place, 0].numpy(), valid)
        statistics = data.statistics["s1"]
        mean, std = (np.array(x)[:, None, None] for x in (statistics.mean, statistics.std))
        expected = np.where(valid, (raw - mean) / std, 0)
        assert np.allclose(batch["s1"][place].numpy(), expected, atol=1e-3)
        with rasterio.open(source / f"Event_{k}_S2.tif") as file:
            raw = file.read() * 1e-4
        statistics = data.statistics["s2"]
        mean, std = (np.array(x)[:, None, None] for x in (statistics.mean, statistics.std))
        assert np.allclose(batch["s2"][place].numpy(), (raw - mean) / std, atol=1e-3)
        with rasterio.open(source / f"Event_{k}_label.tif") as file:
            assert np.array_equal(batch["label"][place].numpy(), file.read(1))
    assert set(data.batch([1], sensors=["s1"])) == {"index", "s1", "s1_valid", "label"}
    with pytest.raises(IndexError):
        data.batch([5])


def test_statistics_are_those_of_the_valid_pixels(source):
    data = read_dataset(find_items(str(source)), cutting=Cutting(side=36))
    values = np.concatenate(
        [rasterio.open(source / f"Event_{k}_S1.tif").read().reshape(2, -1) for k in range(5)], axis=1
    )
    assert data.statistics["s1"].count == (5 * (36 * 36 - 15),) * 2
    assert np.allclose(data.statistics["s1"].mean, np.nanmean(values, axis=1), atol=1e-3)
    assert np.allclose(data.statistics["s1"].std, np.nanstd(values, axis=1), atol=1e-3)
    batch = data.batch(range(5))
    assert (batch["s1"][~batch["s1_valid"].expand_as(batch["s1"])] == 0).all()


def test_small_items_are_padded_with_missing_pixels(source):
    data = read_dataset(find_items(str(source)), cutting=Cutting(side=40))
    batch = data.batch([0])
    assert not batch["s1_valid"][0, 0, 36:].any() and not batch["s2_valid"][0, 0, :, 36:].any()
    assert (batch["label"][0, 36:] == -1).all() and data.statistics["s2"].count[0] == 5 * 36 * 36


def test_a_pack_gives_the_same_batches_as_the_files(source, tmp_path):
    index = pack(source, tmp_path / "pack")
    assert len(index.shards) > 1 and is_pack(tmp_path / "pack")
    packed, direct = PackedDataset(tmp_path / "pack"), read_dataset(find_items(str(source)), cutting=CUTTING)
    packed.verify()
    assert packed.samples == direct.samples and packed.label_counts() == direct.label_counts()
    order = np.random.default_rng(0).permutation(len(direct))
    a, b = packed.batch(order), direct.batch(order)
    assert set(a) == set(b)
    for key in a:
        assert torch.allclose(a[key].double(), b[key].double(), atol=1e-5), key
    for sensor in ("s1", "s2"):
        assert np.allclose(packed.statistics[sensor].mean, direct.statistics[sensor].mean, rtol=1e-9)
        assert np.allclose(packed.statistics[sensor].std, direct.statistics[sensor].std, rtol=1e-9)
    assert isinstance(packed.shards[0].s1, np.memmap)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_reading_threads_makes_the_same_pack(source, tmp_path, workers):
    pack(source, tmp_path / "one")
    pack(source, tmp_path / "more", workers=workers)
    assert contents(tmp_path / "one") == contents(tmp_path / "more")


def cancelled_after(number):
    token = CancelToken()
    seen = []

    def sink(event):
        if getattr(event, "stage", "") == "packing":
            seen.append(event)
            if len(seen) > number:
                token.cancel()

    reporter = Reporter(sink, token=token)
    reporter.INTERVAL_S = 0.0
    return reporter


@pytest.mark.parametrize(("items", "workers"), [(1, 0), (2, 0), (3, 2), (4, 0)])
def test_a_pack_that_is_stopped_goes_on_and_ends_the_same(source, tmp_path, items, workers):
    pack(source, tmp_path / "whole")
    with pytest.raises(Cancelled):
        pack(source, tmp_path / "again", reporter=cancelled_after(items), workers=workers)
    assert not is_pack(tmp_path / "again")
    with pytest.raises(MissingFileError, match="not finished"):
        PackedDataset(tmp_path / "again")
    told = []
    begun = len(list((tmp_path / "again" / "shards").glob("*.json")))
    pack(source, tmp_path / "again", reporter=Reporter(told.append))
    assert any("Going on" in getattr(event, "message", "") for event in told) == (begun > 0)
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")


def test_a_killed_pack_goes_on(source, tmp_path):
    """kill −9 in the middle of the work, then the same command again."""
    pack(source, tmp_path / "whole")
    code = (
        "import sys, time\n"
        "import engine.training.data.pack as p\n"
        "from engine.training.data.dataset import Cutting\n"
        "from engine.training.data.places import find_items\n"
        "put = p.put\n"
        "def slow(path, write):\n"
        "    put(path, write)\n"
        "    if path.name == '00000.json':\n"
        "        (path.parent / '.00001-s1.npy.partial-1-x').write_bytes(b'half')\n"
        "        print('one', flush=True); time.sleep(60)\n"
        "p.put = slow\n"
        "p.write_pack([find_items(sys.argv[1])], sys.argv[2], cutting=Cutting(side=16), shard_samples=8)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(source), str(tmp_path / "pack")], stdout=subprocess.PIPE
    )
    assert process.stdout.readline().strip() == b"one"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not is_pack(tmp_path / "pack")
    before = (tmp_path / "pack" / "shards" / "00000-s1.npy").stat().st_mtime_ns
    pack(source, tmp_path / "pack")
    assert (tmp_path / "pack" / "shards" / "00000-s1.npy").stat().st_mtime_ns == before
    assert contents(tmp_path / "pack") == contents(tmp_path / "whole")


def test_what_is_in_the_way_is_refused_and_left_alone(source, tmp_path):
    pack(source, tmp_path / "pack")
    before = contents(tmp_path / "pack")
    with pytest.raises(OutputError, match="holds a pack"):
        pack(source, tmp_path / "pack")
    assert contents(tmp_path / "pack") == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="other files"):
            pack(source, tmp_path / "other", overwrite=overwrite)
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        pack(source, tmp_path / "file")
    pack(source, tmp_path / "pack", overwrite=True, cutting=Cutting(side=12))
    assert PackedDataset(tmp_path / "pack").side == 12


def test_a_pack_begun_with_other_settings_is_not_gone_on_with(source, tmp_path):
    with pytest.raises(Cancelled):
        pack(source, tmp_path / "pack", reporter=cancelled_after(3))
    with pytest.raises(OutputError, match="other settings"):
        pack(source, tmp_path / "pack", cutting=Cutting(side=12))
    pack(source, tmp_path / "pack", cutting=Cutting(side=12), overwrite=True)
    assert PackedDataset(tmp_path / "pack").side == 12


def flip(path: Path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "error", "words"),
    [
        (lambda p: (p / "shards" / "00001-s2.npy").unlink(), MissingFileError, "00001-s2.npy"),
        (lambda p: (p / "shards" / "00000-s1.npy").write_bytes(b"no array"), DamagedFileError, "00000-s1.npy"),
        (lambda p: (p / "shards" / "00000-s1.npy").write_bytes(b""), DamagedFileError, "00000-s1.npy"),
        (lambda p: np.save(p / "shards" / "00000-label.npy", np.zeros((2, 2), np.int16)), DamagedFileError, "int16"),
        (lambda p: (p / "index.json").write_text("{"), DamagedFileError, "index.json"),
        (lambda p: (p / "index.json").write_text("[]"), DamagedFileError, "index.json"),
        (lambda p: (p / "index.json").write_text('{"format": 2}'), DamagedFileError, "index.json"),
    ],
)  # fmt: skip
def test_a_damaged_pack_names_the_file(source, tmp_path, harm, error, words):
    pack(source, tmp_path / "pack")
    harm(tmp_path / "pack")
    with pytest.raises(error, match=words) as caught:
        PackedDataset(tmp_path / "pack")
    assert "\n" not in caught.value.line


def test_a_single_changed_bit_is_found_by_verify(source, tmp_path):
    pack(source, tmp_path / "pack")
    flip(tmp_path / "pack" / "shards" / "00001-label.npy")
    with pytest.raises(DamagedFileError, match=r"00001-label\.npy"):
        PackedDataset(tmp_path / "pack").verify()


def test_pickles_are_never_loaded(source, tmp_path):
    pack(source, tmp_path / "pack")
    np.save(tmp_path / "pack" / "shards" / "00000-s1.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DamagedFileError, match=r"00000-s1\.npy"):
        PackedDataset(tmp_path / "pack")


def test_broken_items_are_listed_and_too_many_are_refused_early(tmp_path):
    root = made(tmp_path / "source", count=10, side=16)
    (root / "Event_0_S1.tif").write_bytes(b"broken")
    index = pack(root, tmp_path / "pack")
    (left,) = PackedDataset(tmp_path / "pack").left_out
    assert left.name == "Event_0" and "Event_0_S1.tif" in left.why and left.broken
    assert len(index.samples) == 9
    (root / "Event_1_S2.tif").write_bytes(b"")
    reporter = Reporter((told := []).append)
    reporter.INTERVAL_S = 0.0
    with pytest.raises(InputError, match=r"2 of 10 items are broken, more than 10%.*Event_0_S1.tif"):
        pack(root, tmp_path / "second", reporter=reporter)
    assert not is_pack(tmp_path / "second")
    assert [event.message for event in told] == ["Event_0", "Event_1"]  # nothing was read once it was certain
    assert len(pack(root, tmp_path / "third", max_broken=0.2).samples) == 8
    with pytest.raises(InputError, match=r"2 of 10 items are broken"):
        read_dataset(find_items(str(root)), cutting=CUTTING)


def test_a_file_that_was_mended_before_going_on_is_packed(tmp_path):
    root = made(tmp_path / "source", count=4, side=16)
    whole = (root / "Event_1_S1.tif").read_bytes()
    (root / "Event_1_S1.tif").write_bytes(b"broken")
    settings = {"shard_samples": 2, "max_broken": 1.0}
    with pytest.raises(Cancelled):
        pack(root, tmp_path / "pack", reporter=cancelled_after(3), **settings)
    assert len(list((tmp_path / "pack" / "shards").glob("*.json"))) >= 1
    (root / "Event_1_S1.tif").write_bytes(whole)
    pack(root, tmp_path / "pack", **settings)
    pack(root, tmp_path / "fresh", **settings)
    assert contents(tmp_path / "pack") == contents(tmp_path / "fresh")
    assert len(PackedDataset(tmp_path / "pack")) == 4


def test_nothing_left_is_an_error_and_no_pack(tmp_path):
    root = made(tmp_path / "source", count=1, side=16)
    (root / "Event_0_S1.tif").unlink()
    (root / "Event_0_label.tif").unlink()
    with pytest.raises((InputError, ParameterError)):
        pack(root, tmp_path / "pack")
    assert not is_pack(tmp_path / "pack")


def test_an_item_without_a_sensor_is_missing_there_and_only_there(tmp_path):
    root = made(tmp_path / "source", count=3, side=16)
    (root / "Event_1_S2.tif").unlink()
    pack(root, tmp_path / "pack")
    data = PackedDataset(tmp_path / "pack")
    batch = data.batch([0, 1, 2])
    assert [bool(v.any()) for v in batch["s2_valid"]] == [True, False, True]
    assert (batch["s2"][1] == 0).all() and batch["s1_valid"][1].any()
    assert [s.has_s2 for s in data.samples] == [True, False, True]
    assert len(open_data([str(root)], cutting=CUTTING, need="pairs")) == 2


def test_radar_alone_has_no_optical_keys(tmp_path):
    root = made(tmp_path / "source", count=2, side=16, s2=False)
    pack(root, tmp_path / "pack")
    data = PackedDataset(tmp_path / "pack")
    assert set(data.bands) == {"s1"} and set(data.batch([0])) == {"index", "s1", "s1_valid", "label"}
    with pytest.raises(ParameterError, match="holds no pairs"):
        open_data([str(tmp_path / "pack")], cutting=CUTTING, need="pairs")
    with pytest.raises(ParameterError, match="no item with both sensors"):
        open_data([str(root)], cutting=CUTTING, need="pairs")


def test_packs_and_folders_join_to_one_set(source, tmp_path):
    pack(source, tmp_path / "pack")
    other = made(tmp_path / "other", count=2, side=16)
    both = open_data([str(tmp_path / "pack"), str(other)], cutting=CUTTING)
    first, second = PackedDataset(tmp_path / "pack"), read_dataset(find_items(str(other)), cutting=CUTTING)
    assert len(both) == len(first) + len(second)
    raw = both.codes("s1", [len(first) - 1, len(first), len(first) + 1])
    assert np.array_equal(raw[0], first.codes("s1", [len(first) - 1])[0])
    assert np.array_equal(raw[1:], second.codes("s1", [0, 1]))
    assert both.statistics["s1"].count[0] == first.statistics["s1"].count[0] + second.statistics["s1"].count[0]
    with pytest.raises(ParameterError, match="squares of"):
        join([first, read_dataset(find_items(str(other)), cutting=Cutting(side=8))])
    with pytest.raises(ParameterError, match="different bands"):
        join([first, read_dataset(find_items(str(other)), cutting=Cutting(side=16, s2_bands=("B02", "B04")))])


def test_a_models_statistics_replace_those_of_the_data(source):
    data = read_dataset(find_items(str(source)), cutting=CUTTING)
    from engine.training.data.statistics import BandStatistics

    own = {
        "s1": BandStatistics(("VV", "VH"), (0.0, 0.0), (1.0, 1.0), (1, 1)),
        "s2": BandStatistics(S2_BANDS, (0.0,) * 12, (1.0,) * 12, (1,) * 12),
    }
    batch = data.normalised_by(own).batch([0])
    valid = batch["s1_valid"].expand_as(batch["s1"])
    assert torch.allclose(batch["s1"][valid], torch.from_numpy(decode(data.codes("s1", [0]), "s1"))[valid], atol=1e-4)
    with pytest.raises(BandError, match="for VV"):
        data.normalised_by({**own, "s1": BandStatistics(("VV",), (0.0,), (1.0,), (1,))})


def test_optical_images_of_other_dates_of_the_same_ground_can_be_drawn(tmp_path):
    """Three dates of one place (they share name and georeference) and another place."""
    root = made(tmp_path / "source", count=3, label=False)
    write(
        root / "Else_1_S1.tif",
        np.full((2, 36, 36), -12, np.float32),
        ("VV", "VH"),
        west=700_000.0,
        ACQUIRED="2020-01-01",
    )
    write(
        root / "Else_1_S2.tif", np.full((12, 36, 36), 900, np.uint16), S2_BANDS, west=700_000.0, ACQUIRED="2020-01-01"
    )
    data = read_dataset(find_items(str(root)), cutting=CUTTING)
    partners = TimePartners(data.samples, max_days=1)
    names = [s.name for s in data.samples]
    first = names.index(next(n for n in names if n.startswith("Event_0")))
    assert [names[i].split("/")[0] for i in partners.of(first)] == ["Event_0", "Event_1"]
    assert len({names[i].split("/")[1] for i in partners.of(first)}) == 1
    other = int(partners.of(first)[1])
    mixed, plain = data.batch([first], s2_indices=[other]), data.batch([first, other])
    assert torch.equal(mixed["s1"][0], plain["s1"][0]) and torch.equal(mixed["s2"][0], plain["s2"][1])
    assert partners.of(names.index(next(n for n in names if n.startswith("Else")))).size == 1


def test_too_much_for_memory_is_refused_with_the_way_out(source):
    with pytest.raises(ParameterError, match="GiB") as caught:
        read_dataset(find_items(str(source)), cutting=CUTTING, max_bytes=1000)
    assert "engine data pack" in caught.value.remedy


def test_reading_leaves_no_time_to_waste(source, tmp_path):
    pack(source, tmp_path / "pack")
    rate = read_rate(PackedDataset(tmp_path / "pack"), size=8, seconds=0.2)
    assert rate["samples_per_second"] > 200 and rate["megabytes_per_second"] > 0


def test_two_processes_never_write_one_pack(source, tmp_path):
    from engine.locks import FileLock

    with pytest.raises(Cancelled):
        pack(source, tmp_path / "pack", reporter=cancelled_after(3))
    lock = FileLock(tmp_path / "pack" / ".lock")
    assert lock.acquire()
    try:
        with pytest.raises(OutputError, match="another process"):
            pack(source, tmp_path / "pack")
    finally:
        lock.release(remove=True)
    pack(source, tmp_path / "pack")


def test_samples_and_shards_must_agree(source):
    data = read_dataset(find_items(str(source)), cutting=CUTTING)
    with pytest.raises(ValueError, match="crops for"):
        PairDataset(data.samples[1:], data.shards, bands=data.bands, statistics=data.statistics, side=16)


def test_the_index_is_plain_json(source, tmp_path):
    pack(source, tmp_path / "pack")
    index = json.loads((tmp_path / "pack" / "index.json").read_text())
    assert index["bands"]["s1"] == ["VV", "VH"] and index["sources"] == [str(source)]
    assert set(index["shards"][0]["sha256"]) == {"s1", "s2", "label"}
