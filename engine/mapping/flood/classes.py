"""Codes, names and colours of the flood outputs: the one place where they are written."""

from __future__ import annotations

DRY, REFERENCE_WATER, FLOOD, WATER, SET_ASIDE, NOT_OBSERVED = 0, 1, 2, 3, 254, 255

CLASS_NAMES = {
    DRY: "dry land",
    REFERENCE_WATER: "reference water",
    FLOOD: "flood",
    WATER: "water (no reference)",
    SET_ASIDE: "set aside",
    NOT_OBSERVED: "not observed",
}

CLASS_COLORS = {
    DRY: (245, 243, 238, 0),
    REFERENCE_WATER: (31, 78, 158, 255),
    FLOOD: (232, 89, 12, 255),
    WATER: (47, 164, 231, 255),
    SET_ASIDE: (158, 158, 158, 255),
    NOT_OBSERVED: (0, 0, 0, 0),
}

SHADOW, STEEP, HIGH, OUTSIDE = 1, 2, 3, 4

REASON_NAMES = {
    0: "not set aside",
    SHADOW: "radar shadow",
    STEEP: "steep slope",
    HIGH: "high above drainage",
    OUTSIDE: "outside the area of interest",
    NOT_OBSERVED: "not observed",
}

REASON_COLORS = {
    0: (0, 0, 0, 0),
    SHADOW: (74, 20, 140, 255),
    STEEP: (141, 110, 99, 255),
    HIGH: (255, 179, 0, 255),
    OUTSIDE: (189, 189, 189, 255),
    NOT_OBSERVED: (0, 0, 0, 0),
}
