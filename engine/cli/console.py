"""What the user sees while a job runs: a private stdout and stderr, and a progress bar on a terminal.

While a job runs, descriptors 1 and 2 lead nowhere (to stderr with ``--debug``): libraries in C print there as they
like, and the contract leaves stderr to one line of ours.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import time
from typing import TextIO

from engine.cli.failure import error_line
from engine.errors import Cancelled
from engine.events import Event, Progress


def _private(descriptor: int, encoding: str) -> TextIO:
    """A text stream on a copy of ``descriptor``; characters that the encoding lacks are escaped, never an error."""
    try:
        copy = os.dup(descriptor)
    except OSError:  # started without this stream
        copy = os.open(os.devnull, os.O_WRONLY)
    return io.TextIOWrapper(os.fdopen(copy, "wb"), encoding=encoding, errors="backslashreplace", line_buffering=True)


class Console:
    """``out`` and ``err`` for our own lines; everything else that writes to descriptors 1 and 2 is silenced."""

    def __init__(self, *, debug: bool) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self.out = _private(1, sys.stdout.encoding or "utf-8")
        self.err = _private(2, sys.stderr.encoding or "utf-8")
        if not debug:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
        os.dup2(2, 1)

    def say(self, *lines: str) -> None:
        """Lines on stdout; a reader that has gone (``| head``) is no failure."""
        try:
            for line in lines:
                self.out.write("".join(c if c.isprintable() else "?" for c in line) + "\n")
            self.out.flush()
        except OSError:
            self.out = _private(1, "utf-8")


class Bar:
    """A progress bar on ``stream``, a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = time.monotonic()
        self._drawn = False

    def take(self, event: Event) -> None:
        """Draw a progress event over the one before."""
        if not isinstance(event, Progress):
            return
        columns = shutil.get_terminal_size().columns
        done = round(20 * event.fraction)
        text = event.message or event.stage
        line = f"{'█' * done}{'░' * (20 - done)} {event.fraction:4.0%} {time.monotonic() - self._start:5.0f} s  {text}"
        self._write("\r\033[K" + line[: max(10, columns - 1)])
        self._drawn = True

    def clear(self) -> None:
        """Take the bar off the screen."""
        if self._drawn:
            self._write("\r\033[K")
            self._drawn = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal was closed: nothing is left to draw on
            self._drawn = False


def cancelled_line() -> str:
    """What a cancelled command says."""
    return error_line(Cancelled())
