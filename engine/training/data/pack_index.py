"""The files of a pack: ``index.json``, and how they are written and read whole."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from engine.errors import DamagedFileError
from engine.outputs import sync

INDEX, PLAN, SHARDS, LOCK = "index.json", "plan.json", "shards", ".lock"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShardEntry(_Part):
    """One shard: how many crops, and for each of its arrays the file and its SHA-256."""

    count: int = Field(ge=1)
    files: dict[str, str]
    sha256: dict[str, str]


class PackIndex(_Part):
    """``index.json``."""

    format: int = Field(1, ge=1, le=1)
    engine_version: str
    sources: list[str]
    side: int = Field(ge=1)
    bands: dict[str, list[str]]
    scales: dict[str, float]
    statistics: dict[str, dict[str, Any]]
    classes: dict[int, str]
    legend: str | None = None
    shards: list[ShardEntry]
    samples: list[dict[str, Any]]
    left_out: list[dict[str, Any]]


def is_pack(path: str | os.PathLike[str]) -> bool:
    """True where ``path`` is a finished pack."""
    return (Path(path) / INDEX).is_file() and (Path(path) / SHARDS).is_dir()


def put(path: Path, write: Callable[[Path], Any]) -> None:
    """Write aside, have it on the disk, move into place."""
    staging = path.with_name(f".{path.name}.partial-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        write(staging)
        sync(staging)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises DamagedFileError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path}: cannot be read ({error}).", remedy="Pack the data again.") from error
    if not isinstance(found, dict):
        raise DamagedFileError(f"{path}: is no JSON object.", remedy="Pack the data again.")
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()
