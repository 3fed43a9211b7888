"""The classes of a label layer: each value of its field gets a code, a name and a colour."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from engine.errors import ParameterError
from engine.legends import Legend, find_legend, list_legends
from engine.training.labels.layer import Value

MOST = 100
"""More values than this are no classes but, for example, feature ids."""
_FIRST = ("worldcover", "dynamic-world", "dfc2020", "esri-lulc")
# Colours by what names of classes usually hold; the first that fits and is free is taken.
_BY_WORD = (
    (("water", "river", "lake", "sea", "eau", "wasser"), "#2f7fd0"),
    (("conifer", "pine", "spruce"), "#0b5d1e"),
    (("tree", "forest", "wood", "wald"), "#1b7a2f"),
    (("shrub", "scrub", "heath"), "#c9a227"),
    (("grass", "meadow", "pasture", "lawn", "range"), "#a5d65c"),
    (("wetland", "marsh", "bog", "swamp"), "#3aa6a0"),
    (("crop", "field", "farm", "arable", "agri", "wheat", "maize"), "#f0a3ff"),
    (("built", "urban", "city", "house", "building", "settle"), "#d7263d"),
    (("road", "asphalt", "street"), "#6b6b6b"),
    (("snow", "ice", "glacier"), "#e8f4fb"),
    (("bare", "sand", "soil", "rock", "quarry"), "#b4a48a"),
)
_SPARE = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf", "#4c4ca8",
    "#e6a800", "#00897b", "#ad1457", "#7cb342", "#5d4037", "#90a4ae",
)  # fmt: skip


@dataclass(frozen=True)
class LabelClass:
    """One class: ``value`` in the field, ``code`` (1…254) in the map, ``name`` and ``color`` (``#rrggbb``)."""

    value: Value
    code: int
    name: str
    color: str

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour, 0…255 each."""
        return int(self.color[1:3], 16), int(self.color[3:5], 16), int(self.color[5:7], 16)


@dataclass(frozen=True)
class ClassTable:
    """The classes in the order of their codes; ``legend`` names the legend that all codes and names are of, if any."""

    classes: tuple[LabelClass, ...]
    legend: str | None = None

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, value: Value) -> int:
        """Position of the class of ``value``."""
        return next(i for i, one in enumerate(self.classes) if one.value == value)

    def without(self, values: Iterable[Value]) -> ClassTable:
        """The table without these classes."""
        gone = set(values)
        return ClassTable(tuple(one for one in self.classes if one.value not in gone), self.legend)


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: Annotated[int, Field(ge=1, le=254)] | None = None
    name: Annotated[str, Field(min_length=1)] | None = None
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None


def class_table(values: Iterable[Value], given: str | None = None) -> ClassTable:
    """Codes, names and colours of the values of a field.

    ``given``: JSON text or the path of a JSON file, an object of value → {"code", "name", "color"}, each optional.
    Without it: numbers that are codes of exactly one legend, or texts that are names of one, are that legend's classes.
    With it the legend is told too, if all codes and names that come out are those of one. Other numbers from 1 to 254
    are their own codes, anything else is numbered 1, 2, … in sorted order; colours go by
    the words of the names, then through a palette. Raises ParameterError: ``given`` is not valid, two classes with one
    code, more than :data:`MOST` values.
    """
    found = sorted(set(values), key=lambda v: (isinstance(v, str), v))
    if len(found) > MOST:
        raise ParameterError(
            f"The class field holds {len(found)} different values; a map has at most {MOST} classes.",
            remedy="Choose the field of the classes with --class-field.",
        )
    own = _read(given)
    legend = _legend_of(found) if not own else None
    if legend is not None:
        by_name = {one.name.lower(): one for one in legend.classes}
        by_code = {one.code: one for one in legend.classes}
        picked = [(v, by_code[v] if isinstance(v, int) else by_name[v.lower()]) for v in found]
        made = [LabelClass(value, one.code, one.name, one.color) for value, one in picked]
        return ClassTable(tuple(sorted(made, key=lambda one: one.code)), legend.name)
    made = _named(found, own)
    same = _legend_that_agrees(made)
    if same is not None:
        made = [replace(one, name=same.names[one.code]) for one in made]
    return ClassTable(tuple(sorted(made, key=lambda one: one.code)), same.name if same is not None else None)


def _named(values: list[Value], own: Mapping[str, _Given]) -> list[LabelClass]:
    facts = {value: own.get(str(value), _Given()) for value in values}
    as_codes = all(isinstance(v, int) and 1 <= v <= 254 for v in values)
    codes: dict[Value, int] = {v: fact.code for v, fact in facts.items() if fact.code is not None}
    taken = set(codes.values())
    if len(taken) < len(codes):
        twice = next(code for code in sorted(taken) if list(codes.values()).count(code) > 1)
        named = ", ".join(str(v) for v, code in codes.items() if code == twice)
        raise ParameterError(
            f"The code {twice} is given to more than one class: {named}.", remedy="Give each class a code of its own."
        )
    for value in values:
        if value not in codes:
            wanted = value if as_codes and isinstance(value, int) and value not in taken else 1
            codes[value] = next(code for code in [wanted, *range(1, 255)] if code not in taken)
            taken.add(codes[value])
    names = {v: fact.name or (v if isinstance(v, str) else f"class {v}") for v, fact in facts.items()}
    used = {fact.color.lower() for fact in facts.values() if fact.color}
    made = []
    for value in values:
        color = facts[value].color
        if color is None:
            color = _color(names[value], used)
            used.add(color)
        made.append(LabelClass(value, codes[value], names[value], color.lower()))
    return made


def _color(name: str, used: set[str]) -> str:
    words = name.lower()
    fitting = [color for keys, color in _BY_WORD if any(key in words for key in keys)]
    free = [color for color in (*fitting, *_SPARE) if color not in used]
    return free[0] if free else _SPARE[len(used) % len(_SPARE)]


def _legend_that_agrees(classes: Sequence[LabelClass]) -> Legend | None:
    """The legend that has every class by the same code and name (in any case); a colour may be one's own."""
    for legend in _legends():
        names = {one.code: one.name.lower() for one in legend.classes}
        if all(names.get(one.code) == one.name.strip().lower() for one in classes):
            return legend
    return None


def _legends() -> list[Legend]:
    known = list_legends()
    return [find_legend(name) for name in (*(n for n in _FIRST if n in known), *sorted(set(known) - set(_FIRST)))]


def _legend_of(values: list[Value]) -> Legend | None:
    """The legend that all values are codes or names of; None where none is, or several are."""
    legends = _legends()
    if all(isinstance(v, int) for v in values):
        fitting = [one for one in legends if set(values) <= set(one.codes)]
        return fitting[0] if len(fitting) == 1 else None
    if all(isinstance(v, str) for v in values):
        texts = {str(v).lower() for v in values}
        if len(texts) == len(values):
            return next((one for one in legends if texts <= {c.name.lower() for c in one.classes}), None)
    return None


def _read(given: str | None) -> dict[str, _Given]:
    if given is None or not given.strip():
        return {}
    text, where = given, "The option --class-colors"
    try:
        if not given.lstrip().startswith("{"):
            where = given
            text = Path(given).expanduser().read_text(encoding="utf-8")
        found: Any = json.loads(text)
        return TypeAdapter(dict[str, _Given]).validate_python(found)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ParameterError(
            f"{where}: {'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}.",
            remedy='Give an object such as {"forest": {"code": 10, "name": "Forest", "color": "#1b7a2f"}}.',
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ParameterError(
            f"{where}: the class colours cannot be read ({why}).", remedy="Give a JSON object, or a file with one."
        ) from error
