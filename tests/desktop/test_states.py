"""A real QGIS window without an engine, and one that is killed in the middle of a run."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from driver import ROOT, Desktop, installations, still_there


def engine_python() -> str:
    """The Python that has the engine's packages."""
    own = ROOT / ".venv-engine" / "bin" / "python"
    return os.environ.get("SAMESCENE_ENGINE_PYTHON") or (str(own) if own.is_file() else "")


@pytest.mark.parametrize("qgis", installations(), ids=str)
def test_without_engine_everything_opens_and_says_what_to_do(qgis, scene, tmp_path):
    if not engine_python():
        pytest.skip("no engine environment (scripts/setup_engine)")
    desktop = Desktop(qgis, tmp_path)
    desktop.link_plugin()
    desktop.set("samescene", "engine_python", str(tmp_path / "gone" / "python"))
    arguments = {"scene": str(scene), "python": engine_python(), "out": str(tmp_path / "out")}
    answer = desktop.run("script_no_engine.py", arguments=arguments, timeout=120)
    assert "does not exist" in answer["banner"]
    assert answer["run_enabled"] is False
    good, message = answer["check"]
    assert not good and "does not exist" in message and "\n" not in message
    assert "does not exist" in answer["state_without"]
    assert answer["shown"], "the options dialog opens at the plugin's page"
    assert answer["state_with"].startswith("Engine ") and "ready" in answer["state_with"]
    assert answer["banner_after"] is False and answer["run_enabled_after"] is True
    assert answer["computed_ms"] > 150, "the heartbeat sees a window that computes"
    assert answer["slept_ms"] > 100, "the heartbeat sees a window that sleeps"


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("qgis", installations(), ids=str)
def test_a_killed_qgis_leaves_no_engine_and_no_result(qgis, large_scene, tmp_path):
    if not engine_python():
        pytest.skip("no engine environment (scripts/setup_engine)")
    desktop = Desktop(qgis, tmp_path)
    desktop.link_plugin()
    out = tmp_path / "results" / "flood"
    out.parent.mkdir()
    answer = desktop.run(
        "script_kill.py", arguments={"scene": str(large_scene), "out": str(out)}, timeout=120, check=False
    )
    assert answer["exit_code"] == -9, answer
    assert answer["engines"], "an engine was at work"
    assert still_there(answer["engines"]) == []
    assert not out.exists()
    for left in Path(out.parent).iterdir():  # a staging folder, which the next run to this place sweeps
        assert left.name.startswith(".flood.partial-")
        shutil.rmtree(left)
