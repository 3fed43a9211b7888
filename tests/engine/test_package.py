"""The zip for the plugin repository: the same bytes from the same files, and every rule of the repository."""

from __future__ import annotations

import io
import runpy
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
packaging = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "package_plugin")))
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")

NEEDED = (
    *("__init__.py", "metadata.txt", "LICENSE", "README.md", "requirements/engine.txt", "plugin/main.py"),
    *("engine/worker_main.py", "engine/cli/main.py", "engine/py.typed"),
)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def copy_of_checkout(folder: Path) -> Path:
    """A new repository with the tracked files of this one."""
    for path in packaging.tracked_files(ROOT):
        if packaging.ships(path):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target)
    git(folder.parent, "init", "-q", str(folder))
    git(folder, "add", "-A")
    return folder


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    return copy_of_checkout(tmp_path_factory.mktemp("checkout") / "copy")


@pytest.fixture(scope="module")
def built(copy) -> bytes:
    return packaging.package(copy)[1]


def rezipped(content: bytes, *, changed: dict[str, bytes | None] | None = None, modes: dict[str, int] | None = None):
    """The zip with some members (below samescene/) replaced, added, or, for None, left out."""
    changed = {f"samescene/{name}": value for name, value in (changed or {}).items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        members = {member.filename: old.read(member) for member in old.infolist()} | changed
        for name, value in members.items():
            if value is not None:
                member = zipfile.ZipInfo(name)
                member.external_attr = (modes or {}).get(name.removeprefix("samescene/"), stat.S_IFREG | 0o644) << 16
                new.writestr(member, value)
    return buffer.getvalue()


def test_two_checkouts_with_different_dirt_give_the_same_bytes(built, tmp_path):
    other = copy_of_checkout(tmp_path / "some where else")
    (other / "engine" / "__pycache__").mkdir()
    (other / "engine" / "__pycache__" / "jobs.cpython-311.pyc").write_bytes(b"\0")
    (other / "engine" / "scratch.py").write_text("eval('1')\n")
    (other / "plugin" / "notes.sh").write_text("#!/bin/sh\n")
    (other / "engine" / "jobs.py").chmod(0o755)
    (other / "metadata.txt").chmod(0o600)
    assert packaging.package(other)[1] == built


def test_a_changed_file_changes_the_zip(built, tmp_path):
    other = copy_of_checkout(tmp_path / "copy")
    with (other / "engine" / "jobs.py").open("a") as file:
        file.write("\n")
    assert packaging.package(other)[1] != built


def test_what_is_in_the_zip(built):
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        names = set(archive.namelist())
        assert archive.testzip() is None
        assert all(member.date_time == (1980, 1, 1, 0, 0, 0) for member in archive.infolist())
        assert all(member.external_attr >> 16 == stat.S_IFREG | 0o644 for member in archive.infolist())
        for needed in NEEDED:
            assert f"samescene/{needed}" in names, needed
        tops = {name.split("/")[1] for name in names}
        assert tops <= packaging.SHIPPED_FOLDERS | packaging.SHIPPED_FILES | {"requirements"}
        license_text = archive.read("samescene/LICENSE").decode()
    assert "GNU GENERAL PUBLIC LICENSE" in license_text and "END OF TERMS AND CONDITIONS" in license_text
    assert list(names) and packaging.faults(built) == []


def test_everything_that_the_code_needs_ships(built):
    """Every module and data file of the engine and the plugin in the checkout is in the zip."""
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        names = set(archive.namelist())
    tracked = packaging.tracked_files(ROOT)
    wanted = {path for path in tracked if path.startswith(("engine/", "plugin/", "resources/"))}
    assert wanted and {f"samescene/{path}" for path in wanted} <= names


def test_versions_agree(built):
    from engine.version import VERSION

    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        assert packaging.metadata(archive)["version"] == VERSION


@pytest.mark.parametrize(
    ("changed", "modes", "message"),
    [
        ({"LICENSE": None}, {}, "LICENSE is missing"),
        ({"__init__.py": None}, {}, "__init__.py is missing"),
        ({"metadata.txt": b"[nothing]\n"}, {}, "metadata.txt cannot be read"),
        ({"engine/jobs.pyc": b"\0"}, {}, "files of this kind"),
        ({"engine/__pycache__/jobs.py": b""}, {}, "caches"),
        ({".git/config": b""}, {}, "git's own"),
        ({"plugin/run.sh": b""}, {}, "files of this kind"),
        ({"engine/fast.so": b"\x7fELF"}, {}, "files of this kind"),
        ({"engine/tool.exe": b"MZ"}, {}, "files of this kind"),
        ({"engine/tests/test_x.py": b""}, {}, "tests do not ship"),
        ({}, {"engine/jobs.py": stat.S_IFREG | 0o755}, "engine/jobs.py: has the run bit"),
        ({}, {"engine/jobs.py": stat.S_IFLNK | 0o644}, "no regular file"),
        ({"engine/version.py": b'VERSION = "9.9.9"\n'}, {}, "engine/version.py 9.9.9"),
        ({"resources/big.json": b" " * 25_000_000}, {}, "25,000,000 are allowed"),
        ({"../evil.py": b""}, {}, "leaves the folder"),
    ],
)
def test_every_rule_is_checked(built, changed, modes, message):
    found = packaging.faults(rezipped(built, changed=changed, modes=modes))
    assert any(message in fault for fault in found), found


@pytest.mark.parametrize("key", packaging.REQUIRED_KEYS)
def test_every_required_key_is_checked(built, key):
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        text = archive.read("samescene/metadata.txt").decode()
    without = text.replace(f"\n{key}=", f"\nno_{key}=")
    assert without != text
    found = packaging.faults(rezipped(built, changed={"metadata.txt": without.encode()}))
    assert any(f"lacks {key}" in fault for fault in found), found


def test_the_name_must_not_say_plugin(built):
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        text = archive.read("samescene/metadata.txt").decode().replace("name=SameScene", "name=SameScene Plugin")
    found = packaging.faults(rezipped(built, changed={"metadata.txt": text.encode()}))
    assert any("must not say" in fault for fault in found), found


def test_a_second_top_folder_is_refused(built):
    buffer = io.BytesIO(built)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("other/__init__.py", b"")
    assert any("one top folder" in fault for fault in packaging.faults(buffer.getvalue()))


def test_a_folder_that_is_no_checkout_is_one_clear_line(tmp_path):
    with pytest.raises(packaging.PackageError, match="is no git checkout"):
        packaging.package(tmp_path)


def test_about_tells_of_dependencies_and_downloads(built):
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        about = packaging.metadata(archive)["about"].lower()
    for word in ("depend", "torch", "download", "python package index"):
        assert word in about, word
