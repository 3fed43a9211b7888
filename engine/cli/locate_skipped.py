"""The failure that a search or an evaluation ends with when photos were left out."""

from __future__ import annotations

from typing import Any

from engine.errors import EngineError, InputError


def skipped_photos(result: dict[str, Any]) -> EngineError | None:
    """One line that names the first photo; None where all could be used."""
    skipped = result["figures"]["skipped"]
    if not skipped:
        return None
    count = "1 photo was" if len(skipped) == 1 else f"{len(skipped)} photos were"
    return InputError(
        f"{count} skipped; the first, {skipped[0]['name']}: {skipped[0]['why']}",
        remedy="The results are of the others.",
    )
