"""The drawings and figures of a study, from cells that are made up."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import svg
from engine.metrics.calibration import PercentCalibration
from engine.training.report.reliability import Reliability, reliability_svg
from engine.training.requests import FinetuneRequest
from engine.training.study.chart import efficiency_svg
from engine.training.study.measures import find_measure
from engine.training.study.report import study_report_html
from engine.training.study.summary import cell_figures, summarise

METHODS = ["random", "a<b>&c", "third"]
WATER = find_measure(FinetuneRequest(out=""))
SCORES = WATER.scores


def cell(method="random", mode="frozen", fraction=0.1, seed=0, *, wet=True, n=6):
    generator = np.random.default_rng([seed, METHODS.index(method), round(1000 * fraction)])
    counts = generator.integers(1, 90, (n, 4))
    if not wet:
        counts[:, [0, 1, 2]] = 0
    counts[-1] = 0  # a chip without a scored pixel
    table = np.zeros((2, 101), int)
    table[0, 10], table[1, 90] = 30, 20
    return {
        "method": method, "mode": mode, "fraction": fraction, "seed": seed, "squares": 10, "events": 2, "steps": 5,
        "items": [f"chip {i}" for i in range(n)], "counts": counts.tolist(), "reliability": table.tolist(),
        "temperature": 1.2, "training_seconds": 1.0, "validation_iou": {"value": None}, "seconds": 2.0, "warnings": [],
    }  # fmt: skip


def cells(fractions=(0.01, 0.1, 1.0), seeds=(0, 1), **keywords):
    return [
        cell(method, mode, fraction, seed, **keywords)
        for method in METHODS for mode in ("frozen", "finetuned") for fraction in fractions for seed in seeds
    ]  # fmt: skip


def lines_of(found, fractions=(0.01, 0.1, 1.0)):
    return summarise(
        found, scores=SCORES, methods=METHODS, modes=("frozen", "finetuned"), fractions=fractions, baseline="random"
    )


def chart(lines, fractions=(0.01, 0.1, 1.0), score="iou"):
    return efficiency_svg(
        lines, score=score, title="IoU", modes=("frozen", "finetuned"), fractions=fractions, methods=METHODS,
        baseline="random",
    )  # fmt: skip


def inside(drawing: str) -> list[str]:
    """The texts, after every coordinate was found to lie on the canvas."""
    root = ElementTree.fromstring(drawing)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert "nan" not in drawing.lower().replace("finance", "")
    for node in root.iter():
        for name, limit in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height), ("y1", height)):
            if name in node.attrib:
                assert 0 <= float(node.attrib[name]) <= limit, (node.tag, node.attrib)
        for x, y in re.findall(r"([-\d.]+),([-\d.]+)", node.attrib.get("points", "")):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
    return [node.text for node in root.iter() if node.tag.endswith("text")]


@pytest.mark.parametrize("score", list(SCORES))
def test_the_plot_has_a_line_a_method_in_each_panel(score):
    drawing = chart(lines_of(cells()), score=score)
    texts = inside(drawing)
    assert set(METHODS) <= set(texts)
    assert [texts.count(f"{p} %") for p in (1, 10, 100)] == [2, 2, 2]
    assert drawing.count("<polygon") >= 6, "a band over seeds for each line"


@pytest.mark.parametrize("fractions", [(0.5,), (0.01, 0.011, 0.012, 1.0)])
def test_plots_of_one_share_or_of_shares_that_are_close(fractions):
    texts = inside(chart(lines_of(cells(fractions), fractions), fractions))
    assert "100 %" in texts or "50 %" in texts


def test_a_study_without_water_has_no_plot_and_no_figures_but_a_page():
    found = cells(wet=False)
    lines = lines_of(found)
    assert chart(lines) is None
    assert all(line["iou"]["value"] is None and line["iou"]["n"] == 5 for line in lines)
    assert lines[-1]["differences"]["iou"]["value"] is None


def study_of(found, lines):
    return {
        "engine_version": "0", "summary": lines, "score": "iou", "methods": dict.fromkeys(METHODS),
        "baseline": "random",
        "modes": ["frozen", "finetuned"], "fractions": [0.01, 0.1, 1.0], "seeds": [0, 1], "cells": found,
        "test": {"left_out": [{"name": "x", "why": "<x>: is broken."}] * 40, "scored": 5, "with_water": 5},
        "warnings": ["<b>"], "parameters": {"data": ("a", "b"), "width": None},
    }  # fmt: skip


@pytest.mark.parametrize("wet", [True, False])
def test_the_page_escapes_what_it_is_told(wet):
    found = cells(wet=wet)
    html = study_report_html(
        study_of(found, lines_of(found)), found, WATER, command="engine", device="cpu", seconds=3.0
    )
    assert "a&lt;b&gt;&amp;c" in html
    assert "a<b>" not in html
    assert "<li>&lt;b&gt;</li>" in html
    assert "and 10 more" in html
    assert ("No score is defined" in html) == (not wet)


def test_figures_of_a_cell_leave_out_chips_without_pixels():
    found = cell_figures(cell(), SCORES)
    counts = np.array(cell()["counts"], float)[:-1]
    tp, fp, fn, _ = counts.sum(axis=0)
    assert found["iou"]["value"] == pytest.approx(tp / (tp + fp + fn))
    assert found["iou"]["n"] == 5
    each = counts[:, 0] / counts[:, :3].sum(axis=1)
    wet = (counts[:, 0] + counts[:, 2]) >= 0.01 * counts.sum(axis=1)
    assert found["mean_iou"]["value"] == pytest.approx(each[wet].mean())
    assert found["ece"] == pytest.approx(0.1)
    assert not {"items", "counts", "reliability"} & found.keys()


def test_differences_are_over_the_seeds_that_both_have():
    found = [c for c in cells(seeds=(0, 1, 2)) if not (c["method"] == "random" and c["seed"] == 1)]
    line = next(one for one in lines_of(found) if one["method"] == "third")
    assert line["seeds"] == [0, 1, 2]
    assert line["differences"]["iou"]["seeds"] == 2
    own, other = (
        {
            c["seed"]: cell_figures(c, SCORES)["iou"]["value"]
            for c in found
            if (c["method"], c["mode"], c["fraction"]) == key
        }
        for key in (("third", "frozen", 0.01), ("random", "frozen", 0.01))
    )
    assert line["differences"]["iou"]["value"] == pytest.approx(np.mean([own[s] - other[s] for s in (0, 2)]))
    assert line["iou"]["lowest_seed"] == min(own.values())
    each = [own[s] - other[s] for s in (0, 2)]
    found = line["differences"]["iou"]
    assert (found["lowest_seed"], found["highest_seed"]) == pytest.approx((min(each), max(each)))


@pytest.mark.parametrize(("low", "lowest", "colour"), [(0.01, 0.02, True), (-0.01, 0.02, False), (0.01, -0.02, False)])
def test_a_difference_is_in_colour_where_chips_and_seeds_agree(low, lowest, colour):
    found = cells()
    lines = lines_of(found)
    for line in lines:
        if line["differences"]:
            line["differences"]["iou"] |= {
                "value": 0.04, "low": low, "high": 0.05, "lowest_seed": lowest, "highest_seed": 0.06,
            }  # fmt: skip
    html = study_report_html(study_of(found, lines), found, WATER, command="engine", device="cpu", seconds=3.0)
    assert html.count('class="difference better"') == (12 if colour else 0)
    assert 'class="difference worse"' not in html


def test_reliability_of_one_line_has_bars_and_of_none_no_drawing():
    pixels = PercentCalibration.of(np.array([5, 20, 100], np.uint8), np.array([False, False, True]))
    alone = reliability_svg([("t", [Reliability("one", pixels)])])
    two = reliability_svg([("t", [Reliability("one", pixels), Reliability("two", pixels)])] * 2)
    assert "pixels by probability" in inside(alone)
    assert inside(two).count("ECE 0.083") == 4
    assert reliability_svg([("t", [Reliability("one", PercentCalibration())])]) is None


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(2, 9))
def test_ticks_are_few_and_hold_the_values(a, b, most):
    low, high = sorted((a, b))
    ticks = svg.round_ticks(low, high, most)
    assert 1 <= len(ticks) <= max(most, 2)
    assert ticks[0] <= low + 1e-6
    assert ticks[-1] >= high - 1e-6
    assert ticks == sorted(ticks)
