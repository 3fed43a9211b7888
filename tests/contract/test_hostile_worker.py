"""The client against a worker that misbehaves in every way that was thought of: always a clear end, nothing left."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from plugin.engine_client.failure import EngineCancelled, EngineFailure
from plugin.engine_client.process import EngineProcess

FAKE = Path(__file__).with_name("fake_worker.py")


def gone(pid: int) -> bool:
    """Neither running nor a zombie of ours."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class Fake:
    def __init__(self, behaviour: str, folder: Path) -> None:
        self.folder = folder
        self.process = EngineProcess(sys.executable, ["-I", "-u", str(FAKE), behaviour, str(folder)])
        self.progress: list[tuple[float, str, str]] = []
        self.logs: list[tuple[str, str]] = []

    def run(self, *, cancel_when=lambda self: False, out: Path | None = None):
        return self.process.run_job(
            "flood",
            {"post": "a b/ü.tif", "out": str(out or self.folder / "result")},
            on_progress=lambda *event: self.progress.append(event),
            on_log=lambda *event: self.logs.append(event),
            is_cancelled=lambda: cancel_when(self),
        )

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())


@pytest.fixture
def fake(tmp_path):
    return lambda behaviour: Fake(behaviour, tmp_path)


def failure(fake: Fake, **options) -> EngineFailure:
    with pytest.raises(EngineFailure) as caught:
        fake.run(**options)
    assert gone(fake.pid)
    assert "\n" not in caught.value.line
    return caught.value


def test_result_progress_and_log_arrive_in_order_and_whole(fake):
    worker = fake("good")
    result = worker.run()
    assert result["echo"]["post"] == "a b/ü.tif"
    assert [event[0] for event in worker.progress] == [0, 0.25, 0.5, 0.75, 1]
    assert worker.progress[-1] == (1.0, "stage 2", "step 4")
    assert worker.logs == [("warning", "Überflutung 水")]
    assert gone(worker.pid)


def test_an_error_keeps_kind_message_and_remedy(fake):
    error = failure(fake("error"))
    assert (error.kind, error.message, error.remedy) == ("grid", "post.tif: no CRS, expected one.", "Assign a CRS.")
    assert "a library's warning" in error.details


def test_garbage_and_unknown_events_are_logged_and_survived(fake):
    worker = fake("garbage")
    assert worker.run() == {"fine": True}
    assert worker.progress == []
    text = "\n".join(message for _, message in worker.logs)
    assert "Warning 1: something" in text and "not known" in text and "another request" in text


def test_half_lines_and_split_characters_are_joined(fake):
    assert fake("dribble").run() == {"name": "Fläche 水 🌊"}


def test_a_last_line_without_a_break_counts(fake):
    assert fake("no-newline").run() == {"last": True}


def test_a_result_that_is_no_object_is_a_protocol_failure(fake):
    assert failure(fake("bad-result")).kind == "protocol"


def test_another_protocol_is_named(fake):
    error = failure(fake("protocol"))
    assert error.kind == "protocol" and "99" in error.message and "expected 1" in error.message


def test_a_worker_that_cannot_import_shows_its_last_line(fake):
    error = failure(fake("import-crash"))
    assert error.kind == "crash" and "libgdal.so.36" in error.message and "exit code 1" in error.message


def test_an_early_exit_shows_its_last_line(fake):
    error = failure(fake("exit"))
    assert error.kind == "crash" and "it went wrong" in error.message and "exit code 3" in error.message


@pytest.mark.parametrize(("behaviour", "number"), [("segfault", signal.SIGSEGV), ("killed", signal.SIGKILL)])
def test_a_crash_is_an_ordinary_error_and_leaves_no_partial_folder(fake, tmp_path, behaviour, number):
    foreign = tmp_path / ".result.partial-1-zzz"
    foreign.mkdir()
    error = failure(fake(behaviour))
    assert error.kind == "crash" and f"signal {int(number)}" in error.message
    assert ("memory" in error.remedy) == (behaviour == "killed")
    assert [p.name for p in tmp_path.glob(".*partial*")] == [foreign.name], "only the dead engine's own folder goes"


@pytest.mark.parametrize("behaviour", ["result-then-segfault", "stuck-after-result"])
def test_what_happens_after_the_result_does_not_matter(fake, behaviour):
    worker = fake(behaviour)
    start = time.monotonic()
    assert worker.run() == {"done": True}
    assert gone(worker.pid) and time.monotonic() - start < 6


