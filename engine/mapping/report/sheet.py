"""The sheet that one-page reports share: a base template, its look, and numbers drawn as marks on a line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.mapping.report import wording
from engine.mapping.report.page import write_page

if TYPE_CHECKING:
    from jinja2 import Template


def sheet_template(path: Path) -> Template:
    """The template in ``path``; it extends ``sheet.html``. Texts are escaped, an unknown name is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([path.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name)


def write_sheet(path: Path, template: Path, values: dict[str, Any]) -> None:
    """Fill ``template`` and write it as one HTML file at ``path``; raises OutputError."""
    write_page(path, sheet_template(template).render(**values))


def page_facts(result: dict[str, Any], *, kind: str, title: str) -> dict[str, Any]:
    """What ``sheet.html`` says of the ``result`` (the content of ``result.json``) itself: ``page``."""
    inputs = [
        {
            "name": name.replace("_", " "),
            "path": str(facts.get("path") or "unknown"),
            "sha256": wording.digest_text(facts.get("sha256")),
        }
        for name, facts in (result.get("inputs") or {}).items()
    ]
    return {
        "kind": kind,
        "title": title,
        "version": result.get("engine_version") or "unknown",
        "warnings": list(result.get("warnings") or []),
        "command": result.get("command") or "unknown",
        "inputs": inputs,
        "seconds": wording.seconds_text(result.get("seconds")),
    }
