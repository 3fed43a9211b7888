"""The plugin's client against the engine's real worker: both sides of the protocol keep it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plugin.engine_client.command_line import engine_command
from plugin.engine_client.failure import EngineCancelled, EngineFailure
from plugin.engine_client.locate import CHECKOUT, EngineLocation, check_engine
from plugin.engine_client.settings import environment_python

ROOT = Path(__file__).resolve().parents[2]
PYTHON = environment_python(ROOT / ".venv-engine")

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason=f"no engine environment: {PYTHON} (scripts/setup_engine)")

CLIENT = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from plugin.engine_client.locate import CHECKOUT, EngineLocation
engine = EngineLocation(Path({python!r}), Path({root!r}), CHECKOUT)
engine.process().run_job(
    "simulate-scene",
    {params!r},
    on_progress=lambda fraction, stage, message: print(stage, flush=True),
)
"""


@pytest.fixture
def engine():
    return EngineLocation(PYTHON, ROOT, CHECKOUT)


def simulate(out: Path, **changes) -> dict:
    return {"width": 256, "height": 256, "products": "s1", "out": str(out), **changes}


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def python_children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(entry.name))
            except (OSError, IndexError):
                continue
    return found


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_hello(engine):
    start = time.monotonic()
    hello = check_engine(engine)
    assert hello.protocol == 1 and hello.engine_version and hello.device
    assert time.monotonic() - start < 20


def test_doctor_finds_nothing_wrong(engine):
    report = engine.process().run_job("doctor", {})
    assert report["ok"], [check for check in report["checks"] if check["status"] == "problem"]


def test_a_polluted_environment_does_no_harm(engine, monkeypatch):
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA",
                 "GDAL_DRIVER_PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"):  # fmt: skip
        monkeypatch.setenv(name, "/nowhere/junk")
    report = engine.process().run_job("doctor", {})
    assert report["ok"]
    assert not [c for c in report["checks"] if c["area"] == "Environment" and c["status"] != "ok"]


def test_a_job_with_progress_and_result(engine, tmp_path):
    out = tmp_path / "sc ene ü 水"
    events, logs = [], []
    result = engine.process().run_job(
        "simulate-scene",
        simulate(out, width=768, height=768, products="all"),
        on_progress=lambda *event: events.append(event),
        on_log=lambda *event: logs.append(event),
    )
    fractions = [fraction for fraction, _, _ in events]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] <= 1.0 and len(fractions) >= 2
    assert all((out / name).is_file() for name in result["outputs"].values())
    assert not [line for level, line in logs if "engine output" in line], "nothing but the protocol on stdout"
    assert left_in(tmp_path) == [out.name]


@pytest.mark.parametrize(
    ("job", "params", "kind"),
    [
        ("no-such-job", {}, "parameter"),
        ("flood", {"out": "x"}, "parameter"),
        ("flood", {"post": "x", "out": "y", "probability": 0, "nonsense": 1}, "parameter"),
        ("flood", {"post": "/nowhere/scene.tif", "out": "/nowhere/out"}, None),
    ],
)
def test_errors_come_with_kind_and_remedy_in_one_line(engine, job, params, kind):
    with pytest.raises(EngineFailure) as caught:
        engine.process().run_job(job, params)
    failure = caught.value
    assert kind is None or failure.kind == kind
    assert failure.kind not in ("crash", "protocol", "start")
    assert failure.message and "\n" not in failure.line and "Traceback" not in failure.line


