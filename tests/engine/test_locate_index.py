"""Making an index: what it holds, going on after a kill, adding regions, damage, gaps and coarse references."""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from engine.crossview.cells import CellLayout
from engine.crossview.crops import Cropper
from engine.crossview.imagery import Imagery
from engine.crossview.index.area import area_of
from engine.crossview.index.reader import CellIndex
from engine.errors import DamagedFileError, GridError, MissingFileError, OutputError, ParameterError, RegionError
from engine.events import CancelToken, Reporter
from engine.jobs import find_job
from engine.locate import methods
from engine.raster.read import open_raster
from engine.raster.tilefetch import Manners
from engine.raster.tiles import tile_at
from tests.engine import locate_world as world
from tests.engine.tile_server import TileServer, png

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(methods, "describers_for", lambda method, **_: ("small", [world.SmallDescriber()]))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return world.write_reference(tmp_path_factory.mktemp("reference") / "ortho.tif")


def make(reference, out, *, region=world.BOX, reporter=None, **options):
    job = find_job("locate-index")
    request = job.parse({"reference": str(reference), "region": region, "out": str(out), "cell": 15, **options})
    return job.run(request, reporter or Reporter())


def data_of(folder):
    return {p.name: p.read_bytes() for p in Path(folder).glob("*.bin")}


def test_an_index_holds_what_crops_one_by_one_give(reference, tmp_path):
    result = make(reference, tmp_path / "index")
    index = CellIndex(tmp_path / "index")
    index.verify(Reporter())
    ids = np.sort(np.concatenate(list(CellLayout(15).in_region(world_region()))))
    assert np.array_equal(np.sort(index.ids()), ids)
    assert result["figures"]["cells"] == index.cells == len(ids)
    assert (index.observed() == 100).all()
    lon, lat = index.centres()
    assert index.card.extent == (lon.min(), lat.min(), lon.max(), lat.max())
    describer = world.SmallDescriber()
    with open_raster(reference) as raster:
        cropper = Cropper(Imagery(raster), side=describer.side)
        some = np.arange(0, index.cells, 37)
        wanted = np.concatenate([describer.describe(cropper.cut(lon[[k]], lat[[k]], 1.0).pixels, 1.0) for k in some])
    found = index.take("learned", some)[:, 0]
    assert np.abs(found.astype(np.float32) - wanted.astype(np.float32)).max() < 2e-3
    card = json.loads((tmp_path / "index" / "card.json").read_text())
    assert card["imagery"][0]["sha256"] and card["imagery"][0]["crs"] == "EPSG:32632"
    assert card["layers"][0]["model"] == {"name": "small", "sha256": "0" * 64}
    assert not list(tmp_path.glob(".*"))


def world_region():
    import shapely

    return shapely.box(*map(float, world.BOX.split(",")))


def test_the_same_request_gives_the_same_bytes_and_neighbours_share_cells(reference, tmp_path):
    make(reference, tmp_path / "a")
    make(reference, tmp_path / "b", memory=0.05)
    assert data_of(tmp_path / "a") == data_of(tmp_path / "b")


