"""The lock of the managed environment: complete, with hashes, for every Python and system; and it is what is tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

packaging = pytest.importorskip("packaging.requirements")
tomllib = pytest.importorskip("tomllib", reason="Python 3.11 or later reads pyproject.toml")
ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
SYSTEMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix"},
    "windows": {"sys_platform": "win32", "platform_system": "Windows", "platform_machine": "AMD64", "os_name": "nt"},
    "mac": {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64", "os_name": "posix"},
}


def pins(name: str) -> list:
    """The requirements of a lock file with the number of hashes of each."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            requirement, *hashes = re.split(r"\s+--hash=", line)
            found.append((packaging.Requirement(requirement), hashes))
    return found


def environment(python: str, system: str) -> dict[str, str]:
    return {
        **SYSTEMS[system],
        "python_version": python,
        "python_full_version": f"{python}.7",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def chosen(name: str, python: str, system: str) -> dict[str, str]:
    """The versions that pip would take there: one for each package."""
    result: dict[str, str] = {}
    for requirement, _ in pins(name):
        if requirement.marker is None or requirement.marker.evaluate(environment(python, system)):
            assert requirement.name not in result, f"{requirement.name} is pinned twice"
            (pin,) = requirement.specifier
            assert pin.operator == "=="
            result[requirement.name] = pin.version
    return result


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_pin_of_the_managed_environment_has_sha256_hashes():
    lock = pins("engine.txt")
    assert len(lock) > 40
    for requirement, hashes in lock:
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), requirement.name


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_satisfies_what_the_project_declares(python, system):
    versions = chosen("engine.txt", python, system)
    declared = [*project()["dependencies"], *project()["optional-dependencies"]["terrain"]]
    for text in declared:
        requirement = packaging.Requirement(text)
        assert requirement.name in versions, f"{requirement.name} is not locked: run scripts/lock_requirements"
        assert requirement.specifier.contains(versions[requirement.name]), text


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_what_is_tested_is_what_is_installed_for_users(python, system):
    tested = chosen("engine-ci.txt", python, system)
    managed = chosen("engine.txt", python, system)
    assert {name: tested.get(name) for name in managed} == managed


def test_rasterio_follows_the_python():
    assert chosen("engine.txt", "3.11", "linux")["rasterio"].startswith("1.4.")
    assert chosen("engine.txt", "3.12", "linux")["rasterio"].startswith("1.5.")


@pytest.mark.parametrize("extra", ["dask", "terrain", "export", "tensorboard", "test", "lint"])
def test_every_extra_is_constrained(extra):
    versions = chosen("engine-ci.txt", "3.11", "linux")
    for text in project()["optional-dependencies"][extra]:
        requirement = packaging.Requirement(text)
        assert requirement.name in versions, f"{requirement.name}: run scripts/lock_requirements"
        assert requirement.specifier.contains(versions[requirement.name])


def test_this_environment_has_the_locked_versions():
    """What pip resolved here, beside what is written; one package of another version makes every figure doubtful."""
    import platform
    import sys
    from importlib import metadata

    here = {"linux": "linux", "win32": "windows", "darwin": "mac"}[sys.platform]
    locked = chosen("engine.txt", ".".join(platform.python_version_tuple()[:2]), here)
    wrong = {}
    for name, version in locked.items():
        try:
            found = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue  # a CPU build of torch comes without the CUDA packages
        if found != version:
            wrong[name] = (found, version)
    assert wrong == {}


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").iterdir()), ids=lambda path: path.name)
def test_no_index_is_written_into_requirements(path):
    """The user's own index, proxy or folder of wheels must stay in force."""
    text = path.read_text(encoding="utf-8")
    assert "://" not in text and "--index" not in text and "--find-links" not in text
