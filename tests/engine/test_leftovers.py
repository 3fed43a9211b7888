"""What a job that is ended by force leaves is removed even while its threads write on."""

import os
import threading
import time

import pytest

from engine.leftovers import Leftovers
from engine.outputs import sweep


def staging_of(target):
    folder = target.with_name(f".{target.name}.partial-{os.getpid()}-abcd")
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("attempt", range(5))
def test_threads_that_write_on_cannot_keep_the_folder(tmp_path, attempt):
    target = tmp_path / "new" / "out"
    leftovers = Leftovers.of(str(target))
    folder = staging_of(target)
    done = threading.Event()

    def write(number):
        count = 0
        while not done.is_set():
            count += 1
            try:
                (folder / f"{number}-{count}").write_bytes(b"half")
            except OSError:
                time.sleep(0.0001)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        time.sleep(0.02)
        leftovers.remove()
        assert not target.parent.exists(), sorted(p.name for p in tmp_path.rglob("*"))[:5]
    finally:
        done.set()
        for writer in writers:
            writer.join()


def test_folders_of_others_stay_and_what_was_put_aside_can_be_swept(tmp_path):
    target = tmp_path / "out"
    other = tmp_path / ".out.partial-1-abcd"
    other.mkdir()
    Leftovers.of(str(target)).remove()
    assert other.is_dir() and tmp_path.is_dir()
    dead = tmp_path / ".out.partial-999999999-abcd-gone"
    dead.mkdir()
    assert sweep(tmp_path, "out") == [dead]
