"""The scripts: honest about failure, clear about what is missing, quick when nothing is to be done, free of places."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
SHELL = sorted(
    p for p in SCRIPTS.iterdir() if p.is_file() and p.read_text().startswith(("#!/usr/bin/env bash", "# shell"))
)
MISSING = "dpkg-query() { return 1; }"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is missing")


def bash(script: str, *, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, **variables}
    return subprocess.run(["bash", "-c", script], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)


def common(script: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a few lines with scripts/setup_common.sh sourced."""
    return bash(f'set -euo pipefail; . "{SCRIPTS}/setup_common.sh"; {script}', **variables)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout with the real scripts/test and an engine environment that is this Python."""
    folder = tmp_path / "check out"
    shutil.copytree(SCRIPTS, folder / "scripts")
    (folder / "scripts" / "setup_engine").write_text("#!/bin/sh\nexit 0\n")
    (folder / ".venv-engine" / "bin").mkdir(parents=True)
    python = folder / ".venv-engine" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (folder / "tests" / "engine").mkdir(parents=True)
    return folder


def run_tests(checkout: Path, content: str | None, *arguments: str) -> subprocess.CompletedProcess:
    if content is not None:
        (checkout / "tests" / "engine" / "test_one.py").write_text(content)
    command = ["bash", str(checkout / "scripts" / "test"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=checkout.parent)


@pytest.mark.parametrize(
    ("content", "code", "word"),
    [
        ("def test_good():\n    pass\n", 0, "All 1 stages passed"),
        ("def test_bad():\n    raise ValueError\n", 1, "FAILED (exit 1)"),
        ("import no_such_module\n", 1, "FAILED"),
        (None, 1, "no test was found"),
    ],
    ids=["passes", "fails", "broken", "empty"],
)
def test_the_exit_code_of_scripts_test_is_honest(checkout, content, code, word):
    done = run_tests(checkout, content, "engine")
    assert done.returncode == code, done.stdout + done.stderr
    assert word in done.stdout


def test_arguments_go_to_pytest(checkout):
    content = "def test_good():\n    pass\n\ndef test_bad():\n    raise ValueError\n"
    assert run_tests(checkout, content, "engine", "-k", "good").returncode == 0
    assert run_tests(checkout, content, "engine", "-k", "bad").returncode == 1


def test_every_stage_is_run_though_an_earlier_one_fails(checkout):
    """lint fails here, for no linter is installed; the tests are run nevertheless, and the exit code is 1."""
    (checkout / "tests" / "engine" / "test_one.py").write_text("def test_good():\n    pass\n")
    subprocess.run(["git", "init", "-q", str(checkout)], check=True)
    done = run_tests(checkout, None, "lint", "engine")
    assert done.returncode == 1
    summary = done.stdout.rsplit("result\n", 1)[1]
    assert re.search(r"^engine +\d+  passed$", summary, re.MULTILINE)
    assert re.search(r"^ruff check +\d+  FAILED", summary, re.MULTILINE)


def test_what_is_missing_elsewhere_is_named():
    done = common(
        f"{MISSING}; is_debian_12() {{ return 1; }}; debian_packages 'the tests' qgis xvfb; echo on",
    )
    assert done.returncode == 1 and "on" not in done.stdout.split()
    assert done.stderr == (
        "samescene: missing for the tests: qgis xvfb (installed by themselves on Debian 12 only). "
        "Install them, then run this again.\n"
    )


def test_without_root_the_command_to_run_is_told():
    done = common(f"{MISSING}; is_debian_12() {{ return 0; }}; id() {{ echo 1000; }}; debian_packages 'the tests' xvfb")
    assert done.returncode == 1
    assert "sudo apt-get install --no-install-recommends xvfb" in done.stderr


def test_installed_packages_need_no_root():
    done = common("dpkg-query() { echo -n installed; }; id() { echo 1000; }; debian_packages tests xvfb; echo done")
    assert done.returncode == 0 and done.stdout == "done\n"


def test_the_key_follows_values_and_contents(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("a==1\n")
    keys = [common(f"key {value} -- '{file}'").stdout for value in ("x", "x", "y")]
    assert keys[0] == keys[1] != keys[2]
    file.write_text("a==2\n")
    assert common(f"key x -- '{file}'").stdout not in keys


def test_the_log_of_a_failed_step_is_shown(tmp_path):
    done = common(f"SETUP_LOGS='{tmp_path}/logs'; quietly step bash -c 'echo some reason; exit 3'")
    assert done.returncode == 1
    assert "some reason" in done.stderr and "logs/step.log" in done.stderr
    assert common(f"SETUP_LOGS='{tmp_path}/logs'; quietly step echo noise").stdout == ""


def test_an_environment_that_was_moved_is_made_anew(tmp_path):
    def make(folder: Path) -> None:
        done = common(f"SETUP_LOGS='{tmp_path}/logs'; environment test '{sys.executable}' '{folder}' --without-pip")
        assert done.returncode == 0, done.stderr

    first, second = tmp_path / "first", tmp_path / "second"
    make(first)
    (first / "bin" / "pip").write_text(f"#!{first}/bin/python\n")
    (first / "mark").touch()
    make(first)
    assert (first / "mark").exists(), "a good one is kept"
    first.rename(second)
    make(second)
    assert not (second / "mark").exists(), "its scripts still start the Python of the old place"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("scripts/setup_engine other", "neither run nor dev"),
        ("SAMESCENE_BASE_PYTHON=false scripts/setup_engine run", "needs Python 3.10 to 3.14"),
        ("scripts/setup_qgis other", "none of qgis, side, qt6"),
        ("scripts/demo many", "no number of pixels"),
        ("scripts/side_qgis", "usage"),
    ],
)
def test_wrong_use_is_one_line(command, message):
    done = bash(command)
    assert done.returncode == 1
    assert message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shell_scripts_stop_at_errors_and_can_be_run(script):
    text = script.read_text()
    subprocess.run(["bash", "-n", str(script)], check=True)
    if script.suffix != ".sh":
        assert os.access(script, os.X_OK)
        assert "set -euo pipefail" in text or (script.name == "test" and "set -uo pipefail" in text)


def test_ci_runs_the_tests():
    text = (ROOT / ".ci" / "run").read_text()
    assert "scripts/test" in text and "CI=true" in text and "</dev/null" in text


@pytest.mark.parametrize("path", [*SHELL, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_no_host_is_written_into_scripts(path):
    """Where packages come from is the machine's business: its mirrors, proxies and indexes stay in force."""
    assert not re.search(r"https?://|deb\.debian|pypi\.|--(extra-)?index-url|--find-links", path.read_text())
