"""Setting the engine up: from a small folder of wheels, and every way in which that can go wrong."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsSettings, QgsTask
from qgis.PyQt.QtCore import QSettings

from plugin.engine_client import base_python
from plugin.engine_client.base_python import BasePython, candidates, find_base_python, probe
from plugin.engine_client.builder import EnvironmentBuilder, is_complete
from plugin.engine_client.failure import EngineCancelled, EngineFailure
from plugin.engine_client.locate import MANAGED, find_engine
from plugin.engine_client.managed import managed_environments, read_marker, remove_environment
from plugin.engine_client.process_tree import descendants
from plugin.engine_client.settings import EngineSettings

WORKER = """
import json, sys
import tinyengine
print(json.dumps({"event": "hello", "engine_version": "1.0", "protocol": 1, "device": "cpu"}), flush=True)
line = sys.stdin.readline()
if line:
    request = json.loads(line)
    checks = [{"area": "Packages", "name": "tinyengine", "status": tinyengine.STATUS, "found": "1.0", "remedy": ""}]
    print(json.dumps({"event": "result", "id": request["id"], "result": {"engine_version": "1.0", "checks": checks}}))
"""


def make_wheel(folder: Path, name: str, source: str, version: str = "1.0") -> str:
    """A wheel of one module; the answer is its line for a lock."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        f"{name}.py": source,
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}\n"
        for path, text in files.items()
    )
    files[f"{name}-{version}.dist-info/RECORD"] = record + f"{name}-{version}.dist-info/RECORD,,\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture(scope="module")
