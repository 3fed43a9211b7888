"""Result folders: all or nothing, whoever interrupts."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import OutputError
from engine.outputs import ResultFolder, explain_os_error, sweep


def fill(folder: Path, outputs: dict[str, str], text: str = "new") -> None:
    for name in outputs.values():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "result.json").write_text(json.dumps({"outputs": {**outputs, "result": "result.json"}, "text": text}))


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_results_appear_at_once_with_the_commit(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b" / "out"
    with ResultFolder(out) as results:
        fill(results.path, {"map": "flood.tif", "deep": "sub/x.txt"})
        assert not out.exists()
        assert results.path.parent == out.parent
        assert f".partial-{os.getpid()}-" in results.path.name
        assert results.commit() == out
    assert names(out) == ["flood.tif", "result.json", "sub", "sub/x.txt"]
    assert names(out.parent) == ["out", *(f"out/{n}" for n in names(out))]


@pytest.mark.parametrize("prepared", [False, True])
def test_without_commit_nothing_stays_and_made_parents_go(tmp_path: Path, prepared: bool) -> None:
    out = tmp_path / "a" / "out"
    if prepared:
        out.mkdir(parents=True)
    before = names(tmp_path)
    with pytest.raises(KeyError), ResultFolder(out) as results:
        fill(results.path, {"map": "flood.tif"})
        raise KeyError
    with ResultFolder(out) as results:
        fill(results.path, {"map": "flood.tif"})
    assert names(tmp_path) == before


def test_an_empty_folder_is_taken_and_a_full_one_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with ResultFolder(out) as results:
        fill(results.path, {"map": "flood.tif"}, "old")
        results.commit()
    with pytest.raises(OutputError, match=r"is not empty \(it holds flood\.tif and 1 more\).*--overwrite"):
        ResultFolder(out).__enter__()
    assert (out / "flood.tif").read_text() == "old"
    file = tmp_path / "file"
    file.touch()
    for target in (file, file / "out"):
        with pytest.raises(OutputError):
            ResultFolder(target, overwrite=True).__enter__()
    assert names(tmp_path) == ["file", "out", "out/flood.tif", "out/result.json"]


def test_the_target_is_checked_again_at_commit(tmp_path: Path) -> None:
    with ResultFolder(tmp_path / "out") as results:
        fill(results.path, {"map": "flood.tif"})
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").touch()
        with pytest.raises(OutputError, match="not empty"):
            results.commit()
    assert names(tmp_path) == ["out", "out/mine.txt"]


def test_overwrite_replaces_ours_removes_what_is_no_longer_made_and_leaves_the_rest(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ResultFolder(out) as results:
        fill(results.path, {"map": "flood.tif", "why": "excluded.tif", "gpkg": "flood.gpkg"}, "old")
        results.commit()
    for name in ("notes.txt", "flood.tif.aux.xml", "excluded.tif.aux.xml", "flood.gpkg-wal"):
        (out / name).write_text("left over")
    with ResultFolder(out, overwrite=True) as results:
        fill(results.path, {"map": "flood.tif", "gpkg": "flood.gpkg"})
        (results.path / "flood.tif.aux.xml").write_text("new")
        assert (out / "flood.tif").read_text() == "old"
        results.commit()
    assert names(tmp_path) == [
        "out", "out/flood.gpkg", "out/flood.tif", "out/flood.tif.aux.xml", "out/notes.txt", "out/result.json",
    ]  # fmt: skip
    assert {(out / n).read_text() for n in ("flood.tif", "flood.gpkg", "flood.tif.aux.xml")} == {"new"}
    assert (out / "notes.txt").read_text() == "left over"


def test_a_listed_name_outside_of_the_folder_is_never_removed(tmp_path: Path) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim.txt"
    victim.touch()
    out.mkdir()
    for listed in ({"a": "../victim.txt", "b": str(victim), "c": "..", "d": "."}, ["../victim.txt"], None):
        (out / "result.json").write_text(json.dumps({"outputs": listed}))
        with ResultFolder(out, overwrite=True) as results:
            fill(results.path, {"map": "flood.tif"})
            results.commit()
        assert victim.exists()
    (out / "result.json").write_bytes(b"\xff{not json")
    with ResultFolder(out, overwrite=True) as results:
        fill(results.path, {"map": "flood.tif"})
        results.commit()
    assert names(out) == ["flood.tif", "result.json"]


CHILD = """
import sys, time
from pathlib import Path
from engine.outputs import ResultFolder
with ResultFolder(sys.argv[1], overwrite=True) as results:
    for i in range(200):
        (results.path / f"{i}.tif").write_text(sys.argv[2] * 1000)
    (results.path / "result.json").write_text('{"outputs": {"a": "0.tif"}, "run": "' + sys.argv[2] + '"}')
    print("filled", flush=True)
    if sys.argv[3] == "wait":
        time.sleep(60)
    results.commit()
