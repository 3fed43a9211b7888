"""The sheet that one-page reports share: a base template, its look, and numbers drawn as marks on a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.mapping.report import wording
from engine.mapping.report.page import map_template, write_page

MOST_INPUTS = 30
"""Inputs that a page names; ``result.json`` names all."""


def write_sheet(path: Path, template: Path, values: dict[str, Any]) -> None:
    """Fill ``template``, which extends ``sheet.html``, and write it at ``path``; raises OutputError."""
    write_page(path, map_template(template).render(**values))


def page_facts(result: dict[str, Any], *, kind: str, title: str) -> dict[str, Any]:
    """What ``sheet.html`` says of the ``result`` (the content of ``result.json``) itself: ``page``."""
    inputs = [
        {
            "name": name.replace("_", " "),
            "path": str(facts.get("path") or "unknown"),
            "sha256": wording.digest_text(facts["sha256"]) if facts.get("sha256") else "",
        }
        for name, facts in (result.get("inputs") or {}).items()
    ]
    return {
        "kind": kind,
        "title": title,
        "version": result.get("engine_version") or "unknown",
        "warnings": list(result.get("warnings") or []),
        "command": result.get("command") or "unknown",
        "inputs": inputs[:MOST_INPUTS],
        "more_inputs": max(0, len(inputs) - MOST_INPUTS),
        "seconds": wording.seconds_text(result.get("seconds")),
    }
