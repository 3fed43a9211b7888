"""The models that a form or dialog can offer by name, as the engine would find them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..engine_client.settings import user_models_folder


def model_folders(root: Path) -> list[Path]:
    """Where bundles lie, in the engine's order: SAMESCENE_MODELS, the user's own, those in ``root``."""
    given = [Path(folder) for folder in os.environ.get("SAMESCENE_MODELS", "").split(os.pathsep) if folder]
    return [*given, user_models_folder(), root / "resources" / "models"]


def crossview_methods(root: Path) -> list[str]:
    """What describes cells or compares them with photos: auto, geometric, fused where the model that it needs is
    installed, and the cross-view models by name."""
    models = model_names(root, "crossview")
    return ["auto", "geometric", *(["fused"] if "crossview" in models else []), *models]


def model_names(root: Path, task: str) -> list[str]:
    """Names of the models of ``task`` (flood, landcover), from their cards; broken bundles are left out."""
    names = []
    for folder in model_folders(root):
        for card in sorted(folder.glob("*/card.json")):
            try:
                found = json.loads(card.read_text(encoding="utf-8")).get("task")
            except (OSError, ValueError, AttributeError):
                found = None
            if found == task and card.parent.name not in names:
                names.append(card.parent.name)
    return names
