"""What the labels of items tell: their legend and classes."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import ParameterError
from engine.training.data.items import LabelItem, PairItem


def told(legend: str | None) -> str:
    """What labels tell, for messages."""
    return "water" if legend is None else f"land cover ({legend})"


def legend_of(items: Sequence[PairItem]) -> str | None:
    """The legend of the items' labels; raises ParameterError where they differ."""
    found = {item.label.legend: item for item in items if isinstance(item, LabelItem)}
    if len(found) > 1:
        (one, a), (other, b) = list(found.items())[:2]
        raise ParameterError(
            f"The labels of {a.name} tell {told(one)}, those of {b.name} {told(other)}.",
            remedy="Keep labels of different kinds in folders of their own, and give each by --data.",
        )
    return next(iter(found), None)


def classes_of(items: Sequence[PairItem]) -> dict[int, str]:
    """Code → name of the items' labels, where the layout tells them."""
    return {code: name for item in items if isinstance(item, LabelItem) for code, name in item.label.classes.items()}
