"""The command line: what is imported when, options, exit codes, streams, cancel."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
import time
from importlib import import_module
from itertools import product
from pathlib import Path

import click
import pytest

from engine.cli.lazy import LazyGroup
from engine.cli.main import COMMANDS, root
from engine.cli.request_command import RequestCommand
from engine.jobs import JOBS

ROOT = Path(__file__).resolve().parents[2]
ENGINE = [sys.executable, "-m", "engine"]
HEAVY = {"numpy", "scipy", "rasterio", "torch", "pyproj", "pyogrio", "shapely", "matplotlib", "jinja2", "faiss"}


def engine(*arguments, **keywords):
    return subprocess.run([*ENGINE, *arguments], capture_output=True, text=True, timeout=120, **keywords)


def commands(group: click.Group = None, words: tuple[str, ...] = ()):
    """(words, command) of every command below ``group``."""
    group = group or root()
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


ALL = list(commands())
OF_JOBS = [(words, command) for words, command in ALL if isinstance(command, RequestCommand)]


def modules_after(*arguments: str) -> set[str]:
    code = """
import sys
before = set(sys.modules)
from engine.cli.main import main
sys.argv = ["engine", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("MODULES", *sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("MODULES")[2].split())


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("evaluate", "--help"), ("models", "--help")])
def test_help_of_groups_imports_click_and_nothing_else(arguments):
    loaded = modules_after(*arguments)
    allowed = {"engine", "engine.version", "engine.cli", "engine.cli.main", "engine.cli.lazy"}
    allowed |= {"engine.cli.evaluate", "engine.cli.models"} if arguments[0] in ("evaluate", "models") else set()
    if arguments[0].startswith("--"):
        assert {m for m in loaded if m.partition(".")[0] == "engine"} == allowed
        assert not {m.partition(".")[0] for m in loaded} & {*HEAVY, "pydantic"}
    assert not {m.partition(".")[0] for m in loaded} & HEAVY


def best_of(number: int, command: list[str]) -> float:
    times = []
    for _ in range(number):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def test_help_takes_at_most_three_times_a_bare_import_of_click():
    bare = best_of(5, [sys.executable, "-c", "import click"])
    ours = best_of(5, [*ENGINE, "--help"])
    assert ours <= 3 * bare, f"{ours:.3f} s against {bare:.3f} s"


@pytest.mark.parametrize("words", [w for w, _ in ALL], ids=" ".join)
def test_help_of_a_command_is_whole_and_light(words):
    done = engine(*words, "--help", env={**os.environ, "COLUMNS": "100"})
    assert done.returncode == 0
    assert done.stderr == ""
    assert f"Usage: engine {' '.join(words)}" in done.stdout
    assert not {m.partition(".")[0] for m in modules_after(*words, "--help")} & HEAVY


def test_the_table_of_commands_tells_the_truth():
    def check(group: LazyGroup):
        for name, entry in group.entries.items():
            module, _, attribute = entry.where.partition(":")
            command = getattr(import_module(module), attribute)
            assert isinstance(command, click.Command), name
            assert entry.help.endswith(".")
            if isinstance(command, LazyGroup):
                check(command)

    check(root())
    assert set(COMMANDS) >= {"flood", "evaluate", "simulate", "doctor", "worker", "models"}


def test_every_job_has_its_command():
    assert {command.layout.job for _, command in OF_JOBS} == set(JOBS)


@pytest.mark.parametrize(("words", "command"), OF_JOBS, ids=[" ".join(w) for w, _ in OF_JOBS])
def test_options_and_request_fields_agree(words, command):
    job = JOBS[command.layout.job]
    module, _, attribute = job.request.partition(":")
    fields = getattr(import_module(module), attribute).model_fields
    extra = {"events", "debug"} | {"simulate-scene": {"size"}, "doctor": {"json"}}.get(job.name, set())
    params = {p.name: p for p in command.params}
    assert set(params) == set(fields) | extra
    for name, info in fields.items():
        option = params[name]
        assert info.description, f"{name} has no description"
        assert option.required == info.is_required()
        if isinstance(option, click.Option) and name not in command.layout.options:
            assert f"--{name.replace('_', '-')}" in option.opts, name
    assert ("out" not in fields) or ("-o" in params["out"].opts and "--out" in params["out"].opts)
    listed = [n for names in command.layout.sections.values() for n in names]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(params)
    assert set(command.layout.metavars) <= set(fields)
    help_text = engine(*words, "--help").stdout
    assert "Further options" not in help_text, "a field stands in no section of the help"
    for option in params.values():
        for spelling in option.opts if isinstance(option, click.Option) else ():
            assert spelling in help_text