def test_adding_a_region_gives_what_one_run_over_both_gives(reference, tmp_path):
    make(reference, tmp_path / "whole")
    west, east = "9.1785,48.7791,9.1802,48.7809", "9.1798,48.7791,9.1815,48.7809"
    first = make(reference, tmp_path / "parts", region=west)
    second = make(reference, tmp_path / "parts", region=east, update=True)
    whole, parts = CellIndex(tmp_path / "whole"), CellIndex(tmp_path / "parts")
    parts.verify(Reporter())
    assert first["figures"]["cells"] + second["figures"]["added"] == parts.cells == whole.cells
    assert len(parts.card.shards) == 2 and len(parts.card.regions) == 2
    a, b = np.argsort(whole.ids()), np.argsort(parts.ids())
    assert np.array_equal(whole.ids()[a], parts.ids()[b])
    apart = np.abs(whole.take("learned", a).astype(np.float32) - parts.take("learned", b).astype(np.float32))
    assert apart.max() < 2e-3
    before = data_of(tmp_path / "parts")
    area = json.loads((tmp_path / "parts" / "area.geojson").read_text())["features"][0]
    assert shapely.equals(shapely.from_geojson(json.dumps(area["geometry"])), world_region()), "both regions as one"
    (tmp_path / "parts" / "area.geojson").write_text("damaged")
    assert shapely.equals(area_of(tmp_path / "parts", parts.card), world_region()), "then by the card's boxes"
    assert area["properties"]["cells"] == json.loads((tmp_path / "parts" / "card.json").read_text())["cells"]
    again = make(reference, tmp_path / "parts", region=east, update=True)
    assert again["figures"]["added"] == 0 and data_of(tmp_path / "parts") == before
    with pytest.raises(ParameterError, match="made otherwise"):
        make(reference, tmp_path / "parts", region=east, update=True, cell=20)


def sheets(folder):
    """The world as four files that meet at its middle: their paths, and the region that each serves."""
    values = world.ground()
    found = []
    for k, (top, left) in enumerate(((0, 0), (0, 400), (400, 0), (400, 400))):
        path = folder / f"sheet{k}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=400, width=400, count=3, dtype="uint8", crs="EPSG:32632",
            transform=world.transform() @ Affine.translation(left, top),
        ) as target:  # fmt: skip
            target.write(values[:, top : top + 400, left : left + 400])
        found.append(path)
    return found


def test_new_cells_at_the_edge_of_earlier_files_show_what_lies_behind(reference, tmp_path):
    """The last of four sheets that meet: its cells are described as from the one mosaic, where its own pixels end
    too, and where each sheet has a quarter only."""
    whole = make(reference, tmp_path / "whole")
    for k, path in enumerate(sheets(tmp_path)):
        made = make(path, tmp_path / "parts", update=k > 0)
        assert made["warnings"] == [] or made["figures"]["gaps"] > 0
    one, parts = CellIndex(tmp_path / "whole"), CellIndex(tmp_path / "parts")
    parts.verify(Reporter())
    assert np.array_equal(np.sort(one.ids()), np.sort(parts.ids())) and whole["figures"]["cells"] == parts.cells
    last = np.arange(parts.cells - parts.card.shards[-1].cells, parts.cells)
    same = np.searchsorted(np.sort(one.ids()), parts.ids()[last])
    wanted = one.take("learned", np.argsort(one.ids())[same]).astype(np.float32)
    assert np.abs(parts.take("learned", last).astype(np.float32) - wanted).max() < 2e-3
    assert (parts.observed()[last] == 100).all()
    assert (parts.observed()[: last[0]] < 100).any(), "those of earlier runs stay as they are"


def test_an_earlier_file_that_is_gone_is_no_hindrance(tmp_path):
    west, east, *_ = sheets(tmp_path)
    make(west, tmp_path / "index")
    west.unlink()
    heard = []
    assert make(east, tmp_path / "index", update=True, reporter=Reporter(heard.append))["figures"]["added"] > 0
    assert any("without it" in getattr(event, "message", "") and "sheet0.tif" in event.message for event in heard)


