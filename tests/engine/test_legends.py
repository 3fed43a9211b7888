"""Legends: what ships is complete and consistent, mappings lead where they say, faults are one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.errors import ParameterError
from engine.legends import NOT_OBSERVED, UNKNOWN, find_legend, list_legends, lookup_table


def test_what_ships():
    assert set(list_legends()) == {"worldcover", "dfc2020", "dynamic-world", "esri-lulc", "igbp"}
    worldcover = find_legend("worldcover")
    assert worldcover.codes == (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)
    assert worldcover.colors[10] == (0, 100, 0, 255)
    assert worldcover.names[UNKNOWN] == "unknown"


@pytest.mark.parametrize("name", sorted(list_legends()))
def test_every_mapping_is_whole_and_stays_in_its_legend(name):
    legend = find_legend(name)
    assert legend.name == name
    assert all(one.definition for one in legend.classes)
    assert name == "worldcover" or "worldcover" in legend.to
    for other in legend.to:
        mapping = legend.mapping_to(find_legend(other))
        assert set(legend.codes) <= set(mapping)
    assert legend.mapping_to(legend) == {code: code for code in legend.codes}


@pytest.mark.parametrize("name", ["dfc2020", "dynamic-world", "esri-lulc"])
def test_there_and_back_keeps_the_classes_that_have_a_partner(name):
    other, worldcover = find_legend(name), find_legend("worldcover")
    there, back = other.mapping_to(worldcover), worldcover.mapping_to(other)
    changed = {code for code in other.codes if back[there[code]] != code}
    assert changed == ({3} if name == "dfc2020" else set())  # WorldCover has no savanna


def test_the_table_keeps_not_observed_and_makes_the_unnamed_unknown():
    table = lookup_table({10: 1, 80: 10})
    codes = np.array([[10, 80, 20, 0, 255]], np.uint8)
    assert table[codes].tolist() == [[1, 10, UNKNOWN, UNKNOWN, NOT_OBSERVED]]


def test_a_legend_of_ones_own(tmp_path):
    path = tmp_path / "own.json"
    path.write_text(
        json.dumps({"name": "own", "title": "Own", "classes": [{"code": 7, "name": "x", "color": "#010203"}]})
    )
    assert find_legend(str(path)).colors[7] == (1, 2, 3, 255)
    with pytest.raises(ParameterError, match="no mapping from the legend own to worldcover"):
        find_legend(str(path)).mapping_to(find_legend("worldcover"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "not a legend: name"),
        ("[", "not a legend"),
        ('{"name":"a","title":"b","classes":[{"code":300,"name":"x","color":"#000000"}]}', "classes.0.code"),
        (
            '{"name":"a","title":"b","classes":[{"code":3,"name":"x","color":"#000000"},'
            '{"code":3,"name":"y","color":"#000000"}]}',
            "more than once",
        ),
    ],
)
def test_a_faulty_legend_is_one_line_that_names_the_file(tmp_path, text, words):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ParameterError, match=words) as caught:
        find_legend(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ParameterError, match="worldcover"):
        find_legend("corine")


def test_legends_of_an_installed_package_are_found(tmp_path, monkeypatch):
    """``pip install .`` without the checkout has no resources folder beside the engine."""
    import shutil
    import sys

    from engine import legends

    shipped = legends.list_legends()
    shutil.copytree(next(iter(shipped.values())).parent, tmp_path / "share" / "samescene" / "legends")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    folders = [folder for folder in legends.legend_folders() if tmp_path in folder.parents]
    monkeypatch.setattr(legends, "legend_folders", lambda: folders)
    assert set(legends.list_legends()) == set(shipped)
    assert legends.find_legend("worldcover").codes[0] == 10
