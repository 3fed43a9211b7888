"""engine doctor: what it finds, also where something is broken; and answers in a polluted environment."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from engine import doctor
from engine.doctor import BASE, EXTRAS, KNOWN_DEGREES, KNOWN_UTM, Check, DoctorRequest, run
from engine.environment import drop_foreign_variables, dropped_variables
from engine.events import Reporter

tomllib = pytest.importorskip("tomllib")

ROOT = Path(__file__).resolve().parents[2]
JUNK = {
    "PROJ_LIB": "/nowhere/proj",
    "PROJ_DATA": "/nowhere/proj",
    "GDAL_DATA": "/nowhere/gdal",
    "GDAL_DRIVER_PATH": "/nowhere/plugins",
    "OGR_DRIVER_PATH": "/nowhere/plugins",
    "GDAL_PAM_PROXY_DIR": "/nowhere/pam",
    "GDAL_SKIP": "GTiff",
    "CPL_DEBUG": "ON",
    "GDAL_CONFIG_FILE": "/nowhere/gdalrc",
}


def by_name(result) -> dict[str, dict]:
    return {check["name"]: check for check in result["checks"]}


def transverse_mercator(lon: float, lat: float, central: float) -> tuple[float, float]:
    """UTM easting and northing by Krüger's series in n to the fourth order (GRS80/WGS84), good to micrometres."""
    a, f, k0 = 6378137.0, 1 / 298.257223563, 0.9996
    n = f / (2 - f)
    radius = a / (1 + n) * (1 + n**2 / 4 + n**4 / 64)
    alpha = (
        n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16 + 41 * n**4 / 180,
        13 * n**2 / 48 - 3 * n**3 / 5 + 557 * n**4 / 1440,
        61 * n**3 / 240 - 103 * n**4 / 140,
        49561 * n**4 / 161280,
    )
    phi, lam = math.radians(lat), math.radians(lon - central)
    c = 2 * math.sqrt(n) / (1 + n)
    t = math.sinh(math.atanh(math.sin(phi)) - c * math.atanh(c * math.sin(phi)))
    xi, eta = math.atan2(t, math.cos(lam)), math.atanh(math.sin(lam) / math.hypot(1, t))
    east = eta + sum(b * math.cos(2 * j * xi) * math.sinh(2 * j * eta) for j, b in enumerate(alpha, 1))
    north = xi + sum(b * math.sin(2 * j * xi) * math.cosh(2 * j * eta) for j, b in enumerate(alpha, 1))
    return 500_000 + k0 * radius * east, k0 * radius * north


def test_the_known_point_is_known_apart_from_proj():
    assert transverse_mercator(*KNOWN_DEGREES, 15.0) == pytest.approx(KNOWN_UTM, abs=1e-4)