KILLED = """
import sys
sys.path.insert(0, {root!r})
from engine.events import Reporter
from engine.jobs import find_job
from engine.locate import methods
from tests.engine import locate_world as world
methods.describers_for = lambda method, **_: ("small", [world.SmallDescriber(slow=0.06)])
job = find_job("locate-index")
job.run(job.parse(dict(reference={reference!r}, region=world.BOX, out={out!r}, cell=8)), Reporter())
"""


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(reference, tmp_path):
    make(reference, tmp_path / "whole", cell=8)
    wanted = data_of(tmp_path / "whole")
    out = tmp_path / "killed"
    building = tmp_path / ".killed.building"
    program = KILLED.format(root=str(ROOT), reference=reference, out=str(out))
    process = subprocess.Popen([sys.executable, "-c", program])
    while process.poll() is None:
        ledger = building / "ledger.jsonl"
        if ledger.exists() and ledger.read_bytes().count(b"\n") >= 2:  # units that are on the disk
            time.sleep(float(np.random.default_rng().random()) * 0.25)
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    assert process.wait(60) == -signal.SIGKILL
    assert not out.exists()
    # What was being written when the power went: a torn line, and bytes that the ledger does not know.
    with (building / "ledger.jsonl").open("ab") as file:
        file.write(b"[1, 2, 3")
    with (building / "learned-00000.bin").open("ab") as file:
        file.write(b"torn")
    heard = []
    make(reference, out, cell=8, reporter=Reporter(heard.append))
    assert any("Going on" in getattr(event, "message", "") for event in heard)
    assert data_of(out) == wanted
    assert not building.exists()


def test_another_request_does_not_go_on_with_a_strangers_work(reference, tmp_path):
    token = CancelToken()

    class Stops(Reporter):
        def progress(self, fraction, stage, message=""):
            super().progress(fraction, stage, message)
            if fraction > 0.5:
                token.cancel()

    with pytest.raises(Exception, match="Cancelled"):
        make(reference, tmp_path / "i", reporter=Stops(token=token))
    assert not (tmp_path / "i").exists() and (tmp_path / ".i.building").is_dir()
    result = make(reference, tmp_path / "i", cell=20)
    assert result["figures"]["cells"] == CellIndex(tmp_path / "i").cells < 700


def test_what_is_in_the_way_is_not_overwritten(reference, tmp_path):
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match="not empty"):
        make(reference, tmp_path / "i")
    make(reference, tmp_path / "i", overwrite=True)
    assert (tmp_path / "i" / "letter.txt").read_text() == "dear"
    make(reference, tmp_path / "i", overwrite=True, cell=20)
    CellIndex(tmp_path / "i").verify(Reporter())


