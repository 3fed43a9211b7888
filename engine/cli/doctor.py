"""``engine doctor``."""

from __future__ import annotations

from typing import Any

import click

from engine.cli.request_command import Layout, request_command
from engine.doctor import DoctorRequest
from engine.errors import EngineError
from engine.plainjson import dumps

LAYOUT = Layout(
    job="doctor",
    help="Report what is installed, what computes, what is wrong and how to mend it. Exit 1 if something is broken.",
    metavars={"folder": "FOLDER"},
    sections={"What to look at": ("folder",), "Form": ("json",)},
    examples="""
    engine doctor
    engine doctor --folder results --json
    """,
)

MARKS = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}


class UnsoundError(EngineError):
    """The installation has a fault."""

    kind = "unsound"


def summary(result: dict[str, Any]) -> list[str]:
    """The findings by area, each with its remedy below."""
    lines = [f"SameScene engine {result['engine_version']}"]
    area = None
    for check in result["checks"]:
        if check["area"] != area:
            area = check["area"]
            lines += ["", area]
        lines.append(f"  {MARKS[check['status']]}  {check['name']}: {check['found']}")
        if check["remedy"]:
            lines.append(f"           {check['remedy']}")
    problems = sum(check["status"] == "problem" for check in result["checks"])
    lines += ["", "Nothing is broken." if not problems else f"{problems} problem(s)."]
    return lines


def verdict(result: dict[str, Any]) -> EngineError | None:
    """An error that names the problems."""
    problems = [check for check in result["checks"] if check["status"] == "problem"]
    if not problems:
        return None
    named = "; ".join(f"{check['name']}: {check['found']}" for check in problems)
    return UnsoundError(f"The installation has a fault: {named}.", remedy=problems[0]["remedy"])


def lines(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """Text, or one JSON document with ``--json``."""
    return dumps(result, indent=2).splitlines() if options.get("json") else summary(result)


command = request_command(
    LAYOUT,
    DoctorRequest,
    summary=lines,
    verdict=verdict,
    extra=[click.Option(["--json"], is_flag=True, default=None, help="Write one JSON document instead of text.")],
    prepare=lambda given: {name: value for name, value in given.items() if name != "json"},
)