def test_floors_are_those_of_the_project_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def floors(lines):
        return dict(re.match(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", line).groups() for line in lines)

    assert floors(project["dependencies"]) == BASE
    for extra, wanted in EXTRAS.items():
        declared = floors(project["optional-dependencies"][extra])
        assert declared.items() <= wanted.items()


def test_a_sound_installation_has_no_problem():
    result = run(DoctorRequest(), Reporter())
    assert [c for c in result["checks"] if c["status"] == "problem"] == []
    assert result["ok"] is True
    assert by_name(result)["PROJ of rasterio"]["status"] == "ok"
    for check in result["checks"]:
        assert check["found"]
        assert (check["status"] == "ok") == (check["remedy"] == ""), check


def test_a_package_that_is_absent_too_old_or_broken_is_a_problem_with_its_remedy(monkeypatch, tmp_path):
    (tmp_path / "broken_package.py").write_text("raise OSError('libfoo.so: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(doctor, "BASE", {"numpy": "99.1", "no-such-package": "1.0", "broken_package": "1"})
    checks = {c.name: c for c in doctor.package_checks()}
    assert {c.status for c in checks.values()} == {"problem"}
    assert "older than 99.1" in checks["numpy"].found
    assert checks["no-such-package"].found == "not installed"
    assert "libfoo.so" in checks["broken_package"].found
    assert all(c.remedy for c in checks.values())


def test_a_point_that_lands_elsewhere_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor, "_by_pyproj", lambda: (KNOWN_UTM[0] + 120.0, KNOWN_UTM[1]))
    wrong = {c.name: c for c in doctor.geo_checks()}["PROJ of pyproj"]
    assert wrong.status == "problem"
    assert "120.000 m" in wrong.found


def test_a_check_that_fails_itself_is_a_problem_and_the_others_go_on(monkeypatch):
    def broken():
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(doctor, "device_checks", broken)
    result = run(DoctorRequest(), Reporter())
    assert not result["ok"]
    assert "libcudart" in by_name(result)["Device"]["found"]
    assert "temporary folder: space" in by_name(result)


def test_a_folder_without_permission_or_space_is_told(monkeypatch, tmp_path):
    usage = type("Usage", (), {"free": 10 * 1024 * 1024})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    checks = {c.name: c for c in doctor.disk_checks(str(tmp_path / "not" / "yet"))}
    assert checks["result folder: space"].status == "problem"
    assert checks["result folder: writing"].status == "ok"
    monkeypatch.undo()
    refused = {c.name: c for c in doctor.disk_checks("/proc/self/results")}["result folder: writing"]
    assert (refused.status, bool(refused.remedy)) == ("problem", True)


def test_releases_compare_as_numbers():
    assert doctor._release("2.13.0+cpu") == (2, 13, 0)
    assert doctor._release("1.10") > doctor._release("1.9.3")
    assert doctor._release("2.0rc1")[:1] == (2,)


def test_foreign_variables_are_dropped_and_own_ones_kept():
    own = str(Path(sys.prefix) / "share" / "proj")
    environ = {"PROJ_LIB": "/elsewhere/proj", "PROJ_DATA": own, "CPL_DEBUG": "ON", "HOME": "/home/x"}
    assert drop_foreign_variables(environ) == {"PROJ_LIB": "/elsewhere/proj", "CPL_DEBUG": "ON"}
    assert dropped_variables(environ) == {"PROJ_LIB": "/elsewhere/proj", "CPL_DEBUG": "ON"}
    assert environ["PROJ_DATA"] == own
    assert environ["HOME"] == "/home/x"
    assert "PROJ_LIB" not in environ


def engine(*arguments, **variables):
    environ = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-m", "engine", *arguments], capture_output=True, text=True, env=environ, timeout=120
    )


def test_a_polluted_environment_gives_right_answers_and_is_named():
    done = engine("doctor", "--json", **JUNK)
    assert (done.returncode, done.stderr) == (0, "")
    checks = by_name(json.loads(done.stdout))
    assert checks["PROJ of rasterio"]["status"] == checks["PROJ of pyproj"]["status"] == "ok"
    for name, value in JUNK.items():
        assert checks[name]["status"] == "note"
        assert value in checks[name]["found"]


def test_a_worker_in_a_polluted_environment_gives_right_answers():
    worker = subprocess.Popen(
        [sys.executable, "-I", str(ROOT / "engine" / "worker_main.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **JUNK},
    )
    worker.stdin.write(b'{"id": 1, "job": "doctor", "params": {}}\n')
    worker.stdin.flush()
    while (event := json.loads(worker.stdout.readline()))["event"] not in ("result", "error"):
        pass
    worker.stdin.close()
    worker.wait(10)
    worker.stdout.close()
    assert event["event"] == "result"
    assert event["result"]["ok"], [c for c in event["result"]["checks"] if c["status"] == "problem"]


def test_text_and_exit_code_of_a_fault(tmp_path):
    sound = engine("doctor")
    assert sound.returncode == 0
    assert "Nothing is broken." in sound.stdout
    fault = engine("doctor", "--folder", "/proc/self/results")
    assert fault.returncode == 1
    assert fault.stderr.count("\n") == 1
    assert "result folder: writing" in fault.stderr
    assert "PROBLEM" in fault.stdout


def test_checks_are_values():
    assert Check(area="a", name="b", found="c") == Check(area="a", name="b", found="c", status="ok", remedy="")