def test_every_option_is_in_the_documentation():
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    for words, command in ALL:
        assert f"engine {' '.join(words)}" in text
        for param in command.params:
            for spelling in param.opts if isinstance(param, click.Option) else ():
                assert re.search(rf"(?<![\w-]){re.escape(spelling)}(?![\w-])", text), f"{words}: {spelling}"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("nonsense",),
        ("flod",),
        ("flood",),
        ("flood", "x.tif"),
        ("flood", "x.tif", "-o"),
        ("flood", "x.tif", "-o", "OUT", "--probability", "much"),
        ("flood", "x.tif", "-o", "OUT", "--units", "furlong"),
        ("flood", "x.tif", "y.tif", "-o", "OUT"),
        ("flood", "x.tif", "-o", "OUT", "--events", "file"),
        ("simulate", "scene", "-o", "OUT", "--size", "large"),
        ("simulate", "scene", "-o", "OUT", "--size", "9", "--width", "9"),
        ("evaluate", "nonsense"),
    ],
    ids=" ".join,
)
def test_wrong_syntax_is_exit_2(arguments, tmp_path):
    done = engine(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage: engine" in done.stderr or done.stderr.startswith("Error: Option")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_mistyped_command_is_told_the_nearest():
    assert "Did you mean flood?" in engine("flod").stderr


MADE_UP = """
import os, sys, time, warnings, logging
from pathlib import Path
from pydantic import BaseModel
from engine.errors import DamagedFileError
from engine.outputs import ResultFolder

class Request(BaseModel):
    out: str
    how: str = "well"

def run(request, reporter):
    with ResultFolder(request.out) as results:
        (results.path / "half.tif").write_text("half")
        warnings.warn("a library warns")
        logging.getLogger("lib").warning("a library logs")
        print("a library prints")
        os.write(1, b"C prints\\n")
        os.write(2, b"C warns\\n")
        start = time.monotonic()
        reporter.warn("the result has a flaw")
        if request.how == "waits":
            while time.monotonic() - start < 30:
                reporter.progress((time.monotonic() - start) / 30, "wait", "waiting")
                time.sleep(0.01)
        if request.how == "deaf":
            reporter.progress(0.1, "deaf")
            time.sleep(30)
        if request.how == "stumbles":  # it does not look at the token, and fails as soon as its files are taken away
            for number in range(4000):
                (results.path / f"{number}.txt").write_text("")
            while True:
                (results.path / "half.tif").write_text("half")
        if request.how == "fails":
            raise DamagedFileError("a\\nb.tif: band 2\\x1b[31m cannot be read.", remedy="Copy it again.")
        if request.how == "breaks":
            raise RuntimeError("first\\nsecond")
        reporter.progress(0.5, "half")
        (results.path / "result.json").write_text("{}")
        results.commit()
    return {"found": "water"}
"""

START = """
import sys
sys.path.insert(0, {folder!r})
from engine.cli.run import run_job
import engine.jobs as jobs
jobs.JOBS["made-up"] = jobs.Job("made-up", "made_up_cli:Request", "made_up_cli:run", "")
how, out, *rest = sys.argv[1:]
run_job("made-up", {{"out": out, "how": how}}, summary=lambda r: ["found " + r["found"]],
        debug="--debug" in rest, events="--events" in rest)
"""


def made_up(tmp_path: Path, how: str, *rest: str) -> list[str]:
    (tmp_path / "made_up_cli.py").write_text(textwrap.dedent(MADE_UP))
    out = tmp_path / "sub" / "wörk done"
    return [sys.executable, "-c", START.format(folder=str(tmp_path)), how, str(out), *rest]


def left_over(tmp_path: Path) -> list[Path]:
    return [p for p in tmp_path.rglob("*") if p.name not in ("made_up_cli.py", "__pycache__") and p.suffix != ".pyc"]


def test_success_speaks_on_stdout_alone(tmp_path):
    done = subprocess.run(made_up(tmp_path, "well"), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "found water\nNote: the result has a flaw\n"
    assert (tmp_path / "sub" / "wörk done" / "half.tif").exists()


@pytest.mark.parametrize(("how", "word"), [("fails", "cannot be read"), ("breaks", "RuntimeError: first")])
def test_failure_is_one_line_on_stderr_and_nothing_made(tmp_path, how, word):
    done = subprocess.run(made_up(tmp_path, how), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    assert word in done.stderr
    assert "\x1b" not in done.stderr
    assert left_over(tmp_path) == []


def test_debug_shows_the_traceback_and_what_libraries_say(tmp_path):
    done = subprocess.run(made_up(tmp_path, "breaks", "--debug"), capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "C warns" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_events_are_the_lines_of_the_worker(tmp_path):
    done = subprocess.run(made_up(tmp_path, "well", "--events"), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "hello"
    assert events[-1] == {"event": "result", "id": "made-up", "result": {"found": "water"}}
    assert {"event": "log", "id": "made-up", "level": "warning", "message": "the result has a flaw"} in events
    (tmp_path / "second").mkdir()
    failed = subprocess.run(made_up(tmp_path / "second", "fails", "--events"), capture_output=True, text=True)
    last = json.loads(failed.stdout.splitlines()[-1])
    assert failed.returncode == 1
    assert (last["event"], last["kind"], last["remedy"]) == ("error", "damaged-file", "Copy it again.")
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "how"),
    [*product([signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ["waits", "deaf"]), (signal.SIGINT, "stumbles")],
)
@pytest.mark.parametrize("events", [(), ("--events",)], ids=["", "events"])
def test_a_signal_cancels_within_two_seconds_and_leaves_nothing(tmp_path, number, how, events):
    process = subprocess.Popen(
        made_up(tmp_path, how, *events), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 20
    while not list(tmp_path.rglob("half.tif")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    start = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - start < 2
    assert process.returncode == 130
    assert err == "Cancelled.\n"
    if events:
        assert json.loads(out.splitlines()[-1]) == {"event": "cancelled", "id": "made-up"}
    else:
        assert out == ""
    assert left_over(tmp_path) == []


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    process = subprocess.Popen(made_up(tmp_path, "deaf"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.rglob("half.tif")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - start < 0.7
    assert process.returncode == 130
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("delay", [0.02, 0.06, 0.12, 0.25])
def test_a_signal_before_the_job_runs_is_130_too(tmp_path, delay):
    process = subprocess.Popen(
        [*ENGINE, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    time.sleep(delay)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    # Before the first line of ours is reached the signal's own end is all that there can be.
    assert process.returncode in (130, -signal.SIGTERM)
    assert "Traceback" not in err


def on_terminal(command: list[str]) -> tuple[int, str]:
    """Run with stderr on a terminal; exit code and what was drawn."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower)
    os.close(follower)
    drawn = b""
    while True:
        try:
            chunk = os.read(leader, 4096)
        except OSError:
            break
        if not chunk:
            break
        drawn += chunk
    os.close(leader)
    return process.wait(20), drawn.decode()


def test_a_bar_is_drawn_on_a_terminal_and_cleared(tmp_path):
    code, drawn = on_terminal(made_up(tmp_path, "well"))
    assert code == 0
    assert "50%" in drawn
    last = drawn.rstrip("\r").rpartition("\r")[2]
    assert last.strip() == "", "the bar was not cleared"
    code, drawn = on_terminal(made_up(tmp_path, "fails"))
    assert code == 1
    assert drawn.count("\n") == 1
    assert drawn.rstrip().rpartition("\r")[2].startswith("Error: ")


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    command = " ".join(f"'{part}'" for part in [*ENGINE, "doctor"]) + " | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr


def test_closed_streams_are_survived(tmp_path):
    command = " ".join(f"'{part}'" for part in [*ENGINE, "doctor"])
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        done = subprocess.run(["bash", "-c", f"{command} {closed}"], capture_output=True, text=True)
        assert done.returncode == 0, closed
        assert "Traceback" not in done.stderr
