"""The user's own models: one folder of bundles for each user, beside those that come with the engine.

The folder is ``samescene/models`` below the place where programs keep the user's data: ``$XDG_DATA_HOME`` or
``~/.local/share`` on Linux and other systems, ``~/Library/Application Support`` on macOS, ``%APPDATA%`` on Windows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.errors import ModelError, ParameterError
from engine.outputs import explain_os_error

_OWN = ("model.safetensors", "card.json", "mlm.json")


def user_models_folder(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """Where the user's models lie; the folder need not exist. This is the one place that says so."""
    variables = os.environ if environment is None else environment
    home = Path(variables.get("HOME") or variables.get("USERPROFILE") or Path.home())
    if platform == "win32":
        base = Path(variables.get("APPDATA") or home / "AppData" / "Roaming")
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        given = Path(variables.get("XDG_DATA_HOME") or "")
        base = given if given.is_absolute() else home / ".local" / "share"
    return base / "samescene" / "models"


def check_name(name: str, *, overwrite: bool) -> None:
    """Raise ParameterError unless a model can be registered under ``name``: it is a name, none of the engine's own
    models has it, and none of the user's, but with ``overwrite``."""
    from engine.models.bundle import list_models, model_folders
    from engine.models.card import is_name

    if not is_name(name):
        raise ParameterError(
            f"{name!r} is no name for a model; expected small letters, digits, '.', '_' and '-', up to 64.",
            remedy="Choose another name, for example fields-2024.",
        )
    own = user_models_folder()
    foreign = {model.name: model.folder for model in list_models([f for f in model_folders() if f != own])}
    if name in foreign:
        raise ParameterError(
            f"The name {name} belongs to a model that is not the user's ({foreign[name]}).",
            remedy="Choose another name.",
        )
    if (own / name).exists() and not overwrite:
        raise ParameterError(
            f"{own / name}: there is a model of this name already.",
            remedy="Choose another name, or replace it with --overwrite.",
        )


def register(folder: Path, name: str, *, overwrite: bool = False) -> Path:
    """Copy the bundle in ``folder`` into the user's folder as ``name``, whole or not at all, and return where it lies.

    The card's own name becomes ``name``. Raises ParameterError as :func:`check_name`, ModelError when the bundle is not
    sound, OutputError when the folder cannot be written.
    """
    from engine.models.bundle import load_bundle, save_bundle

    check_name(name, overwrite=overwrite)
    bundle = load_bundle(folder)
    network = bundle.module()
    target = user_models_folder() / name
    partial = target.with_name(f".{name}.partial-{os.getpid()}")
    old = target.with_name(f".{name}.old-{os.getpid()}")
    facts = bundle.card.model_dump(mode="json", exclude={"weights_sha256", "engine_version"})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        save_bundle(partial, network, {**facts, "name": name})
        if target.exists():
            target.rename(old)
        try:
            partial.rename(target)
        except OSError:
            with contextlib.suppress(OSError):
                old.rename(target)
            raise
    except OSError as error:
        raise explain_os_error(error, target) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return target


def remove(name: str) -> Path:
    """Delete the user's model ``name`` and return where it lay. Models that come with the engine stay.

    Raises ModelError when the user has no such model, OutputError when it cannot be deleted.
    """
    from engine.models.bundle import list_models
    from engine.models.card import is_name

    own = user_models_folder()
    folder = own / name
    if not is_name(name) or not (folder / "card.json").is_file():
        listed = ", ".join(model.name for model in list_models([own])) or "none"
        raise ModelError(
            f"There is no model {name!r} of the user's own; there are: {listed} ({own}).",
            remedy="Only models that were registered can be removed.",
        )
    try:
        strange = sorted(path.name for path in folder.iterdir() if path.name not in _OWN)
        if strange:
            raise ModelError(
                f"{folder}: holds {strange[0]}, which is no part of a model.", remedy="Delete the folder by hand."
            )
        for file in ("card.json", *_OWN):  # the card first: without it the folder is no model
            (folder / file).unlink(missing_ok=True)
        folder.rmdir()
    except OSError as error:
        raise explain_os_error(error, folder) from error
    return folder