def test_a_closed_stdout_neither_spins_nor_hangs(fake):
    worker = fake("closed-stdout")
    cpu = time.thread_time()
    assert "exit code 4" in failure(worker).message
    assert time.thread_time() - cpu < 0.7


def test_stderr_cannot_block_the_engine(fake):
    assert fake("flood-stderr").run() == {"done": True}


def test_a_worker_that_writes_without_end_is_stopped(fake):
    worker = fake("endless-line")
    assert failure(worker).kind == "protocol"


def test_a_worker_that_says_nothing_is_given_up(fake):
    worker = fake("silent")
    with pytest.raises(EngineFailure, match=r"did not answer within 0\.5 s"):
        worker.process.hello(timeout_s=0.5)
    assert gone(worker.pid)


def test_a_program_that_is_not_there_is_a_start_failure():
    with pytest.raises(EngineFailure) as caught:
        EngineProcess("/nowhere/python", []).run_job("flood", {})
    assert caught.value.kind == "start" and "/nowhere/python" in caught.value.message


def cancelled(worker: Fake, when, limit: float, **options) -> None:
    asked: list[float] = []

    def cancel_when(fake):
        if when(fake) and not asked:
            asked.append(time.monotonic())
        return bool(asked)

    with pytest.raises(EngineCancelled):
        worker.run(cancel_when=cancel_when, **options)
    assert time.monotonic() - asked[0] < limit
    assert gone(worker.pid)


def test_a_polite_worker_is_cancelled_at_once(fake):
    cancelled(fake("polite"), lambda f: f.progress, 1.0)


def test_a_worker_that_does_not_listen_is_terminated(fake):
    cancelled(fake("stubborn"), lambda f: f.progress, 3.0)


def test_a_worker_that_ignores_sigterm_is_killed_and_its_folder_removed(fake, tmp_path):
    out = tmp_path / "Ergebnis [1] *"
    cancelled(fake("deaf-staging"), lambda f: f.progress, 5.5, out=out)
    assert list(tmp_path.glob(".*partial*")) == []


def test_a_worker_that_answers_and_leaves_its_folder_is_cleaned_up_after(fake, tmp_path):
    """An engine that ends a job by force races with the job's threads, which may write while it removes."""
    cancelled(fake("polite-staging"), lambda f: f.progress, 1.0, out=tmp_path / "out")
    assert list(tmp_path.glob(".*partial*")) == []


def test_cancel_while_the_worker_still_imports(fake):
    worker = fake("silent")
    cancelled(worker, lambda f: (f.folder / "pid").exists() and f.pid, 1.5)


def test_cancelled_before_the_start_starts_nothing(fake, tmp_path):
    with pytest.raises(EngineCancelled):
        fake("good").run(cancel_when=lambda f: True)
    assert not (tmp_path / "pid").exists()


def test_a_job_that_finished_before_the_cancel_reached_it_is_done(fake):
    assert fake("finished-anyway").run(cancel_when=lambda f: bool(f.progress)) == {"done": True}


def test_a_callback_that_raises_ends_the_engine(fake):
    worker = fake("stubborn")

    def fail(*event):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        worker.process.run_job("flood", {}, on_progress=fail)
    assert gone(worker.pid)


def test_it_runs_in_a_thread_without_an_event_loop(fake):
    worker = fake("good")
    results = []
    thread = threading.Thread(target=lambda: results.append(worker.run()))
    thread.start()
    thread.join(20)
    assert results and results[0]["echo"]


def test_the_environment_is_scrubbed(fake, monkeypatch, tmp_path):
    junk = (
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONEXECUTABLE",
        "PROJ_LIB",
        "PROJ_DATA",
        "GDAL_DATA",
        "GDAL_PAM_PROXY_DIR",
        "OGR_X",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "QT_PLUGIN_PATH",
        "QML2_IMPORT_PATH",
        "OSGEO4W_ROOT",
        "GISBASE",
        "GRASS_PYTHON",
        "__PYVENV_LAUNCHER__",
    )
    for name in junk:
        monkeypatch.setenv(name, "/junk")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    fake("good").run()
    seen = json.loads((tmp_path / "environment.json").read_text())
    assert not set(junk) & set(seen)
    assert seen["HTTPS_PROXY"] == "http://proxy:3128" and seen["PATH"]