print("done", flush=True)
"""


def start(out: Path, run: str, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", CHILD, str(out), run, mode], stdout=subprocess.PIPE, text=True)


def test_kill_9_while_writing_leaves_nothing_visible_and_the_next_run_sweeps(tmp_path: Path) -> None:
    out = tmp_path / "out"
    child = start(out, "a", "wait")
    assert child.stdout is not None
    assert child.stdout.readline() == "filled\n"
    alive = sorted(tmp_path.iterdir())
    assert sweep(tmp_path, "out") == []  # it lives: its folder stays
    assert sorted(tmp_path.iterdir()) == alive
    child.kill()
    child.wait()
    assert not out.exists()
    assert len(list(tmp_path.iterdir())) == 1
    with ResultFolder(out) as results:
        assert list(tmp_path.iterdir()) == [results.path]
        fill(results.path, {"map": "flood.tif"})
        results.commit()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_kill_9_at_any_moment_of_the_commit_leaves_whole_files_only(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")  # not empty: the slow way, file by file
    last = "0"
    for turn, delay in enumerate((0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.1, 0.5)):
        run = str(turn % 10)
        child = start(out, run, "go")
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        found = [p for p in out.iterdir() if p.suffix == ".tif"]
        texts = {p.name: p.read_text() for p in found}
        assert all(len(set(text)) == 1 and len(text) == 1000 for text in texts.values())
        result = out / "result.json"
        if result.exists():  # then all files are of that run
            last = json.loads(result.read_text())["run"]
            assert {text[0] for text in texts.values()} == {last}
            assert len(texts) == 200
    assert (out / "mine.txt").read_text() == "mine"
    child = start(out, "9", "go")
    child.wait()
    assert json.loads((out / "result.json").read_text())["run"] == "9"
    assert len(names(out)) == 202
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_staging_folder_without_lock_goes_by_its_process(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names_of = (f".out.partial-{gone.pid}-abc", f".out.partial-{os.getpid()}-abc", ".outx.partial-1-a")
    dead, living, other = (tmp_path / name for name in names_of)
    for folder in (dead, living, other):
        folder.mkdir()
    assert sweep(tmp_path, "out") == [dead]
    assert living.exists()
    assert other.exists()


def as_nobody(target: Path) -> str:
    """What happens to a run of another user: a fork, because the Python here may not be theirs to start."""
    if not hasattr(os, "fork") or os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    for parent in target.parents:
        if parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            with ResultFolder(target, overwrite=True) as results:
                (results.path / "x.txt").write_text("x")
                results.commit()
            os.write(writer, f"ok {sorted(p.name for p in target.iterdir())}".encode())
        except OutputError as error:
            os.write(writer, error.line.encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as answer:
        return answer.read()


def test_a_read_only_place_is_told_in_one_line(tmp_path: Path) -> None:
    line = as_nobody(tmp_path / "out")
    assert line.startswith(f"{tmp_path / 'out'}: cannot be written: permission denied")
    assert list(tmp_path.iterdir()) == []


def test_a_writable_target_in_a_read_only_parent_works(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)
    assert as_nobody(out) == "ok ['x.txt']"


def test_os_errors_become_one_line_with_a_remedy() -> None:
    for code, words in ((errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EIO, "error")):
        error = explain_os_error(OSError(code, os.strerror(code)), "x/y")
        assert words in error.message.lower()
        assert error.message.startswith("x/y:")
        assert error.remedy
