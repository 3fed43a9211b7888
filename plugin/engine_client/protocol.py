"""The worker protocol as the client sees it: JSON objects, one a line, in both directions."""

from __future__ import annotations

import json
from typing import Any

PROTOCOL = 1
"""The protocol that this client speaks; the worker's hello must name the same."""

MAX_LINE = 64 * 1024 * 1024
"""Bytes without a line break after which the other side is taken to be talking something else."""


class LineBuffer:
    """Whole lines out of chunks that may end anywhere, inside a character too."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._rest = bytearray()
        self._limit = limit

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that ``chunk`` completes, without their ends; bytes that are not UTF-8 become U+FFFD.

        Raises ValueError when more than the limit has come without a line break.
        """
        self._rest += chunk
        lines: list[bytes] = []
        if b"\n" in chunk:
            *lines, rest = bytes(self._rest).split(b"\n")
            self._rest = bytearray(rest)
        if len(self._rest) > self._limit:
            raise ValueError(f"more than {self._limit} bytes without a line break")
        return [line.decode("utf-8", errors="replace").rstrip("\r") for line in lines]

    def flush(self) -> str:
        """What is left when no more will come."""
        rest, self._rest = bytes(self._rest), bytearray()
        return rest.decode("utf-8", errors="replace").rstrip("\r")


def parse_event(line: str) -> dict[str, Any] | None:
    """The event on a line, or None when the line is anything else (a library's print, half a line, an array)."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(event, dict) and isinstance(event.get("event"), str):
        return event
    return None


def request_line(request: dict[str, Any]) -> bytes:
    """A request as the bytes of one line; pure ASCII, so that no code page can spoil a path."""
    return json.dumps(request, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"
