"""The worker process, spoken to as QGIS does: lines in, lines out, and nothing else."""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

JOBS = """
import os, sys, time
from pydantic import BaseModel, ConfigDict

class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = ""
    seconds: float = 30.0
    out: str = ""

def obedient(request, reporter):
    start = time.monotonic()
    while time.monotonic() - start < request.seconds:
        reporter.progress((time.monotonic() - start) / request.seconds, "wait", request.text)
        time.sleep(0.001)
    return {"text": request.text, "nan": float("nan"), "inf": [float("inf")]}

def deaf(request, reporter):
    reporter.progress(0.1, "deaf")
    time.sleep(request.seconds)
    return {}

def staging(request, reporter):
    from pathlib import Path
    from engine import leftovers
    out = Path(request.out)
    folder = out.with_name(f".{out.name}.partial-{os.getpid()}-abcd")
    folder.mkdir()
    remove = leftovers.shutil.rmtree
    leftovers.shutil.rmtree = lambda *path, **how: (time.sleep(0.8), remove(*path, **how))
    return deaf(request, reporter)

def stages(request, reporter):
    for i in range(2000):
        reporter.progress(i / 2000, f"stage {i}")
        time.sleep(0.0005)
    return {}

def printing(request, reporter):
    print("a print of Python")
    os.write(1, b"a print of C to descriptor 1\\n")
    os.system("echo a print of a child process")
    sys.__stdout__.write("another print\\n")
    sys.__stdout__.flush()
    return {"text": request.text}

def broken(request, reporter):
    raise RuntimeError("line one\\nline two")

def exits(request, reporter):
    sys.exit(3)

def hungry(request, reporter):
    raise MemoryError

def unwritable(request, reporter):
    return {"object": object()}
"""

START = """
import sys
sys.path[:0] = [{folder!r}, {root!r}]
from engine.worker_main import main
import engine.jobs as jobs
for name in ("obedient", "deaf", "staging", "stages", "printing", "broken", "exits", "hungry", "unwritable"):
    jobs.JOBS[name] = jobs.Job(name, "made_up_jobs:Request", "made_up_jobs:" + name, "")
sys.exit(main(sys.argv[1:]))
"""


