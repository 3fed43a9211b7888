"""Where lies what comes with the engine: legends, models, the network of the sun."""

from __future__ import annotations

import sys
from pathlib import Path


def resource_folders(name: str) -> list[Path]:
    """``resources/NAME`` beside the engine, then ``share/samescene/NAME`` of the Python environment, where an installed
    package has it; either may be absent."""
    beside = Path(__file__).resolve().parents[1] / "resources" / name
    return [beside, Path(sys.prefix) / "share" / "samescene" / name]
