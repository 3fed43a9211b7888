"""A file is put in place whole or not at all."""

import pytest

from engine.errors import OutputError
from engine.resultfile import write_whole


def test_text_and_bytes_replace_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "ü\n")
    assert path.read_bytes() == "ü\n".encode()
    write_whole(path, b"\0\1")
    assert path.read_bytes() == b"\0\1"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_what_cannot_be_moved_into_place_leaves_the_old_and_nothing_aside(tmp_path):
    target = tmp_path / "taken"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(OutputError, match="taken"):
        write_whole(target, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"] and (target / "kept").exists()
    with pytest.raises(OutputError, match="absent"):
        write_whole(tmp_path / "absent" / "a.json", "new")
