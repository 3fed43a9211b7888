"""The list of runs: states, threads, cancel, and what is remembered."""

from __future__ import annotations

import threading
import time

import pytest
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QObject, QSettings, QThread

from plugin.engine_client.runs import CANCELLED, DONE, FAILED, KEPT_FINISHED, QUEUED, RUNNING, RunRegistry


@pytest.fixture
def store(tmp_path, qgis_app):
    return QgsSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def registry(store):
    return RunRegistry(store)


PARAMS = {"post": "a.tif", "probability": 60, "out": "/results/a"}
RESULT = {"outputs": {"flood": "flood.tif", "report": "report.html"}, "figures": {}}


def test_a_run_from_queue_to_result(registry):
    told = []
    registry.added.connect(lambda run_id: told.append(("added", run_id)))
    registry.changed.connect(lambda run_id: told.append((registry.run(run_id).state, run_id)))
    run_id = registry.add("flood", "Flood – a", PARAMS)
    assert registry.run(run_id).state == QUEUED and registry.run(run_id).seconds is None
    registry.start(run_id)
    registry.progress(run_id, 0.4, "read", "Reading")
    registry.log(run_id, "warning", "no orbit")
    record = registry.run(run_id)
    assert (record.state, record.fraction, record.stage, record.log) == (
        RUNNING,
        0.4,
        "read",
        (("warning", "no orbit"),),
    )
    assert record.report == "" and record.seconds >= 0 and not record.is_finished
    registry.done(run_id, RESULT)
    record = registry.run(run_id)
    assert record.state == DONE and record.fraction == 1 and record.is_finished
    assert record.report == "/results/a/report.html" and record.result_file == "/results/a/result.json"
    assert record.command == "engine flood a.tif --probability 60 -o /results/a"
    assert told[0] == ("added", run_id) and told[-1] == (DONE, run_id)


def test_the_end_comes_once(registry):
    run_id = registry.add("flood", "x", PARAMS)
    registry.was_cancelled(run_id)
    registry.done(run_id, RESULT)
    registry.failed(run_id, "late")
    assert registry.run(run_id).state == CANCELLED and registry.run(run_id).result is None


def test_cancel_is_asked_by_id(registry):
    one, two = registry.add("flood", "1", PARAMS), registry.add("flood", "2", PARAMS)
    registry.cancel(one)
    registry.cancel("unknown")
    assert registry.cancel_requested(one) and not registry.cancel_requested(two)
    registry.cancel_all()
    assert registry.cancel_requested(two)


def test_stopping_all_waits_for_them(registry):
    run_id = registry.add("flood", "1", PARAMS)

    def work():
        while not registry.cancel_requested(run_id):
            time.sleep(0.01)
        time.sleep(0.2)
        registry.was_cancelled(run_id)

    threading.Thread(target=work).start()
    assert registry.stop_all(timeout_s=20) and registry.run(run_id).state == CANCELLED
    registry.add("flood", "deaf", PARAMS)
    assert not registry.stop_all(timeout_s=0.05)


def test_finished_runs_are_remembered_and_running_ones_are_not(registry, store):
    done, failed, running = (registry.add("flood", t, PARAMS) for t in ("done", "failed", "running"))
    registry.start(done)
    for line in range(300):
        registry.log(done, "info", f"line {line}")
    registry.done(done, RESULT)
    registry.failed(failed, "post.tif: no CRS.")
    registry.start(running)
    again = RunRegistry(store)
    assert [r.title for r in again.runs()] == ["failed", "done"]
    old, new = registry.run(done), again.run(done)
    assert (new.params, new.started, new.finished, new.command) == (old.params, old.started, old.finished, old.command)
    assert new.report == old.report and new.log[-1] == ("info", "line 299")
    assert again.run(failed).state == FAILED and again.run(failed).error == "post.tif: no CRS."


def test_only_the_last_finished_are_kept(registry, store):
    gone = []
    registry.removed.connect(gone.append)
    ids = [registry.add("flood", str(n), PARAMS) for n in range(KEPT_FINISHED + 3)]
    for run_id in ids:
        registry.done(run_id, RESULT)
    assert gone == ids[:3] and len(registry.runs()) == KEPT_FINISHED == len(RunRegistry(store).runs())
    assert registry.runs()[0].id == ids[-1]


def test_removing(registry, store):
    run_id, other = registry.add("flood", "a", PARAMS), registry.add("flood", "b", PARAMS)
    registry.remove(run_id)
    assert registry.run(run_id) is not None, "a run that is not finished stays"
    registry.done(run_id, RESULT)
    registry.remove(run_id)
    assert registry.run(run_id) is None and [r.id for r in registry.runs()] == [other]
    assert RunRegistry(store).runs() == []
    registry.progress(run_id, 0.5, "late", "late")
    registry.log(run_id, "info", "late")


@pytest.mark.parametrize("stored", ["", "{", "5", '[{"id": 1}]', '[{"id": "a", "state": "running"}]', "[null]"])
def test_settings_of_another_release_do_no_harm(store, stored):
    store.setValue("samescene/runs", stored)
    assert RunRegistry(store).runs() == []


def test_signals_from_threads_reach_slots_in_their_own_thread(registry):
    class Listener(QObject):
        def __init__(self):
            super().__init__()
            self.threads = []

        def hear(self, run_id):
            self.threads.append(QThread.currentThread() is self.thread())

    listener = Listener()
    registry.changed.connect(listener.hear)

    def work():
        for n in range(20):
            run_id = registry.add("flood", str(n), PARAMS)
            registry.start(run_id)
            for step in range(20):
                registry.progress(run_id, step / 20, "s", "m")
                registry.log(run_id, "info", "l")
            registry.done(run_id, RESULT)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while (any(t.is_alive() for t in threads) or len(listener.threads) < 80 * 22) and time.monotonic() < deadline:
        QCoreApplication.processEvents()
        time.sleep(0.001)
    assert len(listener.threads) == 80 * 22 and all(listener.threads)
    assert all(r.is_finished for r in registry.runs())
