"""The built zip, installed from a plugin repository into a fresh profile of a real QGIS window, used, and taken off."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from driver import ROOT, Desktop, installations, wait_until_gone

ALGORITHMS = [
    f"samescene:{name}"
    for name in (
        "accuracy",
        "flood",
        "landcover",
        "landcover_change",
        "landcover_legend",
        "locate_evaluate",
        "locate_index",
        "locate_learn",
        "locate_search",
        "photo_place",
        "photos",
        "sample_points",
        "train_landcover",
    )
]
FIELDS = "description about version tracker repository homepage"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The zip, built as for a release."""
    folder = tmp_path_factory.mktemp("package")
    command = [sys.executable, str(ROOT / "scripts" / "package_plugin"), "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def engine_python() -> str:
    python = os.environ.get("SAMESCENE_ENGINE_PYTHON") or str(ROOT / ".venv-engine" / "bin" / "python")
    if not Path(python).is_file():
        pytest.skip("there is no engine: run scripts/setup_engine")
    return python


@pytest.fixture(scope="module")
def scene(tmp_path_factory, engine_python) -> Path:
    """A small simulated flood."""
    folder = tmp_path_factory.mktemp("simulated") / "scene"
    command = [engine_python, "-m", "engine", "simulate", "scene", "--seed", "2", "--size", "512"]
    done = subprocess.run([*command, "--products", "s1", "-o", str(folder)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def repository(package, tmp_path):
    """The address of plugins.xml on this machine, which offers the zip as the plugin repository would."""
    folder = tmp_path / "repository"
    folder.mkdir()
    # The plugin repository names files so; QGIS takes what stands before the first dot for the plugin's folder.
    zipped = folder / package.name.replace("-", ".", 1)
    zipped.write_bytes(package.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    address = f"http://127.0.0.1:{server.server_address[1]}"
    (folder / "plugins.xml").write_text(listing(zipped, address), encoding="utf-8")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"{address}/plugins.xml"
    server.shutdown()
    server.server_close()


def listing(package: Path, address: str) -> str:
    """plugins.xml with the one plugin, from the zip's own metadata."""
    with zipfile.ZipFile(package) as archive:
        text = archive.read("samescene/metadata.txt").decode()
    keys = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith(" "))
    rows = "".join(f"<{name}>{escape(keys[name])}</{name}>" for name in FIELDS.split())
    return (
        '<?xml version="1.0" encoding="UTF-8"?><plugins>'
        f'<pyqgis_plugin name="{escape(keys["name"])}" version="{keys["version"]}" plugin_id="1">{rows}'
        f"<qgis_minimum_version>{keys['qgisMinimumVersion']}</qgis_minimum_version>"
        f"<qgis_maximum_version>{keys['qgisMaximumVersion']}</qgis_maximum_version>"
        f"<file_name>{package.name}</file_name><icon>/icon.svg</icon>"
        f"<author_name>{escape(keys['author'])}</author_name>"
        f"<download_url>{address}/{package.name}</download_url><uploaded_by>tests</uploaded_by>"
        f"<experimental>{keys.get('experimental', 'False')}</experimental><deprecated>False</deprecated>"
        "<trusted>True</trusted><server>False</server></pyqgis_plugin></plugins>"
    )


@pytest.mark.parametrize("qgis", installations(), ids=str)
def test_install_use_and_uninstall(qgis, tmp_path, repository, scene, engine_python):
    desktop = Desktop(qgis, tmp_path / "desk top")
    out = tmp_path / "ré sult" / "flood"
    answer = desktop.run(
        "install_from_repository.py",
        arguments={
            "repository": repository,
            "engine_python": engine_python,
            "scenes": {"after": str(scene / "after_S1.tif"), "before": str(scene / "before_S1.tif")},
            "out": str(out),
        },
        # No engine of this account may help out: the first look must be that of a new user.
        environment={"SAMESCENE_ENGINE_PYTHON": "", "XDG_DATA_HOME": str(tmp_path / "data")},
        timeout=280,
    )

    nothing = {"toolbar": 0, "actions": [], "menu": [], "docks": [], "provider": False, "algorithms": []}
    nothing |= {"folder": False, "loaded": False}
    assert answer["before"] == nothing | {"modules": []}

    assert answer["offered"] == {"name": "SameScene", "error": "", "zip_repository": "SameScene test"}
    assert Path(answer["downloads"]) == desktop.temporary, "another window may download the same file to the same name"
    installed = answer["installed"]
    assert installed["provider"] and installed["loaded"] and installed["folder"]
    assert sorted(installed["algorithms"]) == ALGORITHMS
    assert installed["toolbar"] == 1 and len(installed["menu"]) == 1
    assert installed["docks"] == [], "the dock is made when it is asked for"
    assert Path(answer["installed_from"]) == desktop.plugins / "samescene"
    assert answer["enabled"] and answer["button"]

    assert answer["without_engine"]["banner"] and not answer["without_engine"]["run"]
    assert "not set up" in answer["without_engine"]["text"]
    assert not answer["banner_with_engine"]

    assert answer["run"]["state"] == "done", answer["run"]
    worker = desktop.plugins / "samescene" / "engine" / "worker_main.py"
    assert answer["workers"] == [str(worker)], "the engine's source is the installed one"
    for name in ("flood.tif", "water_probability.tif", "flood.gpkg", "report.html", "result.json"):
        assert (out / name).is_file(), name
    assert sorted(path.name for path in out.parent.iterdir()) == ["flood"]
    assert len(answer["layers"]) >= 4 and len(answer["groups"]) >= 1

    assert {key: answer["after"][key] for key in nothing} == nothing
    assert not answer["still_enabled"]
    assert not (desktop.plugins / "samescene").exists()
    assert wait_until_gone(str(desktop.plugins)) == []
    for picture in ("installed-without-engine", "ready-to-run", "flood-mapped", "uninstalled"):
        assert (desktop.pictures / f"{picture}.png").stat().st_size > 20_000
