"""Starts a real QGIS window under Xvfb, runs a script inside it and reads the script's JSON answer.

For a test::

    from driver import Desktop, installations        # conftest.py puts this folder on sys.path

    @pytest.mark.parametrize("qgis", installations(), ids=str)
    def test_something(qgis, tmp_path):
        desktop = Desktop(qgis, tmp_path)
        desktop.link_plugin()                         # the checkout as the plugin "samescene", switched on
        answer = desktop.run("script_something.py", arguments={"scene": "/path"}, timeout=120)
        assert answer["layers"] == [...]

``answer`` is what the script put into ``result``; it has ``ok`` and, when a step failed, ``error`` with a traceback
(:meth:`Desktop.run` fails the test with it). Screenshots that the script took lie in ``desktop.pictures``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLUGIN = "samescene"


@dataclass(frozen=True)
class Installation:
    """A QGIS: what to call it, its program, and the variables that it needs."""

    name: str
    program: str
    environment: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name


def installations() -> list:
    """Test parameters: each QGIS to test.

    ``SAMESCENE_TEST_QGIS`` (set by ``scripts/test``, which also sets PATH and library paths) names the one that this
    environment runs. Without it: the system's, and the one unpacked beside it (``.qgis-3.40``, or
    ``SAMESCENE_QGIS_SIDE``). What is missing stays a parameter that skips and says how to get it.
    ``SAMESCENE_DESKTOP_QGIS`` (3.22 or 3.40) takes one of the two, so that both can be tested side by side.
    """
    current = os.environ.get("SAMESCENE_TEST_QGIS")
    if current:
        return [_parameter(current, lambda: _current_installation(current), "no qgis.bin on PATH (scripts/setup_qgis)")]
    side = Path(os.environ.get("SAMESCENE_QGIS_SIDE", ROOT / ".qgis-3.40"))
    both = {
        "3.22": (lambda: _current_installation("3.22"), "no QGIS is installed (scripts/setup_qgis qgis)"),
        "3.40": (lambda: _side_installation(side), f"no second QGIS in {side} (scripts/setup_qgis side)"),
    }
    wanted = os.environ.get("SAMESCENE_DESKTOP_QGIS")
    return [_parameter(name, *both[name]) for name in both if wanted in (None, name)]


def _parameter(name: str, make, reason: str):
    if shutil.which("Xvfb") is None:
        return pytest.param(Installation(name, ""), marks=pytest.mark.skip(reason="Xvfb is not installed"))
    found = make()
    if found is None:
        return pytest.param(Installation(name, ""), marks=pytest.mark.skip(reason=reason))
    return pytest.param(found)


def _current_installation(name: str) -> Installation | None:
    program = shutil.which("qgis.bin") or shutil.which("qgis")
    kept = tuple((key, os.environ[key]) for key in ("QGIS_PREFIX_PATH", "PYTHONPATH") if key in os.environ)
    return Installation(name, program, kept) if program else None


def _side_installation(side: Path) -> Installation | None:
    if not (side / "env.sh").is_file():
        return None
    names = ("QGIS_PREFIX_PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "PATH")
    command = f'. "$1"/env.sh; printf "%s\\n" {" ".join(f"${{{name}}}" for name in names)}; command -v qgis.bin'
    lines = subprocess.run(
        ["sh", "-c", command, "sh", str(side)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return Installation("3.40", lines[4], tuple(zip(names, lines[:4], strict=True)))


class Desktop:
    """One profile and one display; may run several scripts one after another in the same profile."""

    def __init__(self, qgis: Installation, folder: Path) -> None:
        self.qgis = qgis
        self.folder = Path(folder)
        self.profiles = self.folder / "profiles-root"
        self.profile = self.profiles / "profiles" / "default"
        self.pictures = self.folder / "pictures"
        self.plugins = self.profile / "python" / "plugins"
        # QGIS downloads a plugin to one name in the temporary folder: two windows that install it would share the file.
        self.temporary = self.folder / "tmp"
        for path in (self.plugins, self.pictures, self.profile / "QGIS", self.folder / "runtime", self.temporary):
            path.mkdir(parents=True, exist_ok=True)
        (self.folder / "runtime").chmod(0o700)
        self._ini: dict[str, dict[str, str]] = {"qgis": {"checkVersion": "false", "showTips322": "false"}}

    def link_plugin(self, *, enabled: bool = True) -> None:
        """Link the checkout into the profile as the plugin and switch it on."""
        link = self.plugins / PLUGIN
        if not link.exists():
            link.symlink_to(ROOT, target_is_directory=True)
        if enabled:
            self.set("PythonPlugins", PLUGIN, "true")

    def copy_plugin(self) -> None:
        """Like :meth:`link_plugin`, but as it is when just installed: nothing that QGIS reads of it is compiled yet."""
        home = self.plugins / PLUGIN
        home.mkdir()
        for path in ROOT.iterdir():
            if path.name == "plugin":
                shutil.copytree(path, home / path.name, ignore=shutil.ignore_patterns("__pycache__"))
            elif path.name != "__pycache__":
                (home / path.name).symlink_to(path)
        self.link_plugin()

    def set(self, group: str, key: str, value: str) -> None:
        """A setting of the profile (QGIS3.ini), for example ``set("samescene", "engine_python", "/path")``."""
        self._ini.setdefault(group, {})[key] = value

    def run(
        self,
        script: str | Path,
        *,
        arguments: dict | None = None,
        environment: dict[str, str] | None = None,
        timeout: float = 180,
        check: bool = True,
    ) -> dict:
        """Run a script of this folder (or any path) inside a fresh QGIS window; its answer.

        Fails the test when QGIS does not end in time or, with ``check``, when a step of the script failed.
        """
        script = HERE / script if not Path(script).is_absolute() else Path(script)
        self._write_ini()
        answer = self.folder / f"answer-{script.stem}.json"
        answer.unlink(missing_ok=True)
        job = self.folder / f"job-{script.stem}.json"
        with Display(self.folder) as display:
            job.write_text(
                json.dumps(
                    {
                        "root": str(ROOT),
                        "helpers": str(HERE),
                        "answer": str(answer),
                        "pictures": str(self.pictures),
                        "arguments": arguments or {},
                        "dump_after": max(5.0, timeout - 10),
                        "display_process": display.process_id,
                    }
                )
            )
            variables = {k: v for k, v in os.environ.items() if not k.startswith(("QGIS", "PYTHON", "QT_QPA"))}
            variables.update(self.qgis.environment)
            variables.update(
                DISPLAY=display.name,
                SAMESCENE_DESKTOP_JOB=str(job),
                XDG_RUNTIME_DIR=str(self.folder / "runtime"),
                TMPDIR=str(self.temporary),
                LC_ALL="C.UTF-8",
                PYTHONDONTWRITEBYTECODE="" if environment is None else environment.get("PYTHONDONTWRITEBYTECODE", ""),
                **(environment or {}),
            )
            command = [self.qgis.program, "--nologo", "--noversioncheck", "--profiles-path", str(self.profiles)]
            log = self.folder / f"qgis-{script.stem}.log"
            with log.open("wb") as sink:
                process = subprocess.Popen(
                    [*command, "--code", str(script)],
                    env=variables,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
                try:
                    code = process.wait(timeout)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    pytest.fail(f"{script.name}: QGIS did not end within {timeout:g} s.\n{_tail(log)}")
        if not answer.is_file():
            pytest.fail(f"{script.name}: QGIS ended with {code} and left no answer.\n{_tail(log)}")
        result = json.loads(answer.read_text())
        result["exit_code"] = code
        if check and not result.get("ok"):
            pytest.fail(f"{script.name} inside QGIS {result.get('qgis')}: {result.get('error')}\n{_tail(log, 15)}")
        return result

    def _write_ini(self) -> None:
        path = self.profile / "QGIS" / "QGIS3.ini"
        if path.is_file():
            return  # QGIS has written its own since: a later script goes on from there
        lines = []
        for group, values in self._ini.items():
            lines += [f"[{group}]", *(f"{key}={value}" for key, value in values.items()), ""]
        path.write_text("\n".join(lines))


class Display:
    """An X server without a screen, on a free number."""

    def __init__(self, folder: Path, size: str = "1440x900x24") -> None:
        self._size = size
        self.name, self.process_id = "", 0

    def __enter__(self) -> Display:
        read, write = os.pipe()
        self._process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", self._size, "-nolisten", "tcp", "-dpi", "96"],
            pass_fds=(write,),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(write)
        self.process_id = self._process.pid
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            pytest.fail("Xvfb did not start.")
        self.name = f":{number}"
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def still_there(processes: list[int], seconds: float = 5.0) -> list[int]:
    """Those of the processes that are still alive (zombies are not) after at most ``seconds``."""

    def alive(process: int) -> bool:
        try:
            return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    deadline = time.monotonic() + seconds
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [process for process in processes if alive(process)]


def processes_naming(text: str) -> list[str]:
    """Command lines of live processes that contain ``text`` (Linux): how a test finds orphans."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text in line:
                found.append(f"{entry.name} {line}")
    return found


def wait_until_gone(text: str, seconds: float = 5.0) -> list[str]:
    """Processes naming ``text`` that are still there after at most ``seconds``."""
    deadline = time.monotonic() + seconds
    while processes_naming(text) and time.monotonic() < deadline:
        time.sleep(0.1)
    return processes_naming(text)


def _tail(log: Path, lines: int = 40) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
