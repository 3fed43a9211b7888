"""What a job leaves behind as layers: the roles of its files, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qgis.core import QgsMapLayer

Result = dict[str, Any]
"""The content of ``result.json``."""


def always(result: Result) -> bool:
    """Whether the result has the layer; of those that every result has."""
    return True


def no_properties(result: Result) -> dict[str, Any]:
    """Custom properties of the layers; of products that need none."""
    return {}


def no_roles(result: Result) -> tuple[Role, ...]:
    """Further layers; of products whose layers are always the same."""
    return ()


@dataclass(frozen=True)
class Role:
    """One layer of a product.

    ``file``: its name in the result folder, with ``table`` for one of a GeoPackage. ``title``: what it is called in
    the project, ``abstract``: in its metadata. ``style(layer, result)`` dresses it. ``visible``: drawn when loaded;
    ``expanded``: its legend is open. ``made(result)``: whether the run made it, as far as the file alone does not tell.
    ``label``: its name in the project where title and scene do not make one.
    """

    name: str
    file: str
    title: str
    abstract: str
    style: Callable[[QgsMapLayer, Result], None]
    table: str | None = None
    visible: bool = True
    expanded: bool = False
    made: Callable[[Result], bool] = always
    label: str = ""


@dataclass(frozen=True)
class Product:
    """The layers of a job's results, ``roles`` from the top of the group, below them ``more(result)``: those whose
    number only the result tells.

    ``title``: in the group's name. ``keywords`` and ``topic`` (ISO 19115): for the metadata. ``attributed``: made from
    Sentinel images. ``properties(result)``: custom properties that every layer gets.
    """

    job: str
    title: str
    topic: str
    keywords: tuple[str, ...]
    roles: tuple[Role, ...]
    attributed: bool = True
    properties: Callable[[Result], dict[str, Any]] = no_properties
    more: Callable[[Result], tuple[Role, ...]] = no_roles

    def roles_of(self, result: Result) -> tuple[Role, ...]:
        """All roles of a result."""
        return (*self.roles, *self.more(result))

    def role(self, name: str, result: Result) -> Role:
        """The role of that name."""
        return next(role for role in self.roles_of(result) if role.name == name)

    @property
    def raster(self) -> str:
        """The file of the first raster; empty where there is none."""
        return next((role.file for role in self.roles if role.table is None), "")
