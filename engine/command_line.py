"""The ``engine`` command that does what a request says, for provenance and for copying."""

from __future__ import annotations

import shlex

from pydantic import BaseModel


def command_line(words: str, request: BaseModel, *, positional: tuple[str, ...]) -> str:
    """``engine WORDS POSITIONAL… --option value … -o OUT``, quoted for a POSIX shell.

    Fields at their default are left out; ``out`` becomes ``-o``; a true flag stands alone; lists repeat the option, or
    stand one after another where they are positional.
    """
    parts = ["engine", *words.split()]
    for name in positional:
        value = getattr(request, name)
        parts += [str(item) for item in (value if isinstance(value, (list, tuple)) else (value,))]
    for name, info in type(request).model_fields.items():
        value = getattr(request, name)
        if name in positional or name == "out" or value == info.default:
            continue
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            parts.append(option if value else f"--no-{option.removeprefix('--')}")
        else:
            for item in value if isinstance(value, (list, tuple)) else [value]:
                parts += [option, str(getattr(item, "value", item))]
    out = getattr(request, "out", None)
    if out is not None:
        parts += ["-o", str(out)]
    return shlex.join(parts)
