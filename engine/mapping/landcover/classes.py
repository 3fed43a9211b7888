"""The classes of a map: which legend they belong to, and how the model's classes become them."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import ParameterError
from engine.legends import (
    NOT_OBSERVED,
    NOT_OBSERVED_NAME,
    UNKNOWN,
    UNKNOWN_COLOR,
    UNKNOWN_NAME,
    Legend,
    find_legend,
)
from engine.models.card import Card

FloatArray = NDArray[np.float32]
U8 = NDArray[np.uint8]
RGBA = tuple[int, int, int, int]

_PIXELS = 1 << 15


@dataclass(frozen=True)
class ClassTable:
    """``codes`` that the map can hold, in the legend's order, with ``names`` and ``colors`` (unknown and not observed
    among them); ``members``: for each code the outputs of the model that become it; ``lost``: outputs that become
    unknown. ``legend`` is its name (``model:NAME`` for a model's own classes), ``title`` for people."""

    legend: str
    title: str
    codes: tuple[int, ...]
    names: dict[int, str]
    colors: dict[int, RGBA]
    members: tuple[tuple[int, ...], ...]
    lost: tuple[int, ...] = ()

    def decide(self, logits: FloatArray) -> tuple[U8, U8]:
        """(codes, per cent) of (outputs, rows, columns) calibrated logits: the class with the highest probability
        (their softmax) and that probability, 0…100; 255 in both where they are NaN.

        Probabilities of outputs that become one class are added up before. Where the outputs without a class in this
        legend (``lost``) have more together than any class, the code is unknown and the per cent that of the best.
        """
        shape = logits.shape[1:]
        codes, percent = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        rows = max(1, _PIXELS // max(1, shape[1]))
        for row in range(0, shape[0], rows):  # small enough to stay in the processor's cache
            part = slice(row, row + rows)
            codes[part], percent[part] = self._decide(logits[:, part])
        return codes, percent

    def _decide(self, logits: FloatArray) -> tuple[U8, U8]:
        # Softmax and the choice of the class in one go: both need only what is in the cache already.
        top = logits[0].copy()
        for plane in logits[1:]:
            np.maximum(top, plane, out=top)
        best = _sum(logits, top, self.members[0])
        total = best.copy()
        place = np.zeros(best.shape, np.uint8)
        for index, members in enumerate(self.members[1:], 1):
            chance = _sum(logits, top, members)
            total += chance
            # The last place that is better than all before: a product and a maximum, eight times as fast as a mask.
            better = (chance > best).view(np.uint8)
            better *= np.uint8(index)
            np.maximum(place, better, out=place)
            np.maximum(best, chance, out=best)
        codes = np.take(np.asarray(self.codes, np.uint8), place)
        if self.lost:
            chance = _sum(logits, top, self.lost)
            total += chance
            codes[chance > best] = UNKNOWN
        missing = np.isnan(total)
        best /= total
        best *= 100
        np.rint(best, out=best)
        if missing.any():
            np.copyto(best, NOT_OBSERVED, where=missing)
            np.maximum(codes, missing.view(np.uint8) * np.uint8(NOT_OBSERVED), out=codes)
        return codes, best.astype(np.uint8)


def _sum(logits: FloatArray, top: FloatArray, members: tuple[int, ...]) -> FloatArray:
    """Σ exp(logit − top) over some outputs: their probabilities but for a factor."""
    total: FloatArray | None = None
    for member in members:
        part = np.subtract(logits[member], top)
        np.exp(part, out=part)
        total = part if total is None else np.add(total, part, out=total)
    return np.zeros_like(top) if total is None else total


def class_table(card: Card, legend: str | None = None) -> ClassTable:
    """The classes of a map by the model of ``card``, in its own legend or in ``legend`` (name or file) by the mapping
    that the model's legend has to it.

    Raises ParameterError for an unknown legend, where there is no mapping, where a class of the model does not stand in
    its legend, and for a model with classes of its own when another legend is asked for.
    """
    if card.legend is None:
        if legend is not None:
            raise ParameterError(
                f"The model {card.name} has classes of its own: there is no mapping to the legend {legend}.",
                remedy="Leave --legend out.",
            )
        return _own(card)
    own = find_legend(card.legend)
    target = own if legend is None else find_legend(legend)
    strange = [c.value for c in card.classes if c.value not in own.codes]
    if strange:
        raise ParameterError(f"The model {card.name} has classes {strange}, which its legend {own.name} does not have.")
    mapping = own.mapping_to(target)
    members: dict[int, list[int]] = {}
    for index, one in enumerate(card.classes):
        members.setdefault(mapping[one.value], []).append(index)
    lost = tuple(members.pop(UNKNOWN, ()))
    codes = tuple(code for code in target.codes if code in members)
    if not codes:
        raise ParameterError(f"No class of the model {card.name} has a counterpart in the legend {target.name}.")
    made = _table(target, codes, tuple(tuple(members[code]) for code in codes), lost)
    if target.name == own.name:  # classes drawn by a person have that person's colours
        made.colors.update({one.value: _rgba(one.color) for one in card.classes if one.color})
    return made


def _table(
    legend: Legend, codes: tuple[int, ...], members: tuple[tuple[int, ...], ...], lost: tuple[int, ...]
) -> ClassTable:
    held = (UNKNOWN, *codes, NOT_OBSERVED)
    names = {code: legend.names[code] for code in held}
    colors = {code: legend.colors[code] for code in held}
    return ClassTable(legend.name, legend.title, codes, names, colors, members, lost)


def _own(card: Card) -> ClassTable:
    codes = tuple(one.value for one in card.classes)
    names = {UNKNOWN: UNKNOWN_NAME, **{c.value: c.name for c in card.classes}, NOT_OBSERVED: NOT_OBSERVED_NAME}
    colors: dict[int, RGBA] = {UNKNOWN: UNKNOWN_COLOR, NOT_OBSERVED: (0, 0, 0, 0)}
    for index, one in enumerate(card.classes):
        colors[one.value] = _rgba(one.color) if one.color else _distinct(index)
    members = tuple((index,) for index in range(len(codes)))
    return ClassTable(f"model:{card.name}", f"classes of the model {card.name}", codes, names, colors, members)


def _rgba(text: str) -> RGBA:
    red, green, blue = (int(text[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue, 255


def _distinct(index: int) -> RGBA:
    """A colour for a class without one: hues a golden angle apart."""
    red, green, blue = colorsys.hls_to_rgb((0.08 + index * 0.381966) % 1.0, 0.5 if index % 2 else 0.62, 0.6)
    return round(red * 255), round(green * 255), round(blue * 255), 255
