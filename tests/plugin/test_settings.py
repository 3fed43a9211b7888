"""Where the engine is looked for, in which order, and what is said when it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from qgis.core import QgsNetworkAccessManager, QgsSettings
from qgis.PyQt.QtCore import QProcessEnvironment, QSettings
from qgis.PyQt.QtNetwork import QNetworkProxy

from plugin.engine_client.environment import engine_environment, is_dropped, scrubbed_path
from plugin.engine_client.failure import EngineFailure
from plugin.engine_client.leftovers import remove_staging_folders
from plugin.engine_client.locate import CHECKOUT, MANAGED, SETTING, VARIABLE_ORIGIN, find_engine
from plugin.engine_client.managed import remove_environment, write_marker
from plugin.engine_client.protocol import LineBuffer, parse_event
from plugin.engine_client.proxy import proxy_variables, variables_of
from plugin.engine_client.settings import EngineSettings, environment_python, lock_key, plugin_root


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


@pytest.fixture
def settings(tmp_path, qgis_app, monkeypatch):
    monkeypatch.delenv("SAMESCENE_ENGINE_PYTHON", raising=False)
    root = tmp_path / "root"
    touch(root / "engine" / "worker_main.py")
    touch(root / "requirements" / "engine.txt")
    store = QgsSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    settings = EngineSettings(store, root=root)
    settings.environments_folder = tmp_path / "environments"
    return settings


def test_the_order_is_setting_variable_managed_checkout(settings, tmp_path, monkeypatch):
    with pytest.raises(EngineFailure, match=r"not set up yet.*Set up engine") as caught:
        find_engine(settings)
    assert caught.value.kind == "no-engine"
    own = touch(environment_python(settings.root / ".venv-engine"))
    assert (find_engine(settings).origin, find_engine(settings).python) == (CHECKOUT, own)
    managed = touch(environment_python(settings.managed_environment))
    assert find_engine(settings).origin == CHECKOUT, "an environment without its marker counts as nothing"
    write_marker(settings.managed_environment, {})
    assert (find_engine(settings).origin, find_engine(settings).python) == (MANAGED, managed)
    named = touch(tmp_path / "named")
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", str(named))
    assert (find_engine(settings).origin, find_engine(settings).python) == (VARIABLE_ORIGIN, named)
    chosen = touch(tmp_path / "chosen")
    settings.engine_python = f" {chosen} "
    location = find_engine(settings)
    assert (location.origin, location.python) == (SETTING, chosen)
    assert location.worker_arguments[:4] == ["-I", "-u", "-X", "utf8"]
    assert Path(location.worker_arguments[4]) == settings.root / "engine" / "worker_main.py"


def test_a_choice_that_is_not_there_is_never_passed_over(settings, monkeypatch):
    touch(environment_python(settings.root / ".venv-engine"))
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", "/nowhere/named")
    with pytest.raises(EngineFailure, match=r"variable SAMESCENE_ENGINE_PYTHON.*/nowhere/named"):
        find_engine(settings)
    settings.engine_python = "/nowhere/chosen"
    with pytest.raises(EngineFailure, match="/nowhere/chosen"):
        find_engine(settings)


def test_a_venv_python_is_not_followed_to_its_base(settings, tmp_path):
    base = touch(tmp_path / "base")
    link = tmp_path / "venv-python"
    link.symlink_to(base)
    settings.engine_python = str(link)
    assert find_engine(settings).python == link


def test_a_plugin_without_engine_source_says_so(settings):
    (settings.root / "engine" / "worker_main.py").unlink()
    with pytest.raises(EngineFailure, match="source is missing"):
        find_engine(settings)


def test_settings_are_read_back(settings, tmp_path):
    settings.wheels_folder = " /wheels "
    settings.base_python = "/usr/bin/python3"
    again = EngineSettings(QgsSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat), root=settings.root)
    settings._store.sync()
    assert again.wheels_folder == "/wheels" and again.base_python == "/usr/bin/python3"
    settings._store.remove("samescene/environments_folder")
    folder = settings.environments_folder
    assert folder.name == "SameScene" and plugin_root() not in folder.parents


def test_the_environment_follows_the_lock_and_not_its_line_ends(tmp_path):
    lock = tmp_path / "engine.txt"
    assert lock_key(lock) == "none"
    lock.write_bytes(b"a==1\nb==2\n")
    key = lock_key(lock)
    lock.write_bytes(b"a==1\r\nb==2\r\n")
    assert lock_key(lock) == key
    lock.write_bytes(b"a==1\nb==3\n")
    assert lock_key(lock) != key


def test_only_environments_are_ever_removed(tmp_path):
    precious = touch(tmp_path / "documents" / "thesis.doc")
    with pytest.raises(EngineFailure, match="not an engine environment"):
        remove_environment(precious.parent)
    assert precious.exists()
    remove_environment(tmp_path / "absent")


def test_staging_folders_of_other_processes_stay(tmp_path):
    for name in (
        ".out.partial-12-aa",
        ".out.partial-123-aa",
        ".out2.partial-12-aa",
        ".o*.partial-12-b",
        ".out.partial-12-file",
    ):
        touch(tmp_path / name / "x") if not name.endswith("file") else touch(tmp_path / name)
    assert [p.name for p in remove_staging_folders(str(tmp_path / "out"), [12, 0, -1])] == [".out.partial-12-aa"]
    assert [p.name for p in remove_staging_folders(str(tmp_path / "o*"), [12])] == [".o*.partial-12-b"]
    assert len(list(tmp_path.iterdir())) == 3


def test_lines_are_joined_over_any_split():
    data = "eins\r\nzwei 水\n\ndrei".encode()
    for size in range(1, len(data) + 1):
        buffer = LineBuffer()
        lines = [line for start in range(0, len(data), size) for line in buffer.feed(data[start : start + size])]
        assert [*lines, buffer.flush()] == ["eins", "zwei 水", "", "drei"]
    with pytest.raises(ValueError, match="without a line break"):
        LineBuffer(limit=10).feed(b"x" * 11)


@pytest.mark.parametrize(
    "line", ["", "x", "5", "null", "[]", '{"event": 1}', '{"other": "x"}', '{"event": "a"', "[" * 100_000]
)
def test_what_is_no_event_is_none(line):
    assert parse_event(line) is None


def test_what_belongs_to_qgis_is_dropped_and_the_rest_stays():
    dropped = """PYTHONHOME PYTHONPATH pythonexecutable __PYVENV_LAUNCHER__ VIRTUAL_ENV CONDA_PREFIX
    CONDA_DEFAULT_ENV PROJ_LIB
    PROJ_DATA GDAL_DATA GDAL_DRIVER_PATH GDAL_PAM_PROXY_DIR OGR_SKIP LD_LIBRARY_PATH LD_PRELOAD DYLD_LIBRARY_PATH
    DYLD_INSERT_LIBRARIES QT_PLUGIN_PATH QT_QPA_PLATFORM QML2_IMPORT_PATH QML_IMPORT_PATH OSGEO4W_ROOT GISBASE
    GRASS_PROJSHARE"""
    assert all(is_dropped(name) for name in dropped.split())
    kept = (
        "PATH",
        "HOME",
        "LANG",
        "TMPDIR",
        "HTTPS_PROXY",
        "SystemRoot",
        "APPDATA",
        "CUDA_VISIBLE_DEVICES",
        "PIP_INDEX_URL",
    )
    assert not any(is_dropped(name) for name in kept)
    base = QProcessEnvironment()
    base.insert("PATH", r"C:\Windows;C:\QGIS\bin;C:\QGIS\apps\qgis\bin;C:\QGIS-other\bin")
    base.insert("OSGEO4W_ROOT", "c:\\qgis\\")
    made = engine_environment({"HTTPS_PROXY": "http://p"}, base=base, windows=True)
    assert made.value("PATH") == r"C:\Windows;C:\QGIS-other\bin"
    assert made.value("HTTPS_PROXY") == "http://p" and not made.contains("OSGEO4W_ROOT")
    assert scrubbed_path("/a:/b", ["", "/b"], separator=":") == "/a"


def test_a_proxy_becomes_variables():
    proxy = QNetworkProxy(QNetworkProxy.ProxyType.HttpProxy, "proxy.example", 3128, "me@x", "p:w")
    variables = variables_of(proxy, ["https://intra.example/x", "localhost", ""])
    assert variables["HTTPS_PROXY"] == variables["https_proxy"] == "http://me%40x:p%3Aw@proxy.example:3128"
    assert variables["NO_PROXY"] == "intra.example,localhost"
    socks = variables_of(QNetworkProxy(QNetworkProxy.ProxyType.Socks5Proxy, "s", 1080), [])
    assert socks["HTTP_PROXY"] == "socks5h://s:1080" and "NO_PROXY" not in socks
    assert variables_of(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy), []) == {}


def test_the_proxy_of_the_options_is_read(qgis_app):
    store = QgsSettings()
    keys = {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.example", "proxyPort": "8080"}
    before = {key: store.value(f"proxy/{key}") for key in keys}
    assert proxy_variables() == {}
    try:
        for key, value in keys.items():
            store.setValue(f"proxy/{key}", value)
        QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
        assert proxy_variables()["HTTPS_PROXY"] == "http://proxy.example:8080"
    finally:
        for key, value in before.items():
            store.setValue(f"proxy/{key}", value) if value is not None else store.remove(f"proxy/{key}")
        QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
