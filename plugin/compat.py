"""Names that moved between QGIS 3.22 and 4: one place that knows both."""

from __future__ import annotations

from typing import Any

try:  # Qt 6
    from qgis.PyQt.QtGui import QAction
except ImportError:  # Qt 5
    from qgis.PyQt.QtWidgets import QAction

__all__ = ["QAction", "quiet_task", "scoped"]


def scoped(*candidates: tuple[Any, str]) -> Any:
    """The first ``(object, "Dotted.Name")`` that exists; raises AttributeError naming them when none does."""
    for owner, dotted in candidates:
        value = owner
        for part in dotted.split("."):
            value = getattr(value, part, None)
            if value is None:
                break
        if value is not None:
            return value
    raise AttributeError(" / ".join(name for _, name in candidates))


def quiet_task() -> Any:
    """Flags of a task that can be cancelled and whose end QGIS does not announce (from 3.26 on; before, it may)."""
    from qgis.core import QgsTask

    silent = getattr(QgsTask.Flag, "Silent", None)
    return QgsTask.Flag.CanCancel if silent is None else QgsTask.Flag.CanCancel | silent
