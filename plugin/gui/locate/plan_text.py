"""What an index would take, in words: from the answer of the job ``locate-plan``."""

from __future__ import annotations

import re
from typing import Any

from qgis.PyQt.QtCore import QCoreApplication

from ..runs_list import duration

_UNIT = re.compile(r"(?<=\d) (?=(?:k?m|km²|[kMG]?B|h|min|s)(?:\W|$))")


def size_text(size: float) -> str:
    """Bytes for people: ``"5.0 MB"``, ``"840 kB"``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit in ("B", "kB") or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return ""


def plan_problem(plan: dict[str, Any]) -> str:
    """Why the index could not be made, in one line; the empty string where nothing is in the way."""
    for problem in plan.get("problems") or ():
        return " ".join(filter(None, (str(problem.get("message") or ""), str(problem.get("remedy") or ""))))
    return ""


def plan_sentence(plan: dict[str, Any]) -> str:
    """The figures of a plan and the resolution of the imagery; figures that are not known are left out. No line is
    broken between a number and its unit."""
    return _UNIT.sub("\u00a0", " ".join(filter(None, (_figures(plan), _resolution(plan)))))


def _figures(plan: dict[str, Any]) -> str:
    cells, new = plan.get("cells"), plan.get("new_cells")
    if cells is None:
        return ""
    about = "" if plan.get("counted", True) else _tr("about ")
    if new is not None and new < cells:
        parts = [_tr("{}{:,} of {:,} cells are new").format(about, int(new), int(cells))]
    else:
        parts = [_tr("{}{:,} cells of {:g} m").format(about, int(cells), float(plan.get("cell_m") or 0))]
    if plan.get("area_m2"):
        parts.append(_tr("{} km²").format(_short(float(plan["area_m2"]) / 1e6)))
    if plan.get("bytes"):
        parts.append(_tr("{} on the disk").format(size_text(float(plan["bytes"]))))
    if plan.get("tiles"):
        parts.append(_tr("{:,} map tiles").format(int(plan["tiles"])))
    if plan.get("seconds") is not None:
        parts.append(_tr("about {}").format(duration(max(1.0, float(plan["seconds"])))))
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _resolution(plan: dict[str, Any]) -> str:
    gsd, finest = plan.get("gsd_m"), plan.get("finest_m")
    if not gsd:
        return ""
    if finest and gsd > 1.05 * finest:
        return _tr("Imagery of {} m a pixel will do; the method makes use of pixels down to {} m.").format(
            _short(gsd), _short(finest)
        )
    return _tr("Imagery of {} m a pixel: fine enough.").format(_short(gsd))


def _short(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def _tr(text: str) -> str:
    return QCoreApplication.translate("SameScene", text)
