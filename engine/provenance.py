"""What a file was when it was read: path and SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from engine.events import Reporter

_CHUNK = 1 << 18
"""Bytes that are still in a processor's cache when they are digested."""


def fingerprint(path: str, reporter: Reporter) -> dict[str, Any]:
    """``{"path", "sha256"}``; the digest is None for what is no local file (an address, a bounding box)."""
    file = Path(path)
    try:
        if not file.is_file():
            return {"path": path, "sha256": None}
        digest = hashlib.sha256()
        chunk = memoryview(bytearray(_CHUNK))
        with file.open("rb", buffering=0) as stream:
            while count := stream.readinto(chunk):
                digest.update(chunk[:count])
                reporter.check()
    except OSError:  # a value such as W,S,E,N may be no legal path
        return {"path": path, "sha256": None}
    return {"path": str(file.resolve()), "sha256": digest.hexdigest()}