def base():
    return find_base_python()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A plugin with a lock of two tiny packages and an engine that needs one, and settings of its own."""
    monkeypatch.delenv("SAMESCENE_ENGINE_PYTHON", raising=False)
    root = tmp_path / "plug in ü"
    (root / "engine").mkdir(parents=True)
    (root / "requirements").mkdir()
    (root / "engine" / "worker_main.py").write_text(WORKER)
    wheels = tmp_path / "wheels"
    lines = [make_wheel(wheels, "tinyengine", "STATUS = 'ok'\n"), make_wheel(wheels, "tinyother", "")]
    (root / "requirements" / "engine.txt").write_text("".join(lines))
    store = QgsSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    settings = EngineSettings(store, root=root)
    settings.environments_folder = tmp_path / "environ ments"
    settings.wheels_folder = str(wheels)
    return settings


class Build:
    """A build with all that it told."""

    def __init__(self, settings, base, **options):
        self.lines, self.progress = [], []
        self.builder = EnvironmentBuilder(
            settings,
            base=base,
            needed_bytes=1000,
            on_line=self.lines.append,
            on_progress=lambda fraction, message: self.progress.append((fraction, message)),
            **options,
        )

    def run(self):
        return self.builder.build()

    def fail(self) -> EngineFailure:
        with pytest.raises(EngineFailure) as caught:
            self.run()
        assert "\n" not in caught.value.line
        return caught.value


def finish(task: QgsTask) -> QgsTask.TaskStatus:
    """Run a task as QGIS does, with the event loop turning here; its last status."""
    ended = []
    task.taskCompleted.connect(lambda: ended.append(QgsTask.TaskStatus.Complete))
    task.taskTerminated.connect(lambda: ended.append(QgsTask.TaskStatus.Terminated))
    QgsApplication.taskManager().addTask(task)
    deadline = time.monotonic() + 120
    while not ended and time.monotonic() < deadline:
        QgsApplication.processEvents()
        time.sleep(0.01)
    return ended[0]


def nothing_left(settings: EngineSettings) -> bool:
    return managed_environments(settings) == [] and not is_complete(settings)


def test_it_builds_from_a_folder_of_wheels_and_is_found(qgis_app, place, base):
    with pytest.raises(EngineFailure, match="not set up yet"):
        find_engine(place)
    build = Build(place, base)
    location = build.run()
    assert location.origin == MANAGED and location.python.exists()
    assert find_engine(place) == location
    assert location.process().hello().engine_version == "1.0"
    fractions = [fraction for fraction, _ in build.progress]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert any("Reading tinyengine" in message for _, message in build.progress)
    assert any("Installing" in message for _, message in build.progress)
    note = read_marker(place.managed_environment)
    assert note["engine_version"] == "1.0" and note["python"] == list(base.version)


def test_setting_up_again_replaces_what_was_there(qgis_app, place, base):
    half = place.managed_environment
    half.mkdir(parents=True)
    (half / "junk").write_text("from a build that was killed")
    with pytest.raises(EngineFailure, match="half built"):
        find_engine(place)
    Build(place, base).run()
    assert not (half / "junk").exists()
    assert is_complete(place)


def test_another_lock_needs_another_environment(qgis_app, place, base):
    Build(place, base).run()
    lock = place.lock_file
    lock.write_text(lock.read_text() + "# a later release\n")
    with pytest.raises(EngineFailure, match="another release"):
        find_engine(place)
    old = managed_environments(place)
    assert [(e.complete, e.current) for e in old] == [(True, False)]
    remove_environment(old[0].path)
    assert managed_environments(place) == []


@pytest.mark.parametrize("moment", ["Making", "Reading tiny", "Asking"])
def test_cancel_leaves_nothing(qgis_app, place, base, moment):
    asked: list[float] = []

    def progress(fraction, message):
        if message.startswith(moment):
            asked.append(time.monotonic())

    builder = EnvironmentBuilder(
        place, base=base, needed_bytes=1000, on_progress=progress, is_cancelled=lambda: bool(asked)
    )
    with pytest.raises(EngineCancelled):
        builder.build()
    assert time.monotonic() - asked[0] < 5
    assert nothing_left(place)
    assert descendants(os.getpid()) == []


def test_a_wheel_that_is_not_the_locked_one_is_refused(qgis_app, place, base):
    make_wheel(Path(place.wheels_folder), "tinyengine", "STATUS = 'forged'\n")
    failure = Build(place, base).fail()
    assert "hash differs" in failure.message and place.wheels_folder in failure.remedy
    assert nothing_left(place)


def test_a_folder_that_lacks_a_wheel_names_it(qgis_app, place, base):
    (Path(place.wheels_folder) / "tinyother-1.0-py3-none-any.whl").unlink()
    failure = Build(place, base).fail()
    assert "no usable wheel of tinyother" in failure.message and "pip download" in failure.remedy
    assert nothing_left(place)


def test_no_network_is_told_as_that(qgis_app, place, base, monkeypatch):
    place.wheels_folder = ""
    for name, value in (
        ("PIP_INDEX_URL", "http://127.0.0.1:9/simple"),
        ("PIP_CONFIG_FILE", os.devnull),
        ("PIP_FIND_LINKS", ""),
        ("PIP_RETRIES", "1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    failure = Build(place, base).fail()
    assert "cannot be reached" in failure.message and "proxy" in failure.remedy
    assert nothing_left(place)


def test_the_proxy_reaches_pip(qgis_app, place, base, monkeypatch):
    """A proxy that is a closed port: the failure names it, so pip did ask it."""
    place.wheels_folder = ""
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    build = Build(place, base, proxy={"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"})
    assert "cannot be reached" in build.fail().message
    assert any("ProxyError" in line for line in build.lines)


def test_an_engine_that_does_not_work_is_no_environment(qgis_app, place, base):
    line = make_wheel(Path(place.wheels_folder), "tinyengine", "STATUS = 'problem'\n")
    other = make_wheel(Path(place.wheels_folder), "tinyother", "")
    place.lock_file.write_text(line + other)
    assert "tinyengine" in Build(place, base).fail().message
    assert nothing_left(place)


def test_a_broken_python_is_told(qgis_app, place, tmp_path):
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\necho no good >&2\nexit 3\n")
    broken.chmod(0o755)
    failure = Build(place, BasePython(broken, (3, 11, 0))).fail()
    assert "no good" in failure.message and str(broken) in failure.message
    assert nothing_left(place)


def test_only_one_at_a_time(qgis_app, place, base):
    in_venv, go_on = threading.Event(), threading.Event()

    def progress(fraction, message):
        if message.startswith("Reading tiny"):
            in_venv.set()
            go_on.wait(60)

    first = EnvironmentBuilder(place, base=base, needed_bytes=1000, on_progress=progress)
    thread = threading.Thread(target=first.build)
    thread.start()
    try:
        assert in_venv.wait(60)
        assert "Another QGIS" in Build(place, base).fail().message
    finally:
        go_on.set()
        thread.join(60)
    assert is_complete(place)


def test_a_full_disk_is_told_before_anything_is_done(qgis_app, place, base):
    build = Build(place, base)
    build.builder._needed_bytes = 10**18
    assert "GB free" in build.fail().message
    assert nothing_left(place)


def test_missing_lists_and_folders_are_told(qgis_app, place, base):
    place.wheels_folder = "/nowhere/wheels"
    assert "/nowhere/wheels" in Build(place, base).fail().message
    place.wheels_folder = ""
    place.lock_file.unlink()
    assert "list of packages" in Build(place, base).fail().message


def test_the_task_reports_and_keeps_its_failure(qgis_app, place, base, monkeypatch):
    from plugin.engine_client import setup

    monkeypatch.setattr(
        setup,
        "EnvironmentBuilder",
        lambda settings, **kw: EnvironmentBuilder(settings, base=base, needed_bytes=1000, **kw),
    )
    task = setup.EngineSetupTask(place)
    lines, steps = [], []
    task.line.connect(lines.append)
    task.progressed.connect(lambda fraction, message: steps.append(fraction))
    assert finish(task) == QgsTask.TaskStatus.Complete
    assert task.location is not None and task.failure is None
    assert steps[-1] == 1 and any("tinyengine" in line for line in lines)
    place.wheels_folder = "/nowhere"
    failing = setup.EngineSetupTask(place)
    assert finish(failing) == QgsTask.TaskStatus.Terminated
    assert failing.failure is not None and "/nowhere" in failing.failure.message


def test_the_check_task_says_what_the_engine_is(qgis_app, place, base):
    from plugin.engine_client.setup import EngineCheckTask

    location = Build(place, base).run()
    task = EngineCheckTask(location)
    assert finish(task) == QgsTask.TaskStatus.Complete
    assert task.hello.engine_version == "1.0" and task.hello.protocol == 1


def test_a_python_is_found_and_is_never_qgis_itself(qgis_app, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/usr/bin/qgis.bin")
    for platform, prefix in (
        ("linux", "/usr"),
        ("darwin", "/Applications/QGIS-LTR.app/Contents/MacOS"),
        ("win32", "C:/Program Files/QGIS 3.40/apps/Python312"),
    ):
        found = candidates(platform=platform, prefix=prefix, home=Path("/home/u"))
        assert found and not any("qgis.bin" in str(path) or "qgis-bin" in str(path) for path in found)
        assert len(found) == len(set(found))
    mac = candidates(platform="darwin", prefix="/Applications/QGIS-LTR.app/Contents/Frameworks")
    assert mac[0] == Path("/Applications/QGIS-LTR.app/Contents/MacOS/bin/python3")
    assert Path("/usr/bin/python3") not in mac
    assert candidates(chosen="/x/python") == [Path("/x/python")]


def test_why_a_python_will_not_do(qgis_app, tmp_path):
    def fake(text: str) -> Path:
        path = tmp_path / f"python{len(list(tmp_path.iterdir()))}"
        path.write_text(textwrap.dedent(text))
        path.chmod(0o755)
        return path

    def answer(version, bits=64, missing=()):
        import json

        found = json.dumps({"version": version, "bits": bits, "missing": list(missing)})
        return fake(f"#!/bin/sh\necho 'a warning'\necho 'samescene {found}'\n")

    assert probe(answer([3, 9, 2])) == "it is Python 3.9"
    assert probe(answer([3, 15, 0])) == "it is Python 3.15"
    assert probe(answer([3, 12, 0], bits=32)) == "it is a 32-bit Python"
    assert probe(answer([3, 12, 0], missing=["ensurepip"])) == "it lacks ensurepip"
    assert "exit code 3" in probe(fake("#!/bin/sh\nexit 3\n"))
    good = probe(answer([3, 12, 4]))
    assert isinstance(good, BasePython) and good.version == (3, 12, 4)
    lines = []
    bad = answer([3, 12, 0], missing=["ensurepip"])
    with pytest.raises(EngineFailure) as caught:
        find_base_python(among=[bad, tmp_path / "absent"], on_line=lines.append)
    assert "python3-venv" in caught.value.remedy and "ensurepip" in caught.value.message and len(lines) == 1
    assert find_base_python(among=[bad, good.path]).path == good.path


def test_the_lowest_and_highest_python_are_those_of_the_lock():
    root = Path(__file__).resolve().parents[2]
    text = (root / "pyproject.toml").read_text()
    assert f'requires-python = ">={base_python.OLDEST[0]}.{base_python.OLDEST[1]}"' in text
