"""Reports of maps: templates that are escaped and strict about names, with one look (``look.css``)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.mapping.report import wording
from engine.mapping.report.pictures import probability_colors
from engine.outputs import explain_os_error
from engine.pages import page_template

if TYPE_CHECKING:
    from jinja2 import Template

_FOLDER = Path(__file__).parent


def map_template(path: Path) -> Template:
    """The template in ``path``; it may include and extend the templates of this folder, ``look.css`` among them."""
    return page_template(path, _FOLDER)


def write_page(path: Path, html: str) -> None:
    """Write a page; raises OutputError when the file cannot be written."""
    try:
        Path(path).write_text(html, encoding="utf-8")
    except OSError as error:
        raise explain_os_error(error, path) from error


def file_name(path: str) -> str:
    """The last part of a path of either system or of an address."""
    return path.split("?")[0].replace("\\", "/").rstrip("/").rpartition("/")[2] or path


def is_simulated(result: dict[str, Any]) -> bool:
    """Does ``result.json`` say that an input was simulated?"""
    inputs = result.get("inputs") or {}
    return bool(result.get("simulated")) or any(
        isinstance(facts, dict) and facts.get("simulated") for facts in inputs.values()
    )


def observed_text(iso: str | None) -> str:
    """``Observed at …`` with what is known of the time."""
    observed = wording.time_text(iso)
    if observed and len(observed) == 10:
        observed += " (time of day unknown)"
    return f"Observed at {observed}" if observed else "Acquisition time unknown"


def figure(key: str, values: dict[str, Any]) -> dict[str, Any]:
    """A figure to show: key and exact value as in ``result.json``, and its text."""
    return {"key": key, "value": values.get(key), "text": wording.area_text(values.get(key))}


def making(result: dict[str, Any], *, scenes: tuple[str, ...]) -> dict[str, Any]:
    """How a result was made: command, inputs, parameters without those that name ``scenes``, model, time."""
    inputs = []
    for name, facts in (result.get("inputs") or {}).items():
        facts = facts if isinstance(facts, dict) else {"path": facts}
        notes = [
            f"unit {facts['unit']} ({facts.get('unit_reason') or 'no reason recorded'})" if facts.get("unit") else "",
            f"CRS {facts['crs']}" if facts.get("crs") else "",
            " x ".join(str(n) for n in reversed(facts["shape"])) + " pixels" if facts.get("shape") else "",
        ]
        inputs.append(
            {
                "name": name.replace("_", " "),
                "path": str(facts.get("path") or "unknown"),
                "sha256": wording.digest_text(facts.get("sha256")),
                "notes": "; ".join(note for note in notes if note),
            }
        )
    parameters = [
        {"name": name.replace("_", " "), "value": wording.value_text(value)}
        for name, value in (result.get("parameters") or {}).items()
        if value is not None and name not in (*(result.get("inputs") or {}), *scenes, "out", "overwrite")
    ]
    model = result.get("model") or None
    return {
        "command": result.get("command") or "unknown",
        "inputs": inputs,
        "parameters": parameters,
        "model": f"{model.get('name')} ({wording.digest_text(model.get('sha256'))})" if model else "none",
        "version": result.get("engine_version") or "unknown",
        "seconds": wording.seconds_text(result.get("seconds")),
        "device": result.get("device") or "unknown",
    }


def probability_scale() -> str:
    """The colours of the probability map as a CSS gradient."""
    stops = probability_colors()[::20]
    return "linear-gradient(90deg, " + ", ".join(hex_color(stop) for stop in stops) + ")"


def hex_color(color: Any) -> str:
    """``#rrggbb``."""
    return "#" + "".join(f"{int(c):02x}" for c in color[:3])


def uri(picture: bytes) -> str:
    """A PNG as a data address."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
