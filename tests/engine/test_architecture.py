"""The house plan: who may import whom, and what never stands in code that ships."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine"
PLUGIN = ROOT / "plugin"
PLUGIN_FILES = [ROOT / "__init__.py", *sorted(PLUGIN.rglob("*.py"))] if PLUGIN.is_dir() else []
ENGINE_FILES = sorted(ENGINE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The file's syntax tree; six tests look at each file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imports_of(path: Path) -> list[tuple[int, str]]:
    """(line, module) of every import in the file, those inside functions too; ``from a import b`` gives ``a.b`` too."""
    tree = tree_of(path)
    package = path.relative_to(ROOT).parts[:-1]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            found.append((node.lineno, ".".join(base)))
            found += [(node.lineno, ".".join([*base, alias.name])) for alias in node.names]
    # Texts such as "engine.mapping.flood.job:run" are imports that wait.
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            match = re.fullmatch(r"(engine(?:\.\w+)+):\w+", node.value)
            if match:
                found.append((node.lineno, match[1]))
    return found


def floors() -> dict[str, int]:
    """Module or package → floor, as the table of docs/architecture.md has it."""
    table: dict[str, int] = {}
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for floor, rooms in re.findall(r"^\| (\d) \| ([^|]+) \|", text, re.MULTILINE):
        for room in re.findall(r"`(engine/[\w/.]+)`", rooms):
            table[room.removesuffix(".py").rstrip("/").replace("/", ".")] = int(floor)
    return table


FLOORS = floors()


def floor_of(module: str) -> tuple[int, str] | None:
    """(floor, room) of the most exact room that holds the module."""
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        room = ".".join(parts[:length])
        if room in FLOORS:
            return FLOORS[room], room
    return None


def test_the_table_is_read():
    assert FLOORS["engine.cli"] == 7
    assert FLOORS["engine.errors"] == 1
    assert len(FLOORS) >= 15


@pytest.mark.parametrize("path", ENGINE_FILES, ids=[str(p.relative_to(ROOT)) for p in ENGINE_FILES])
def test_every_room_imports_only_from_below(path):
    module = module_of(path)
    if module in ("engine", "engine.__main__"):
        return
    here = floor_of(module)
    assert here is not None, f"{module} stands in no row of the table in docs/architecture.md"
    for line, imported in imports_of(path):
        if not imported.startswith("engine."):
            continue
        there = floor_of(imported)
        if there is None or there[1] == here[1]:
            continue  # engine itself, or the same room
        # The table of jobs is what the floors above look things up in: it names functions of every floor.
        above = there[0] > here[0] or (there[0] == here[0] and not beside(here, there))
        assert not above, f"{module}:{line} (floor {here[0]}) imports {imported} (floor {there[0]})"


def beside(here: tuple[int, str], there: tuple[int, str]) -> bool:
    """Rooms on one floor may meet only where the floor is one team: the ground floors, and worker with its table."""
    return here[0] in (1, 2, 6)


@pytest.mark.parametrize("path", ENGINE_FILES, ids=[str(p.relative_to(ROOT)) for p in ENGINE_FILES])
def test_the_engine_never_imports_qgis_or_the_plugin(path):
    for line, imported in imports_of(path):
        top = imported.partition(".")[0]
        assert top not in {"qgis", "PyQt5", "PyQt6", "PySide6", "plugin", "samescene", "processing", "osgeo"}, (
            f"{path}:{line} imports {imported}"
        )


STANDARD = __import__("sys").stdlib_module_names


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=[str(p.relative_to(ROOT)) for p in PLUGIN_FILES])
def test_the_plugin_imports_qgis_the_standard_library_and_numpy_alone(path):
    tree = tree_of(path)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            # QGIS's own "processing" module belongs to it.
            assert top in {"qgis", "numpy", "processing", "pyplugin_installer"} or top in STANDARD, (
                f"{path.relative_to(ROOT)}:{node.lineno} imports {name}"
            )
            assert not name.startswith(("PyQt", "engine")), name


FORBIDDEN_MODULES = {"subprocess", "pickle", "random", "marshal", "shelve", "cPickle", "dill", "telnetlib", "ftplib"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "breakpoint", "print", "input"}


def catches_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or getattr(handler.type, "id", "") in ("Exception", "BaseException")


SHIPPED = [*ENGINE_FILES, *PLUGIN_FILES]


@pytest.mark.parametrize("path", SHIPPED, ids=[str(p.relative_to(ROOT)) for p in SHIPPED])
def test_nothing_forbidden_ships(path):
    text, tree = path.read_text(encoding="utf-8"), tree_of(path)
    faults = []
    for _, imported in imports_of(path):
        if imported.partition(".")[0] in FORBIDDEN_MODULES:
            faults.append(f"imports {imported}")
        if imported.startswith("xml.") or imported == "xml":
            faults.append(f"imports {imported}: entities of foreign XML are expanded")
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Assert):
            faults.append(f"{line}: assert, which -O removes")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            faults.append(f"{line}: calls {node.func.id}()")
        if (
            isinstance(node, ast.ExceptHandler)
            and catches_all(node)
            and all(isinstance(n, ast.Pass) for n in node.body)
        ):
            faults.append(f"{line}: swallows an error")
        if isinstance(node, ast.Global):
            faults.append(f"{line}: global state")
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.match(r"/(tmp|var|home|work)\b", node.value)
        ):
            faults.append(f"{line}: a path of one machine")
    words = ("TODO", "FIXME", "XXX", "HACK")
    faults += [f"says {word}" for word in words if re.search(rf"\b{word}\b", text)]
    assert not faults, f"{path.relative_to(ROOT)}: {faults}"


@pytest.mark.parametrize("path", ENGINE_FILES, ids=[str(p.relative_to(ROOT)) for p in ENGINE_FILES])
def test_modules_are_small_and_say_what_they_are(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 420, "split it: one noun a module"
    if text.strip():
        assert ast.get_docstring(tree_of(path)), "has no docstring"


@pytest.mark.parametrize("path", ENGINE_FILES, ids=[str(p.relative_to(ROOT)) for p in ENGINE_FILES])
def test_public_functions_have_docstrings(path):
    tree = tree_of(path)
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else []
        for item in [node, *inside]:
            if isinstance(item, (ast.FunctionDef, ast.ClassDef)) and not item.name.startswith("_"):
                overrides = isinstance(node, ast.ClassDef) and node.bases and item is not node
                overloaded = any(
                    getattr(d, "attr", getattr(d, "id", "")) == "overload" for d in getattr(item, "decorator_list", ())
                )
                private = isinstance(node, ast.ClassDef) and node.name.startswith("_")
                assert ast.get_docstring(item) or overrides or overloaded or private, (
                    f"{item.name} at line {item.lineno}"
                )


def mutable_globals(tree: ast.Module) -> list[str]:
    """Names bound at module level to an empty list, dict or set: containers that something will be put into."""
    found = []
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        empty = (isinstance(value, (ast.List, ast.Set)) and not value.elts) or (
            isinstance(value, ast.Dict) and not value.keys
        )
        if empty or (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Name)
            and value.func.id in ("list", "dict", "set")
            and not value.args
        ):
            found += [t.id for t in targets if isinstance(t, ast.Name)]
    return found


@pytest.mark.parametrize("path", SHIPPED, ids=[str(p.relative_to(ROOT)) for p in SHIPPED])
def test_no_module_keeps_state(path):
    assert mutable_globals(tree_of(path)) == []


def test_the_rules_themselves_find_what_they_forbid():
    assert mutable_globals(ast.parse("a = []\nb: dict[str, int] = {}\nc = set()\nD = {'x': 1}")) == ["a", "b", "c"]
    assert floor_of("engine.mapping.flood.job") == (4, "engine.mapping")
    assert floor_of("engine.raster.read")[0] < floor_of("engine.mapping.inference")[0] < floor_of("engine.worker")[0]


def test_top_level_engine_is_light():
    assert {name for _, name in imports_of(ENGINE / "__init__.py")} == {"engine.version", "engine.version.VERSION"}
