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

from engine.events import Event, Progress
from engine.worker_main import open_standard_descriptors


def _private(descriptor: int, like: TextIO | None) -> TextIO:
    """A text stream on a copy of ``descriptor``; characters that the encoding lacks are escaped, never an error."""
    encoding = (like.encoding if like is not None else None) or "utf-8"
    file = os.fdopen(os.dup(descriptor), "wb")
    return io.TextIOWrapper(file, encoding=encoding, errors="backslashreplace", line_buffering=True)


class Console:
    """``out`` and ``err`` for our own lines; everything else that writes to descriptors 1 and 2 is silenced."""

    def __init__(self, *, debug: bool) -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        open_standard_descriptors()
        self.out = _private(1, sys.stdout)
        self.err = _private(2, sys.stderr)
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
            self.out = _private(1, self.out)


class Bar:
    """A progress bar on ``stream``, a terminal; drawn over with spaces, which every terminal understands."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = time.monotonic()
        self._drawn = 0
        try:
            "█░".encode(stream.encoding)
            self._full, self._empty = "█", "░"
        except UnicodeEncodeError:
            self._full, self._empty = "#", "."

    def take(self, event: Event) -> None:
        """Draw a progress event over the one before."""
        if not isinstance(event, Progress):
            return
        columns = shutil.get_terminal_size().columns
        done = round(20 * event.fraction)
        bar = self._full * done + self._empty * (20 - done)
        text = event.message or event.stage
        line = f"{bar} {event.fraction:4.0%} {time.monotonic() - self._start:5.0f} s  {text}"[: max(10, columns - 1)]
        self._write("\r" + line + " " * (self._drawn - len(line)))
        self._drawn = len(line)

    def clear(self) -> None:
        """Take the bar off the screen."""
        if self._drawn:
            self._write("\r" + " " * self._drawn + "\r")
            self._drawn = 0

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal was closed: nothing is left to draw on
            self._drawn = 0
