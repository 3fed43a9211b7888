"""The command line as a process of its own, forked from one that has the engine loaded already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ZYGOTE = """
import json, os, resource, sys
from engine.environment import drop_foreign_variables, let_waiting_threads_sleep
drop_foreign_variables()
let_waiting_threads_sleep()
exec(sys.argv[1])
from engine.cli.main import main
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(order["cwd"])
        if order["limit"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"],) * 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in ((1, order["out"]), (2, order["err"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv = ["engine", *order["arguments"]]
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # not through the end of the interpreter, which would tear down what was only inherited
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Zygote:
    """A process that has imported the engine and forks once a command: the imports are paid for once, not 70 times."""

    def __init__(self, folder: Path, imports: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", ZYGOTE, imports],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "SAMESCENE_MODELS": ""},
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, *arguments, cwd: Path, limit: int = 0) -> subprocess.CompletedProcess:
        out, err = self.folder / "out", self.folder / "err"
        words = list(map(str, arguments))
        order = {"arguments": words, "cwd": str(cwd), "out": str(out), "err": str(err), "limit": limit}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def check_refused(done: subprocess.CompletedProcess, *named: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("Error: ")
    assert "fault of its own" not in done.stderr, done.stderr
    for name in named:
        assert name in done.stderr, done.stderr
