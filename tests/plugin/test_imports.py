"""What the plugin may import, read from its source: qgis, the standard library, numpy, and itself by relative names."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "plugin").rglob("*.py")) + ([ROOT / "__init__.py"] if (ROOT / "__init__.py").exists() else [])
ALLOWED = {"qgis", "numpy"} | set(sys.stdlib_module_names)
FORBIDDEN_STDLIB = {
    "subprocess",
    "pickle",
    "random",
    "xml",
    "multiprocessing",
    "marshal",
    "shelve",
    "telnetlib",
    "ftplib",
}
# Modules that a Python older than these tests' has not: QGIS 3.22 brings 3.9 on Windows.
NEWER_THAN_39 = {"tomllib"}


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, 0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.level, node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_qgis_the_standard_library_numpy_and_itself(path):
    depth = len(path.relative_to(ROOT).parts) - 1
    for line, level, module in imports(path):
        where = f"{path.relative_to(ROOT)}:{line}: {module}"
        if level:
            limit = depth if path.parent != ROOT else 1
            assert level <= limit, f"{where}: reaches out of the plugin package"
            continue
        top = module.split(".")[0]
        assert top in ALLOWED, where
        assert top not in FORBIDDEN_STDLIB | NEWER_THAN_39, where
        assert not module.startswith(("PyQt5", "PyQt6", "sip")), where


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_syntax_is_that_of_python_39(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    futures = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"
               for alias in node.names}  # fmt: skip
    annotated = any(isinstance(n, (ast.AnnAssign, ast.arg)) and getattr(n, "annotation", None) for n in ast.walk(tree))
    assert "annotations" in futures or not annotated
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", "")
            assert not (name == "zip" and any(k.arg == "strict" for k in node.keywords)), (
                f"{path}:{node.lineno}: zip(strict)"
            )
            union = name == "isinstance" and len(node.args) == 2 and isinstance(node.args[1], ast.BinOp)
            assert not union, f"{path}:{node.lineno}: isinstance with X | Y"
            assert getattr(node.func, "attr", "") != "exec_", f"{path}:{node.lineno}: exec_ is gone in Qt 6"
            waits = (
                getattr(node.func, "attr", "") == "waitForFinished" and "engine_client" not in path.parts
            )  # QProcess
            assert not waits, f"{path}:{node.lineno}: a task is waited for by tasks.ended_within"
