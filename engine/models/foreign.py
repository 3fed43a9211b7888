"""Foreign weight files: torch's and safetensors' as plain tensors by name, never as code.

This is the one place that opens torch's own format, which is a pickle: torch's restricted reader builds tensors and
plain containers and refuses everything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from engine.errors import MissingFileError, ModelError

_DEEPEST = 8


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors in the file, by their dotted names (``state_dict.module.conv1.weight``); what is no tensor is left.

    The format is told by the content, not by the name. Raises MissingFileError, and ModelError with one line for
    files that need code to load, are damaged, are of another format or hold no tensor.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: {'it is a folder' if path.is_dir() else 'there is no such file'}.")
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if head[8:9] == b"{":
        tensors = _safetensors(path)
    elif head[:2] == b"PK" or head[:1] == b"\x80":
        tensors = _torch(path)
    else:
        raise ModelError(
            f"{path}: neither a safetensors file nor one that torch has saved.",
            remedy="Give the file of weights (.safetensors, .pth or .pt).",
        )
    if not tensors:
        raise ModelError(f"{path}: holds no tensor by name.", remedy="Give a state dict.")
    return tensors


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _torch(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:  # given the path, torch goes by its suffix
            content = torch.load(file, map_location="cpu", weights_only=True)  # nosec B614 - code is refused
    except Exception as error:  # the reader's own errors are of many kinds, and all mean the same to the user
        needed = re.search(r"GLOBAL (\S+)", str(error)) or re.search(
            r"[Uu]nsupported (?:operand|class) (\S+)", str(error)
        )
        if needed or "TorchScript" in str(error):
            what = needed[1] if needed else "a TorchScript program"
            raise ModelError(
                f"{path}: loading it would run code ({what}), which is refused.",
                remedy="Ask its publisher for the weights alone, best as .safetensors.",
            ) from error
        raise _damaged(path, error) from error
    found: dict[str, Tensor] = {}
    _flatten(content, "", found, _DEEPEST)
    return found


def _flatten(content: object, name: str, found: dict[str, Tensor], depth: int) -> None:
    if isinstance(content, Tensor):
        found[name] = content.detach()
    elif isinstance(content, Mapping) and depth:
        for key, value in content.items():
            _flatten(value, f"{name}.{key}" if name else str(key), found, depth - 1)


def _damaged(path: Path, error: Exception) -> ModelError:
    why = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
    return ModelError(
        f"{path}: the weights cannot be read: damaged or cut short ({why}).", remedy="Get the file again."
    )
