"""The row of tabs and the page that they share."""

from __future__ import annotations

import pytest
from gui_support import spin
from qgis.core import QgsSettings
from qgis.PyQt.QtWidgets import QLabel, QWidget

from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.icons import icon
from plugin.gui.paged_tab import PagedTab
from plugin.gui.tabs import DockTabs

pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")


def test_a_page_is_made_when_it_is_first_shown(iface):
    made = []

    def maker(name):
        def make():
            made.append(name)
            return QLabel(name)

        return make

    tabs = DockTabs()
    for name in ("a", "b", "c"):
        tabs.add(name, icon("flood"), name.upper(), maker(name))
    assert made == []
    tabs.show()
    assert made == ["a"] and tabs.current == "a"
    tabs.show_tab("c")
    assert made == ["a", "c"] and tabs.current == "c"
    tabs.setCurrentIndex(1)
    tabs.show_tab("c")
    assert made == ["a", "c", "b"]
    assert [page.text() for page in tabs.made()] == ["a", "c", "b"]


def test_titles_give_way_to_icons_where_it_is_narrow_and_none_is_cut_off(iface):
    tabs = DockTabs()
    titles = ["Flood", "Land cover", "Train", "Accuracy", "Runs"]
    for title in titles:
        tabs.add(title, icon("flood"), title, QWidget)
    tabs.resize(320, 200)
    tabs.show()
    tabs.setCurrentIndex(1)
    assert [tabs.tabText(i) for i in range(5)] == ["", "Land cover", "", "", ""]
    assert [tabs.tabToolTip(i) for i in range(5)] == titles
    bar = tabs.tabBar()
    assert bar.tabRect(4).right() < 320, "every tab can be reached without arrows"
    assert bar.tabRect(1).width() >= bar.fontMetrics().horizontalAdvance("Land cover") + 16
    tabs.resize(900, 200)
    assert [tabs.tabText(i) for i in range(5)] == titles


def test_titles_do_not_keep_a_dock_from_being_narrow(iface):
    tabs = DockTabs()
    for title in ("Flood", "Land cover", "Locate", "Train", "Accuracy", "Runs"):
        tabs.add(title, icon("flood"), title, QWidget)
    assert [tabs.tabText(index) for index in range(6)][1] == "Land cover"
    assert tabs.minimumSizeHint().width() < tabs.tabBar().sizeHint().width() - 60


def test_the_dock_opens_at_the_tab_that_was_used_last(iface, registry, provider):
    dock = SameSceneDock(iface, registry, EngineSetup())
    dock.show_tab("runs")
    dock.shut_down()
    again = SameSceneDock(iface, registry, EngineSetup())
    assert again.tabs.current == "flood", "a list of runs is no beginning"
    again.shut_down()
    QgsSettings().setValue("samescene/dock/tab", "a tab of another release")
    third = SameSceneDock(iface, registry, EngineSetup())
    assert third.tabs.current == "flood"
    third.shut_down()


def test_a_page_of_a_tab_is_made_when_it_is_first_turned_to(iface):
    tab, made = PagedTab(), []
    for name in ("one", "two", "three"):
        tab.add_page(name, name, lambda name=name: made.append(name) or QLabel(name))
    assert made == ["one"] and tab.names == ("one", "two", "three") and tab.current == "one"
    assert tab.turn_to("three").text() == "three" and made == ["one", "three"]
    assert tab.turn_to("three") is tab.page("three") and made == ["one", "three"]
    assert [page.text() for page in tab.made()] == ["one", "three"]
    assert [page.text() for page in tab.made("two", "three")] == ["three"]
    tab.show()
    assert tab.page("three").isVisible() and not tab.page("one").isVisible()


def test_a_first_look_at_a_tab_makes_one_page(iface, registry, provider):
    dock = SameSceneDock(iface, registry, EngineSetup())
    for name in ("landcover", "locate", "train", "accuracy"):
        tab = dock.show_tab(name)
        assert len(tab.made()) == 1, name
        for page in tab.names:
            tab.turn_to(page)
        assert len(tab.made()) == len(tab.names) and len(set(map(id, tab.made()))) == len(tab.names)
    dock.shut_down()


def test_a_switch_of_many_pages_takes_two_rows_where_it_is_narrow(iface):
    tab = PagedTab()
    for name in ("Photos", "Region", "Search", "Answer", "Learn", "Test"):
        tab.add_page(name, name, QWidget)
    buttons = [tab._switch.button(number) for number in range(6)]

    def rows():
        return len({button.y() for button in buttons})

    widest = max(button.sizeHint().width() for button in buttons)
    tab.resize(6 * widest + 40, 300)
    tab.show()
    assert rows() == 1
    tab.resize(4 * widest, 300)
    spin(lambda: rows() == 2)
    assert rows() == 2 and all(button.width() >= button.sizeHint().width() for button in buttons)
    assert tab.minimumSizeHint().width() < 4 * widest
    turned = []
    tab.turned.connect(turned.append)
    buttons[4].click()
    assert turned == ["Learn"] and tab.current == "Learn" and buttons[4].isChecked() and not buttons[0].isChecked()
    tab.resize(6 * widest + 40, 300)
    spin(lambda: rows() == 1)
    assert rows() == 1 and tab.names[0] == "Photos"