class Client:
    """A worker process with made-up jobs beside the real ones; reads its events in a thread."""

    def __init__(self, folder: Path, *arguments: str, command: list[str] | None = None) -> None:
        (folder / "made_up_jobs.py").write_text(textwrap.dedent(JOBS))
        start = START.format(folder=str(folder), root=str(ROOT))
        self.process = subprocess.Popen(
            command or [sys.executable, "-I", "-u", "-X", "utf8", "-c", start, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.raw: list[bytes] = []
        self.events: queue.Queue[dict | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self.process.stdout:
                self.raw.append(line)
                self.events.put(json.loads(line, parse_constant=lambda name: pytest.fail(name)))
        except ValueError:  # the test closed the pipe
            pass
        self.events.put(None)

    def send(self, message: object) -> None:
        data = message if isinstance(message, bytes) else json.dumps(message, ensure_ascii=False).encode()
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def until(self, *kinds: str, seconds: float = 20.0) -> dict:
        """The next event of one of ``kinds``."""
        deadline = time.monotonic() + seconds
        while True:
            event = self.events.get(timeout=max(0.01, deadline - time.monotonic()))
            assert event is not None, f"the worker ended: {self.process.stderr.read().decode()}"
            if event["event"] in kinds:
                return event

    def close(self) -> int:
        self.process.stdin.close()
        return self.process.wait(10)


@pytest.fixture
def client(tmp_path):
    made = []

    def start(*arguments, **keywords):
        made.append(Client(tmp_path, *arguments, **keywords))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.wait()
        for stream in (one.process.stdin, one.process.stderr):
            stream.close()


ENDS = ("result", "error", "cancelled")


@pytest.mark.parametrize("how", ["file", "command"])
def test_hello_comes_first_and_soon(client, how):
    start = time.monotonic()
    if how == "file":
        command = [sys.executable, "-I", "-u", "-X", "utf8", str(ROOT / "engine" / "worker_main.py")]
    else:
        command = [str(Path(sys.executable).with_name("engine")), "worker"]
    worker = client(command=command)
    hello = worker.events.get(timeout=10)
    took = time.monotonic() - start
    assert hello["event"] == "hello"
    assert hello["protocol"] == 1
    assert set(hello) == {"event", "engine_version", "protocol", "device", "pid"}
    assert took < 3
    assert worker.close() == 0


def test_requests_are_served_in_order_each_with_its_id(client):
    worker = client()
    for i in (7, "b", 9):
        worker.send({"id": i, "job": "obedient", "params": {"seconds": 0.05, "text": str(i)}})
    results = [worker.until("result") for _ in range(3)]
    assert [r["id"] for r in results] == [7, "b", 9]
    assert [r["result"]["text"] for r in results] == ["7", "b", "9"]
    assert results[0]["result"]["nan"] is None
    assert results[0]["result"]["inf"] == [None]


def test_text_of_any_language_comes_back(client):
    worker = client()
    worker.send({"id": 1, "job": "obedient", "params": {"seconds": 0, "text": "Überflutung/水 мутная 🌊\u2028"}})
    assert worker.until("result")["result"]["text"] == "Überflutung/水 мутная 🌊\u2028"
    assert all(line.isascii() for line in worker.raw)


def test_nothing_but_events_reaches_stdout(client):
    worker = client()
    worker.send({"id": 1, "job": "printing", "params": {"text": "x"}})
    assert worker.until("result")["result"] == {"text": "x"}
    assert worker.close() == 0
    assert [json.loads(line)["event"] for line in worker.raw] == ["hello", "result"]
    assert b"a print of C" in worker.process.stderr.read()


@pytest.mark.parametrize("job", ["obedient", "stages"])
def test_progress_comes_at_most_ten_times_a_second(client, job):
    worker = client()
    times = []
    worker.send({"id": 1, "job": job, "params": {"seconds": 1.5} if job == "obedient" else {}})
    fractions = []
    while (event := worker.until("progress", "result"))["event"] == "progress":
        times.append(time.monotonic())
        fractions.append(event["fraction"])
    assert len(times) >= 5
    assert fractions == sorted(fractions)
    # Over the whole run: on a busy machine single events wait in the pipe and are read in a bunch.
    assert len(times) <= 10 * (times[-1] - times[0]) + 4


MALFORMED = [
    b"",
    b"not json",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b"[1, 2]",
    b"null",
    b'{"id": NaN, "job": "flood"}',
    b'{"id": 1',
    b"{}",
    b'{"job": "flood"}',
    b'{"id": {"a": 1}, "job": "flood"}',
    b'{"id": true, "job": "flood"}',
    b'{"id": 5}',
    b'{"id": 5, "job": 3}',
    b'{"id": 5, "job": "nonsense"}',
    b'{"id": 5, "job": "obedient", "params": []}',
    b'{"id": 5, "job": "obedient", "params": null}',
    b'{"id": 5, "job": "obedient", "params": {"unknown": 1}}',
    b'{"id": 5, "job": "obedient", "params": {"seconds": "soon"}}',
    b'{"cmd": "dance"}',
    b'{"cmd": ["cancel"]}',
]


def test_malformed_requests_are_answered_and_survived(client):
    worker = client()
    for line in MALFORMED:
        worker.send(line)
        if line:
            event = worker.until(*ENDS)
            assert event["event"] == "error", line
            assert event["message"]
            assert "\n" not in event["message"] + event["remedy"]
            assert event["id"] == (5 if b'"id": 5' in line else None)
    worker.send(b"x" * 17_000_000)
    assert worker.until("error")["kind"] == "request"
    worker.send({"id": "after", "job": "obedient", "params": {"seconds": 0}})
    assert worker.until("result")["id"] == "after"


def test_defects_of_a_job_are_errors_and_the_worker_lives_on(client):
    worker = client()
    for job, kind in (("broken", "internal"), ("exits", "internal"), ("hungry", "memory"), ("unwritable", "internal")):
        worker.send({"id": job, "job": job, "params": {}})
        event = worker.until(*ENDS)
        assert (event["event"], event["id"], event["kind"]) == ("error", job, kind)
        assert "\n" not in event["message"]
        assert event["remedy"]
        assert "Traceback" not in event["message"]
    worker.send({"id": 2, "job": "obedient", "params": {"seconds": 0}})
    assert worker.until("result")["id"] == 2


def test_tracebacks_come_only_under_debug(client):
    for arguments, expected in (((), False), (("--debug",), True)):
        worker = client(*arguments)
        worker.send({"id": 1, "job": "broken", "params": {}})
        worker.until("error")
        logs = [json.loads(line) for line in worker.raw if b'"log"' in line]
        assert any("Traceback" in log["message"] for log in logs) is expected
        worker.close()


def test_cancel_stops_the_running_job_and_the_next_is_served(client):
    worker = client()
    worker.send({"id": 1, "job": "obedient", "params": {}})
    worker.until("progress")
    start = time.monotonic()
    worker.send({"cmd": "cancel"})
    event = worker.until(*ENDS)
    assert event == {"event": "cancelled", "id": 1}
    assert time.monotonic() - start < 1
    worker.send({"cmd": "cancel"})  # nothing runs: no effect
    worker.send({"id": 2, "job": "obedient", "params": {"seconds": 0}})
    assert worker.until(*ENDS)["event"] == "result"


def test_cancel_in_the_same_breath_as_the_request_is_not_lost(client):
    worker = client()
    worker.send(b'{"id": 1, "job": "obedient", "params": {}}\n{"cmd": "cancel"}')
    assert worker.until(*ENDS) == {"event": "cancelled", "id": 1}


def test_cancel_by_id_reaches_a_waiting_request_alone(client):
    worker = client()
    worker.send({"id": 1, "job": "obedient", "params": {"seconds": 0.6, "text": "whole"}})
    worker.send({"id": 2, "job": "obedient", "params": {}})
    worker.send({"cmd": "cancel", "id": 2})
    assert worker.until(*ENDS) == {"event": "cancelled", "id": 2}
    assert worker.until(*ENDS)["result"]["text"] == "whole"


def test_cancel_of_a_deaf_job_answers_within_two_seconds(client):
    worker = client()
    worker.send({"id": 1, "job": "deaf", "params": {}})
    worker.send({"id": 2, "job": "deaf", "params": {}})
    worker.until("progress")
    start = time.monotonic()
    worker.send({"cmd": "cancel"})
    assert worker.until(*ENDS) == {"event": "cancelled", "id": 1}
    assert time.monotonic() - start < 2
    assert worker.until(*ENDS)["kind"] == "worker-ended"
    assert worker.process.wait(2) == 130


@pytest.mark.parametrize("job", ["obedient", "deaf"])
@pytest.mark.parametrize("how", ["end of stdin", "SIGTERM"])
def test_the_end_of_stdin_ends_job_and_process(client, job, how):
    worker = client()
    worker.send({"id": 1, "job": job, "params": {}})
    worker.until("progress")
    start = time.monotonic()
    if how == "SIGTERM":
        worker.process.send_signal(signal.SIGTERM)
        code = worker.process.wait(4)
    else:
        code = worker.close()
    assert time.monotonic() - start < 2
    assert code == 0
    assert worker.until(*ENDS) == {"event": "cancelled", "id": 1}


@pytest.mark.parametrize("seconds", [1.5, 30.0])
def test_the_process_ends_when_the_staging_folder_is_removed_not_before(client, tmp_path, seconds):
    """Removal begins at 1.2 s and takes 0.8 s; the job ends meanwhile, or not at all."""
    out = tmp_path / "results" / "out"
    out.parent.mkdir()
    worker = client()
    worker.send({"id": 1, "job": "staging", "params": {"out": str(out), "seconds": seconds}})
    worker.until("progress")
    assert len(list(out.parent.iterdir())) == 1
    assert worker.close() == 0
    assert list(out.parent.iterdir()) == []


def test_an_idle_worker_ends_at_once(client):
    worker = client()
    worker.until("hello")
    start = time.monotonic()
    assert worker.close() == 0
    assert time.monotonic() - start < 1


def test_ctrl_c_in_the_terminal_of_qgis_does_not_end_the_worker(client):
    worker = client()
    worker.send({"id": 1, "job": "obedient", "params": {"seconds": 0.5}})
    worker.until("progress")
    worker.process.send_signal(signal.SIGINT)
    assert worker.until(*ENDS)["event"] == "result"


def test_a_client_that_stops_reading_does_not_make_an_orphan(client):
    worker = client()
    worker.send({"id": 1, "job": "obedient", "params": {}})
    worker.until("progress")
    worker.process.stdout.close()
    assert worker.process.wait(6) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes as POSIX has them")
@pytest.mark.parametrize("job", ["obedient", "deaf"])
@pytest.mark.parametrize("held", [False, True], ids=["stdin closes", "another process holds stdin open"])
def test_no_orphan_when_the_parent_is_killed(tmp_path, job, held):
    psutil = pytest.importorskip("psutil")
    (tmp_path / "made_up_jobs.py").write_text(textwrap.dedent(JOBS))
    start = START.format(folder=str(tmp_path), root=str(ROOT))
    parent_code = f"""
import json, os, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-I", "-c", {start!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
holder = subprocess.Popen(["sleep", "30"], pass_fds=[worker.stdin.fileno()]) if {held} else None
worker.stdin.write(json.dumps({{"id": 1, "job": {job!r}, "params": {{}}}}).encode() + b"\\n")
worker.stdin.flush()
while b"progress" not in worker.stdout.readline():
    pass
print(worker.pid, holder.pid if holder else 0, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE)
    worker_pid, holder_pid = map(int, parent.stdout.readline().split())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    try:
        while time.monotonic() < deadline:
            if not psutil.pid_exists(worker_pid) or psutil.Process(worker_pid).status() == psutil.STATUS_ZOMBIE:
                return
            time.sleep(0.05)
        os.kill(worker_pid, signal.SIGKILL)
        pytest.fail("the worker outlived its parent")
    finally:
        if holder_pid:
            os.kill(holder_pid, signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs descriptors as POSIX has them")
@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-", ">&-"])
def test_closed_descriptors_end_the_worker_cleanly(closed):
    command = f"'{sys.executable}' -I '{ROOT / 'engine' / 'worker_main.py'}' {closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if closed != ">&-":
        assert json.loads(done.stdout)["event"] == "hello"


def test_progress_is_held_back_not_lost():
    """Moments of sending: at least 0.1 s between, the newest that was held back goes out, none after the end."""
    from engine.events import Progress
    from engine.protocol import RequestEvents

    sent: list[tuple[float, dict]] = []

    class Writer:
        def send(self, event, *, timeout=-1):
            sent.append((time.monotonic(), event))

    events = RequestEvents(Writer(), 1)
    for i in range(300):
        events.take(Progress(fraction=i / 300, stage=f"stage {i}"))
        time.sleep(0.001)
    time.sleep(0.15)
    assert sent[-1][1]["stage"] == "stage 299"
    assert all(b - a >= 0.099 for (a, _), (b, _) in itertools.pairwise(sent))
    events.take(Progress(fraction=1, stage="end"))
    events.take(Progress(fraction=1, stage="held back"))
    events.finish({"done": True})
    time.sleep(0.15)
    assert sent[-1][1]["event"] == "result"
    events.finish({"done": "again"})
    events.log("info", "late")
    assert sent[-1][1]["result"] == {"done": True}
