"""The text of the engine command."""

from __future__ import annotations

import shlex

from plugin.engine_client.command_line import engine_command


def test_posix_words_survive_the_shell():
    params = {"post": "/data/a b/ü$x'.tif", "aoi": "-1,2,3,4", "min_area": 500.0, "overwrite": True, "dem": None,
              "device": "cuda:0", "bands": ["VV=1", "VH=2"], "zones": False, "out": "/out put"}  # fmt: skip
    command = engine_command("flood", params, windows=False)
    assert shlex.split(command) == [
        "engine", "flood", "/data/a b/ü$x'.tif", "--aoi", "-1,2,3,4", "--min-area", "500.0", "--overwrite",
        "--device", "cuda:0", "--bands", "VV=1", "--bands", "VH=2", "-o", "/out put",
    ]  # fmt: skip


def test_windows_words_are_quoted_as_its_parser_reads_them():
    params = {"post": "C:\\a b\\x.tif", "aoi": "1,2,3,4", "method": 'say "hi"\\', "out": "C:\\out\\"}
    command = engine_command("flood", params, windows=True)
    assert command == ('engine flood "C:\\a b\\x.tif" --aoi "1,2,3,4" --method "say \\"hi\\"\\\\" -o C:\\out\\')
    assert engine_command("flood", {"post": "C:\\a b\\", "out": "o"}, windows=True) == 'engine flood "C:\\a b\\\\" -o o'
    assert engine_command("flood", {"post": "", "out": "o"}, windows=True) == 'engine flood "" -o o'


def test_a_job_without_parameters():
    assert engine_command("doctor", {}) == "engine doctor"
