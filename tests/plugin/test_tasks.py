"""Background tasks end as they should, in every QGIS."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from gui_support import spin
from qgis.core import QgsApplication, QgsSettings, QgsTask
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QSettings

from plugin.engine_client.runs import RunRegistry
from plugin.gui.runner import Runner
from plugin.tasks import cancel_task, ended_within, stop_task


class Held(QgsTask):
    """Ends when it is let go."""

    def __init__(self):
        super().__init__("held")
        self.begun_, self.go = threading.Event(), threading.Event()

    def run(self):
        self.begun_.set()
        return not self.isCanceled() and self.go.wait(30)


@pytest.fixture
def held(qgis_app):
    made = []

    def add() -> Held:
        made.append(Held())
        QgsApplication.taskManager().addTask(made[-1])
        return made[-1]

    add.made = made
    yield add
    for task in made:
        task.go.set()
    assert all(ended_within(task, 30) for task in made)


def waited(task, seconds: float) -> tuple[bool, float]:
    before = time.monotonic()
    return ended_within(task, seconds), time.monotonic() - before


def test_a_task_is_waited_for_until_it_ends_and_as_often_as_one_likes(held):
    task = held()
    assert task.begun_.wait(10) and not ended_within(task, 0.05)
    threading.Timer(0.2, task.go.set).start()
    assert waited(task, 20)[0]
    again, seconds = waited(task, 20)  # QGIS 3.22's own waiting never comes back from this
    assert again and seconds < 5


def test_a_task_that_has_not_begun_is_not_waited_for_longer_than_was_said(held):
    behind = held()
    while behind.begun_.wait(0.5):  # until all threads that QGIS has for tasks are taken
        behind = held()
    ended, seconds = waited(behind, 0.2)
    assert not ended and seconds < 5 and not behind.begun_.is_set()
    assert not cancel_task(behind) and stop_task(behind, 20), "it was not begun, and will not be worth waiting for"
    for task in held.made:
        task.go.set()
    assert ended_within(behind, 20) and behind.isCanceled() and behind.status() == QgsTask.TaskStatus.Terminated
    assert not waited(Held(), 0.05)[0], "one that nobody started"


def test_a_task_that_qgis_has_deleted_has_ended(qgis_app):
    task = Held()
    sip.delete(task)
    assert ended_within(task, 20)


@pytest.fixture
def runner(iface, qgis_app, tmp_path):
    runner = Runner(iface, RunRegistry(QgsSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)))
    yield runner
    runner.shut_down()


def test_a_run_that_is_cancelled_before_it_begins_ends_at_once(held, runner, iface, tmp_path, qgis_processing):
    while held().begun_.wait(0.5):
        pass
    told = []
    runner.ended.connect(lambda run, successful, outputs: told.append((run, successful)))
    given = {"INPUT": "0,1,0,1 [EPSG:4326]", "OUTPUT": str(tmp_path / "box.gpkg")}
    soon, fault = runner.begin("native:extenttolayer", given)
    assert not fault
    soon.cancel()  # before it was handed to QGIS
    behind, _ = runner.begin("native:extenttolayer", given)
    spin(lambda: behind.task is not None)
    behind.cancel()
    behind.cancel()
    assert told == [(soon, False), (behind, False)]
    assert {item.text() for item in iface.bar.items()} == {"Cancelled before it began. Nothing was written."}
    for task in held.made:
        task.go.set()
    spin(lambda: QgsApplication.taskManager().countActiveTasks() == 0)
    assert len(told) == 2 and not (tmp_path / "box.gpkg").exists()


HASTE = """
import sys, time
sys.path.insert(0, sys.argv[1])
from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QCoreApplication, QEvent
app = QgsApplication([], False)
app.initQgis()
from plugin.engine_client.runs import RunRegistry
from plugin.gui.runner import Runner
from plugin.tasks import cancel_task
class Short(QgsTask):
    def run(self):
        return not self.isCanceled()
tasks, made, end = QgsApplication.taskManager(), 0, time.monotonic() + 5
while time.monotonic() < end:
    task = Short("short", QgsTask.Flag.CanCancel)
    tasks.addTask(task)
    cancel_task(task)
    QCoreApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    made += 1
    if made % 7 == 0:
        time.sleep(0.002)
print(made, flush=True)
sys.stdout.close()
import os
os._exit(0)  # how QGIS itself ends is no matter here
"""


def test_tasks_that_are_cancelled_as_soon_as_they_were_added_do_no_harm():
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", HASTE, str(root)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
