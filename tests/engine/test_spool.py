"""Rows on disk between passes: what was written in any order comes back, what was not is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.mapping.scene.spool import RowSpool
from engine.raster.grid import Window


def test_rows_and_parts_of_rows_come_back_in_any_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (30, 17)).astype(np.uint8)
    with RowSpool(17, tmp_path) as spool:
        for window in (Window(20, 0, 10, 17), Window(0, 5, 20, 12), Window(0, 0, 20, 5), Window(4, 0, 0, 17)):
            at = window.within(Window(0, 0, 30, 17))
            spool.write(window, values[at])
        np.testing.assert_array_equal(spool.read(Window(0, 0, 30, 17)), values)
        spool.write(Window(3, 2, 4, 6), values[:4, :6])
        values[3:7, 2:8] = values[:4, :6].copy()
        np.testing.assert_array_equal(spool.read(Window(2, 0, 9, 17)), values[2:11])
        assert spool.read(Window(5, 0, 0, 17)).shape == (0, 17)
        with pytest.raises(ValueError, match=r"Rows 28\.\.33 were not written"):
            spool.read(Window(28, 0, 5, 17))
