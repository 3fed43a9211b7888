"""What an index would take, in words: from the answer of the job ``locate-plan``."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QCoreApplication

from ..runs_list import duration


def size_text(size: float) -> str:
    """Bytes for people: ``"5.0 MB"``, ``"840 kB"``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit in ("B", "kB") or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return ""


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """What is known of the plan, the most telling first; unknown figures are left out."""
    lines = []
    cells = plan.get("cells")
    if cells is not None:
        cell = plan.get("cell_m")
        each = _tr(" of {:g} m").format(cell) if cell else ""
        lines.append(_tr("{:,} cells{}").format(int(cells), each))
    if plan.get("bytes") is not None:
        lines.append(_tr("{} on the disk").format(size_text(float(plan["bytes"]))))
    if plan.get("tiles"):
        lines.append(_tr("{:,} tiles to fetch").format(int(plan["tiles"])))
    if plan.get("seconds") is not None:
        lines.append(_tr("about {}").format(duration(max(1.0, float(plan["seconds"])))))
    return lines


def plan_sentence(plan: dict[str, Any]) -> str:
    """The figures of a plan as one sentence, with the resolution of the imagery where it is known."""
    text = ", ".join(plan_lines(plan))
    text = f"{text}." if text else ""
    gsd = plan.get("gsd_m")
    if gsd:
        text += " " + _tr("Imagery of {} m a pixel: fine enough.").format(f"{float(gsd):.2g}")
    return text.strip()


def _tr(text: str) -> str:
    return QCoreApplication.translate("SameScene", text)
