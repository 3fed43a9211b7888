"""The engine client and the set-up's programs under Qt 6: the same processes, cancelled and killed in the same ways."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from plugin.engine_client.base_python import find_base_python
from plugin.engine_client.environment import engine_environment
from plugin.engine_client.failure import EngineCancelled, EngineFailure
from plugin.engine_client.process import EngineProcess
from plugin.engine_client.process_tree import descendants
from plugin.engine_client.programs import run_program

FAKE = Path(__file__).resolve().parents[1] / "contract" / "fake_worker.py"


def worker(behaviour: str, folder: Path) -> EngineProcess:
    return EngineProcess(sys.executable, ["-I", "-u", str(FAKE), behaviour, str(folder)])


def gone(folder: Path) -> bool:
    try:
        os.kill(int((folder / "pid").read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_progress_and_result(tmp_path):
    events = []
    result = worker("good", tmp_path).run_job(
        "flood", {"post": "ü 水", "out": str(tmp_path / "o")}, on_progress=lambda *event: events.append(event)
    )
    assert result["echo"]["post"] == "ü 水" and events[-1][0] == 1.0 and gone(tmp_path)


@pytest.mark.parametrize(("behaviour", "kind"), [("error", "grid"), ("segfault", "crash"), ("protocol", "protocol")])
def test_failures(tmp_path, behaviour, kind):
    with pytest.raises(EngineFailure) as caught:
        worker(behaviour, tmp_path).run_job("flood", {"out": str(tmp_path / "o")})
    assert caught.value.kind == kind and gone(tmp_path) and not list(tmp_path.glob(".*partial*"))


@pytest.mark.parametrize(("behaviour", "limit"), [("polite", 1.5), ("stubborn", 4.0), ("deaf-staging", 6.5)])
def test_cancel(tmp_path, behaviour, limit):
    asked = []

    def progress(*event):
        asked.append(time.monotonic())

    with pytest.raises(EngineCancelled):
        worker(behaviour, tmp_path).run_job(
            "flood", {"out": str(tmp_path / "o")}, on_progress=progress, is_cancelled=lambda: bool(asked)
        )
    assert time.monotonic() - asked[0] < limit and gone(tmp_path) and not list(tmp_path.glob(".*partial*"))


def test_a_program_is_cancelled_with_all_its_children(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('started', flush=True); time.sleep(600)"
    )
    lines = []
    with pytest.raises(EngineCancelled):
        run_program(
            sys.executable,
            ["-c", code],
            environment=engine_environment(),
            on_line=lines.append,
            is_cancelled=lambda: bool(lines),
        )
    deadline = time.monotonic() + 5
    while descendants(os.getpid()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert lines == ["started"] and descendants(os.getpid()) == []


def test_a_base_python_is_found():
    assert find_base_python().version >= (3, 10, 0)