def test_damage_is_told_in_one_line(reference, tmp_path):
    make(reference, tmp_path / "i")
    folder = tmp_path / "i"
    vectors = folder / "learned-00000.bin"
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[:-1000])
    with pytest.raises(DamagedFileError, match=r"learned-00000\.bin: damaged index: it has \d+ bytes"):
        CellIndex(folder)
    vectors.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(DamagedFileError, match="SHA-256"):
        CellIndex(folder).verify(Reporter())
    vectors.unlink()
    with pytest.raises(DamagedFileError, match="missing"):
        CellIndex(folder)
    vectors.write_bytes(whole)
    card = (folder / "card.json").read_text()
    content = json.loads(card)
    wrong = [json.dumps({**content, **change}) for change in ({"cells": 3}, {"layers": []}, {"format": 2})]
    for broken in (card[: len(card) // 2], "[]", "{}", *wrong, card.replace("learned-00000.bin", "../../x")):
        (folder / "card.json").write_text(broken)
        with pytest.raises(DamagedFileError, match=r"card\.json: damaged index") as error:
            CellIndex(folder)
        assert "\n" not in error.value.line
    (folder / "card.json").unlink()
    with pytest.raises(MissingFileError, match="no index"):
        CellIndex(folder)
    with pytest.raises(MissingFileError):
        CellIndex(tmp_path / "nothing")


def test_gaps_are_counted_and_told(tmp_path):
    reference = world.write_reference(tmp_path / "half.tif", nodata_columns=400)
    reporter = Reporter()
    result = make(reference, tmp_path / "i", reporter=reporter)
    figures = result["figures"]
    assert 0.3 < figures["gaps"] / (figures["gaps"] + figures["cells"]) < 0.55
    assert any("too little imagery" in line for line in reporter.warnings)
    index = CellIndex(tmp_path / "i")
    assert index.observed().min() >= 50 and index.observed().min() < 100
    with pytest.raises(GridError, match="none of the region"):
        make(reference, tmp_path / "j", region="9.1786,48.7795,9.1790,48.7805")
    assert not (tmp_path / "j").exists() and not (tmp_path / ".j.building").exists()


def test_references_that_cannot_serve_are_refused(reference, tmp_path):
    with pytest.raises(GridError, match=r"pixels of 0\.5 m.*expected 0\.2 m"):
        make(reference, tmp_path / "i", scales="0.1,0.2")
    with pytest.raises(RegionError, match="outside of the reference"):
        make(reference, tmp_path / "i", region="10,48,10.01,48.01")
    with pytest.raises(ParameterError, match="--scales"):
        make(reference, tmp_path / "i", scales="fine")
    reporter = Reporter()
    make(reference, tmp_path / "i", scales="0.2,0.5,1", reporter=reporter)
    assert any("do not serve 0.2 m" in line for line in reporter.warnings)
    assert CellIndex(tmp_path / "i").layer("learned").scales_m == (0.5, 1.0)


def test_a_tile_server_gives_the_same_index_as_a_file_and_its_holes_are_told(tmp_path, monkeypatch):
    values = world.ground()
    inverse = ~world.transform()
    from engine.raster.crs import Transformation
    from engine.raster.xyz import parse_template

    to_utm = Transformation("EPSG:3857", "EPSG:32632")

    def picture(z, x, y):
        grid = parse_template("t{q}/").grid(z, 256)
        cols, rows = np.meshgrid(x * 256 + np.arange(256) + 0.5, y * 256 + np.arange(256) + 0.5)
        col, row = inverse @ to_utm(*(grid.transform @ (cols, rows)))
        inside = (col >= 0) & (col < world.SIDE) & (row >= 0) & (row < world.SIDE)
        if not inside.any():
            return None
        i, j = np.where(inside, row, 0).astype(int), np.where(inside, col, 0).astype(int)
        return png(np.where(inside, values[:, i, j], 0).astype(np.uint8))

    monkeypatch.setattr("engine.crossview.reference.Manners", functools.partial(Manners, backoff_s=0.01))
    server = TileServer(picture)
    try:
        x, y = tile_at(17, world.LON, world.LAT)
        hole = f"/t/17/{x}/{y}.png"
        reporter = Reporter()
        options = {"tile_cache": str(tmp_path / "cache"), "per_second": 900, "max_zoom": 18, "connections": 4}
        region = "9.1790,48.7794,9.1810,48.7806"
        make(server.address, tmp_path / "tiles", region=region, reporter=reporter, scales="1", **options)
        assert any("terms" in line and "127.0.0.1" in line for line in reporter.warnings)
        file = world.write_reference(tmp_path / "r.tif")
        make(file, tmp_path / "file", region=region)
        a, b = CellIndex(tmp_path / "tiles"), CellIndex(tmp_path / "file")
        assert np.array_equal(a.ids(), b.ids())
        alike = (a.shard("learned", 0)[:, 0].astype(np.float32) * b.shard("learned", 0)[:, 0]).sum(axis=1)
        assert np.median(alike) > 0.97
        assert a.card.imagery[0].tiles["failed"] == 0 and a.card.imagery[0].zoom == 17
        server.faults[hole] = [500] * 50
        reporter = Reporter()
        options["tile_cache"] = str(tmp_path / "other")
        result = make(server.address, tmp_path / "holes", region=region, scales="1", reporter=reporter, **options)
        assert result["figures"]["tiles"]["failed"] >= 1 and result["figures"]["gaps"] > 0
        assert any("failed after retries" in line and "--update" in line for line in reporter.warnings)
        server.faults.clear()
        filled = make(server.address, tmp_path / "holes", region=region, scales="1", update=True, **options)
        assert filled["figures"]["added"] == result["figures"]["gaps"]
        with pytest.raises(ParameterError, match="tiles at zoom"):
            make(server.address, tmp_path / "many", region=region, scales="1", max_tiles=3, **options)
    finally:
        server.close()
