"""The ``engine`` command that does what a run did: for the log and for "copy as engine command"."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping
from typing import Any

POSITIONAL = {
    "flood": ("post",),
    "landcover": ("scene",),
    "landcover-change": ("map_a", "map_b"),
    "landcover-legend": ("map",),
    "assess-sample": ("map",),
    "assess-report": ("sample",),
    "photo-facts": ("photos",),
    "photo-place": ("photo",),
    "locate-plan": ("reference",),
    "locate-index": ("reference",),
    "locate-search": ("index", "panorama"),
    "locate-evaluate": ("index", "panorama"),
    "crossview-adapt": ("photos",),
}
"""Parameters that stand without an option, by job."""
WORDS = {
    "assess-sample": "assess sample",
    "assess-report": "assess report",
    "photo-facts": "photos facts",
    "photo-place": "photos place",
    "locate-plan": "locate plan",
    "locate-index": "locate index",
    "locate-search": "locate search",
    "locate-evaluate": "locate evaluate",
    "crossview-adapt": "crossview adapt",
}
"""Commands that are called otherwise than their job."""


def engine_command(job: str, params: Mapping[str, Any], *, windows: bool | None = None) -> str:
    """``engine JOB POSITIONAL… --option value … -o OUT``, quoted for the platform's shell.

    ``params`` is the request as it was sent, in the order in which its options shall stand; what is None or False is
    left out, True is a flag, a list repeats its option.
    """
    positional = POSITIONAL.get(job, ())
    words = ["engine", *WORDS.get(job, job).split()]
    for name in positional:
        words += [str(item) for item in _items(params.get(name)) if item is not None]
    for name, value in params.items():
        if name in positional or name == "out" or value is None or value is False:
            continue
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
            continue
        for item in _items(value):
            words += [option, str(item)]
    if params.get("out") is not None:
        words += ["-o", str(params["out"])]
    windows = sys.platform == "win32" if windows is None else windows
    return _windows_join(words) if windows else shlex.join(words)


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _windows_join(words: Iterable[str]) -> str:
    return " ".join(_windows_quote(word) for word in words)


def _windows_quote(word: str) -> str:
    """A word as CommandLineToArgvW reads it back: backslashes double only before a quotation mark."""
    if word and not any(c in word for c in ' \t"&|<>^()%!,;=*?'):
        return word
    quoted, slashes = '"', 0
    for char in word:
        if char == "\\":
            slashes += 1
            continue
        quoted += "\\" * (2 * slashes + 1 if char == '"' else slashes) + char
        slashes = 0
    return quoted + "\\" * (2 * slashes) + '"'
