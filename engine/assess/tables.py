"""The figures of an assessment as CSV files that a spreadsheet opens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.mapping.report.tables import write_csv


def write_tables(folder: Path, figures: dict[str, Any]) -> dict[str, str]:
    """Write ``matrix.csv`` (points), ``matrix_area.csv`` (shares of the area, if any), ``accuracy.csv``, ``area.csv``.

    Returns output name → file name. Empty cells are what cannot be told. Raises OutputError.
    """
    matrix = figures["matrix"]
    heads = [
        f"{code} {name}" if code >= 0 else name for code, name in zip(matrix["codes"], matrix["names"], strict=True)
    ]
    names = {"matrix": "matrix.csv", "accuracy": "accuracy.csv", "area": "area.csv"}
    _write_cross(folder / "matrix.csv", heads, matrix["counts"])
    if matrix["proportions"] is not None:
        names["matrix_area"] = "matrix_area.csv"
        _write_cross(folder / "matrix_area.csv", heads, matrix["proportions"])
    rows = [_row("overall accuracy", "", "", figures["overall_accuracy"])]
    for key, title in (
        ("users_accuracy", "user's accuracy"),
        ("producers_accuracy", "producer's accuracy"),
        ("f1", "F1"),
    ):
        rows += [_row(title, one["code"], one["name"], one[key]) for one in figures["classes"]]
    write_csv(
        folder / "accuracy.csv",
        ("measure", "code", "name", "value", "standard_error", "low_95", "high_95", "points", "note"),
        rows,
    )
    areas = []
    for one in figures["classes"]:
        area = one["area_m2"] or {}
        areas.append(
            [one["code"], one["name"], one["mapped_m2"]]
            + [area.get(key) for key in ("value", "se", "low", "high")]
            + [area.get("why", "no probability sample" if not area else "")]
        )
    write_csv(
        folder / "area.csv",
        ("code", "name", "mapped_m2", "adjusted_m2", "standard_error_m2", "low_95_m2", "high_95_m2", "note"),
        areas,
    )
    return names


def _row(measure: str, code: Any, name: str, found: dict[str, Any]) -> list[Any]:
    return [measure, code, name, *(found[key] for key in ("value", "se", "low", "high", "n")), found.get("why", "")]


def _write_cross(path: Path, heads: Sequence[str], cells: Sequence[Sequence[float]]) -> None:
    columns = [sum(row[k] for row in cells) for k in range(len(heads))]
    rows = [[head, *row, sum(row)] for head, row in zip(heads, cells, strict=True)]
    write_csv(path, ("map \\ reference", *heads, "total"), [*rows, ["total", *columns, sum(columns)]])