def test_an_output_folder_that_is_not_empty_is_refused(engine, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(EngineFailure) as caught:
        engine.process().run_job("simulate-scene", simulate(tmp_path / "out"))
    assert caught.value.kind == "output" and "overwrite" in caught.value.remedy
    assert left_in(tmp_path) == ["out"] and left_in(tmp_path / "out") == ["mine.txt"]


@pytest.mark.parametrize("moment", [-1.0, 0.0, 0.15, 0.5])
def test_cancel_is_quick_at_every_stage_and_leaves_nothing(engine, tmp_path, moment):
    """−1: while the worker still imports; else once the fraction has been reached."""
    seen, asked = [], []
    started = time.monotonic()

    def is_cancelled():
        ready = time.monotonic() - started > 0.25 if moment < 0 else bool(seen) and seen[-1] >= moment
        if ready and not asked:
            asked.append(time.monotonic())
        return bool(asked)

    params = simulate(tmp_path / "out", width=8192, height=16384, products="all")
    with pytest.raises(EngineCancelled):
        engine.process().run_job(
            "simulate-scene",
            params,
            on_progress=lambda fraction, stage, message: seen.append(fraction),
            is_cancelled=is_cancelled if moment <= 0.05 else _after_a_while(is_cancelled, seen, asked),
        )
    assert time.monotonic() - asked[0] < 2.0
    assert left_in(tmp_path) == []


def _after_a_while(is_cancelled, seen, asked):
    """The big scene never gets to the later fractions in a test's time: then 3 s of work stand for them."""
    began = []

    def check():
        if seen and not began:
            began.append(time.monotonic())
        if began and time.monotonic() - began[0] > 3 and not asked:
            asked.append(time.monotonic())
        return is_cancelled()

    return check


def test_a_killed_engine_is_an_error_and_leaves_nothing(engine, tmp_path):
    killed = []

    def progress(fraction, stage, message):
        if not killed and list(tmp_path.glob(".out.partial-*")):
            killed.extend(pid for pid in python_children(os.getpid()) if "worker_main" in command_of(pid))
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(EngineFailure, match="signal 9") as caught:
        engine.process().run_job("simulate-scene", simulate(tmp_path / "out", height=20_000), on_progress=progress)
    assert caught.value.kind == "crash" and "memory" in caught.value.remedy
    assert killed and left_in(tmp_path) == []


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_killed_qgis_leaves_no_orphan_and_no_partial_folder(tmp_path):
    code = CLIENT.format(root=str(ROOT), python=str(PYTHON), params=simulate(tmp_path / "out", height=20_000))
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        client.stdout.readline()
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".out.partial-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(tmp_path.glob(".out.partial-*")), "the engine was at work"
        workers = python_children(client.pid)
        assert workers
    finally:
        client.kill()
        client.wait()
    deadline = time.monotonic() + 4
    while any(running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in workers if running(pid)]
    assert left_in(tmp_path) == []


def test_what_locating_refuses_comes_as_one_line(engine, tmp_path):
    region = {"region": "14.99,53.98,15.01,53.99"}
    plan = engine.process().run_job(
        "locate-plan", {**region, "reference": str(tmp_path / "no.tif"), "method": "geometric"}
    )
    assert plan["cells"] > 10_000 and "no.tif" in plan["problems"][0]["message"]
    refused = [
        ("locate-plan", {"region": "15,53.98,15,53.99"}, "is not W,S,E,N"),
        ("locate-plan", {**region, "method": "nosuch"}, "There is no model 'nosuch'"),
        ("locate-index", {**region, "reference": str(tmp_path / "no.tif"), "out": str(tmp_path / "x")}, "no.tif"),
        ("locate-search", {"index": str(tmp_path), "panorama": ["a.jpg"], "out": str(tmp_path / "x")}, "a.jpg"),
    ]
    for job, params, said in refused:
        with pytest.raises(EngineFailure) as failure:
            engine.process().run_job(job, params)
        assert said in failure.value.line and "\n" not in failure.value.line
    assert left_in(tmp_path) == []


COMMAND = """
import json, sys
from engine.command_line import command_line
from engine.mapping.flood.request import FloodRequest
for line in sys.stdin:
    print(command_line("flood", FloodRequest(**json.loads(line)), positional=("post",)))
"""


def test_the_command_text_is_the_engines_own():
    requests = [
        {"post": "/a b/ü.tif", "out": "/o"},
        {"post": "a.tif", "before": "b'.tif", "aoi": "-1.5,2,3,4", "out": "o"},
        {"post": "a.tif", "reference_water": "w", "dem": "d", "hand": "h", "aoi": "x.gpkg", "zones": "z.gpkg",
         "zone_field": "na me", "method": "/m", "units": "db", "bands": "VV=1,VH=2", "probability": 60,
         "min_area": 1234.5, "max_hand": 20.0, "max_slope": 7.25, "observed_at": "2021-01-01T00:00:00Z",
         "device": "cuda:1", "overwrite": True, "out": "o"},
    ]  # fmt: skip
    lines = "\n".join(json.dumps(r) for r in requests)
    answer = subprocess.run(
        [str(PYTHON), "-c", COMMAND], input=lines, capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert answer.stdout.splitlines() == [engine_command("flood", r, windows=False) for r in requests]
