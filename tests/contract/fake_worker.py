"""A worker that behaves as badly as its first argument says; it speaks the real protocol otherwise.

Usage: fake_worker.py BEHAVIOUR [FOLDER]; FOLDER gets ``pid`` and ``request.json``.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

behaviour = sys.argv[1]
folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
out = sys.stdout.buffer


def send(**event):
    out.write(json.dumps(event, ensure_ascii=False).encode() + b"\n")
    out.flush()


def note(name, text):
    if folder:
        (folder / name).write_text(text, encoding="utf-8")


def staging(request):
    target = Path(request["params"]["out"])
    made = target.parent / f".{target.name}.partial-{os.getpid()}-abc123"
    made.mkdir(parents=True)
    (made / "flood.tif").write_bytes(b"half")


note("pid", str(os.getpid()))
note("environment.json", json.dumps(dict(os.environ)))
if behaviour == "silent":
    time.sleep(600)
if behaviour == "import-crash":
    print("ImportError: libgdal.so.36: cannot open shared object file", file=sys.stderr)
    sys.exit(1)
if behaviour == "endless-line":
    while True:
        out.write(b"x" * 1_000_000)
if behaviour in ("deaf", "deaf-staging"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
send(event="hello", engine_version="9.9", protocol=99 if behaviour == "protocol" else 1, device="cpu", pid=os.getpid())
line = sys.stdin.readline()
if not line:
    sys.exit(0)
request = json.loads(line)
note("request.json", line)
number = request["id"]

if behaviour == "good":
    send(event="log", id=number, level="warning", message="Überflutung 水")
    for step in range(5):
        send(event="progress", id=number, fraction=step / 4, stage=f"stage {step // 2}", message=f"step {step}")
        time.sleep(0.02)
    send(event="result", id=number, result={"echo": request["params"]})
    sys.stdin.readline()
elif behaviour == "error":
    print("a library's warning", file=sys.stderr)
    send(event="error", id=number, kind="grid", message="post.tif: no CRS,\nexpected one.", remedy="Assign a CRS.")
elif behaviour == "garbage":
    out.write(b'Warning 1: something\n\xff\xfe\x00binary\n[1, 2]\n{"event": 5}\n{"half": \n\n' + b"9" * 5000 + b"\n")
    send(event="news", id=number, detail="from a later version")
    send(event="progress", id=number, fraction="lots", stage="x")
    send(event="progress", id=number, fraction=7, stage="x")
    send(event="result", id=77, result={"wrong": "request"})
    send(event="result", id=number, result={"fine": True})
elif behaviour == "dribble":
    data = json.dumps({"event": "result", "id": number, "result": {"name": "Fl\u00e4che 水 🌊"}}, ensure_ascii=False)
    for byte in (data + "\n").encode():
        out.write(bytes([byte]))
        out.flush()
        time.sleep(0.002)
elif behaviour == "no-newline":
    out.write(json.dumps({"event": "result", "id": number, "result": {"last": True}}).encode())
    out.flush()
elif behaviour == "bad-result":
    send(event="result", id=number, result=[1])
elif behaviour == "exit":
    print("RuntimeError: it went wrong", file=sys.stderr)
    sys.exit(3)
elif behaviour == "segfault":
    staging(request)
    print("Fatal Python error: Segmentation fault", file=sys.stderr, flush=True)
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)
elif behaviour == "killed":
    staging(request)
    os.kill(os.getpid(), signal.SIGKILL)
elif behaviour == "result-then-segfault":
    send(event="result", id=number, result={"done": True})
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)
elif behaviour == "stuck-after-result":
    send(event="result", id=number, result={"done": True})
    time.sleep(600)
elif behaviour == "closed-stdout":
    os.close(1)
    time.sleep(1.5)
    sys.exit(4)
elif behaviour == "flood-stderr":
    for index in range(20_000):
        print(f"line {index} " + "e" * 80, file=sys.stderr)
    send(event="result", id=number, result={"done": True})
elif behaviour in ("deaf", "deaf-staging", "stubborn", "staging"):
    if behaviour.endswith("staging"):
        staging(request)
    send(event="progress", id=number, fraction=0.1, stage="stuck", message="")
    while True:
        time.sleep(1)
elif behaviour in ("polite", "polite-staging"):
    if behaviour.endswith("staging"):
        staging(request)
    send(event="progress", id=number, fraction=0.1, stage="work", message="")
    if json.loads(sys.stdin.readline()) == {"cmd": "cancel"}:
        send(event="cancelled", id=number)
    sys.stdin.readline()
elif behaviour == "finished-anyway":
    send(event="progress", id=number, fraction=0.1, stage="work", message="")
    sys.stdin.readline()
    send(event="result", id=number, result={"done": True})
