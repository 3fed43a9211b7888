"""Pages of the dock are made late, and their modules are read before they are asked for."""

from __future__ import annotations

import sys

import pytest
import qgis.utils
from gui_support import spin
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QLabel

from plugin.gui.late_pages import LatePages
from plugin.gui.read_ahead import ReadAhead, modules_of

pytestmark = pytest.mark.usefixtures("qgis_app")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of three modules, of which one is a package itself."""
    home = tmp_path / "made_for_reading"
    (home / "deeper").mkdir(parents=True)
    for name in ("__init__", "first", "second", "deeper/__init__"):
        (home / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield home.name
    for name in [name for name in sys.modules if name.startswith(home.name)]:
        del sys.modules[name]


def test_one_module_is_read_in_a_turn(faults_in_slots, package):
    names = [f"{package}.first", f"{package}.second"]
    assert modules_of(package) == names
    reading = ReadAhead((package,))
    assert not [name for name in names if name in sys.modules], "read while the window is being made"
    seen = []
    watch = QTimer()
    watch.timeout.connect(lambda: seen.append(sum(name in sys.modules for name in names)))
    watch.start(0)
    spin(lambda: reading.done)
    assert set(names) <= set(sys.modules)
    assert 1 in seen, "both were read in one turn"


def test_nothing_is_read_after_the_plugin_has_gone(faults_in_slots, package):
    reading = ReadAhead((package,))
    reading.stop()
    spin(lambda: False, 0.05)
    assert not reading.done and f"{package}.first" not in sys.modules


def test_qgis_notes_what_is_read_and_can_forget_it(faults_in_slots, package, monkeypatch):
    monkeypatch.setattr(qgis.utils, "available_plugins", [package])
    monkeypatch.setattr(qgis.utils, "_plugin_modules", {})
    reading = ReadAhead((package,))
    spin(lambda: reading.done)
    assert qgis.utils._plugin_modules[package] >= {package, f"{package}.first", f"{package}.second"}


def test_a_module_that_cannot_be_read_does_not_hold_up_the_others(package, tmp_path, monkeypatch):
    (tmp_path / package / "first.py").write_text("raise ValueError('first')")
    told = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: told.append(str(error)))
    reading = ReadAhead((package,))
    spin(lambda: reading.done)
    assert told == ["first"]
    assert f"{package}.second" in sys.modules


def test_a_page_is_made_once_and_shown_in_the_next_turn(faults_in_slots):
    pages, made = LatePages(), []

    def make():
        made.append(QLabel("page"))
        return made[-1]

    holder = pages.add("one", make)
    holder.resize(200, 100)
    holder.show()
    assert pages.names == ("one",) and not pages.made()
    page = pages.page("one")
    assert page is pages.page("one") and made == [page] and pages.made() == [page] and pages.made("other") == []
    assert page.parent() is holder and not page.isVisible()
    spin(lambda: page.isVisible() and page.size() == holder.size())
    assert page.isVisible() and page.size() == holder.size()
    holder.close()


def test_a_holder_may_go_before_its_page_is_shown(faults_in_slots):
    pages = LatePages()
    holder = pages.add("one", QLabel)
    pages.page("one")
    sip.delete(holder)
    spin(lambda: False, 0.05)  # faults_in_slots would see a page that is placed in what is gone
