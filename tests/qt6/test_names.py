"""Every name of Qt that the plugin writes exists in Qt 6: scoped enums, moved classes, nothing that was removed."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([ROOT / "__init__.py", *(ROOT / "plugin").rglob("*.py")])
REMOVED = {"exec_", "print_", "globalPos", "globalX", "globalY", "setMargin", "fromTime_t", "toTime_t"}


def unknown_names(source: str) -> list[str]:
    """``LINE: NAME`` of each name that starts at an import of qgis.PyQt and leads nowhere, and of removed methods."""
    tree = ast.parse(source)
    known, found = {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt"):
            module = import_module(node.module)
            for alias in node.names:
                if hasattr(module, alias.name):
                    known[alias.asname or alias.name] = getattr(module, alias.name)
                else:
                    found.append(f"{node.lineno}: {node.module}.{alias.name}")
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"{node.lineno}: {name}" for name in names if name.startswith(("PyQt5", "PyQt6", "sip"))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if node.attr in REMOVED:
                found.append(f"{node.lineno}: .{node.attr}")
            parts, root = [node.attr], node.value
            while isinstance(root, ast.Attribute):
                parts.append(root.attr)
                root = root.value
            if isinstance(root, ast.Name) and root.id in known:
                value = known[root.id]
                for part in reversed(parts):
                    if not hasattr(value, part):
                        found.append(f"{node.lineno}: {root.id}.{'.'.join(reversed(parts))}")
                        break
                    value = getattr(value, part)
    return sorted(set(found))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_of_qt_exists_in_qt6(path):
    assert unknown_names(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from qgis.PyQt.QtCore import Qt\nx = Qt.AlignLeft\n",
        "from qgis.PyQt.QtCore import Qt\nx = Qt.AlignmentFlag.AlignNowhere\n",
        "from qgis.PyQt.QtCore import QRegExp\n",
        "from PyQt5.QtCore import Qt\n",
        "import PyQt6.QtCore\n",
        "from qgis.PyQt.QtCore import QVariant\nx = QVariant.Int\n",
        "dialog.exec_()\n",
    ],
)
def test_names_of_qt5_are_found(source):
    assert len(unknown_names(source)) == 1


def test_names_of_both_pass():
    source = (
        "from qgis.PyQt.QtCore import QProcess, Qt\nfrom qgis.PyQt.QtWidgets import QAction as A\n"
        "x = Qt.AlignmentFlag.AlignLeft | QProcess.ExitStatus.NormalExit\nA.triggered\nother.Anything\n"
    )
    assert unknown_names(source) == []
