"""Simulated scenes, as ``engine simulate scene`` writes them: a folder a scene, or one scene."""

from __future__ import annotations

from pathlib import Path

from engine.errors import ParameterError
from engine.sensors import Unit
from engine.training.data.items import Acquisition, LabelFile, LabelItem, Labels, LeftOut, PairItem
from engine.training.data.kinds.folder import FLOOD, legend_label

_IMAGES = ("after_S1.tif", "after_S2.tif")


def find(path: Path, split: str | None, *, labels: Labels = "flood") -> tuple[list[PairItem], list[LeftOut]]:
    """Two items a scene: after (S1, and S2 where made) and before (S1), with labels where made; the scene is the group.
    ``labels`` "landcover" takes ``landcover.tif``: what the ground is when it is dry.

    ``split`` is after, before, or the name of a sub-folder of scenes.
    """
    root = path
    dates: tuple[str, ...] = ("after", "before")
    if split in dates:
        dates = (split,)
    elif split is not None:
        root = path / split
        if not root.is_dir():
            raise ParameterError(f"{root}: the sub-folder of split {split!r} does not exist.", remedy="Check its name.")
    scenes = sorted({file.parent for name in _IMAGES for file in root.rglob(name)})
    if not scenes:
        raise ParameterError(
            f"{root}: no simulated scene was found; expected folders with {' or '.join(_IMAGES)}.",
            remedy="Make some with 'engine simulate scene --seed 1 -o scenes/1'.",
        )
    items: list[PairItem] = []
    for scene in scenes:
        group = str(scene.relative_to(root)) if scene != root else root.name
        items += [item for date in dates if (item := _item(scene, date, group, labels)) is not None]
    return items, []


def _item(scene: Path, date: str, group: str, labels: Labels) -> PairItem | None:
    files = {role: scene / f"{date}_{role}.tif" for role in ("S1", "S2", "label")}
    if labels == "landcover":
        files["label"] = scene / "landcover.tif"
    have = {role: file for role, file in files.items() if file.is_file()}
    s1 = Acquisition("s1", have["S1"], unit=Unit.DB) if "S1" in have else None
    s2 = Acquisition("s2", have["S2"], offset=0) if "S2" in have else None
    name = f"{group}/{date}"
    if "label" in have and (s1 or s2):
        water = LabelFile(have["label"], classes=FLOOD)
        return LabelItem(
            name, group, s1, s2, label=legend_label(have["label"], "worldcover") if labels == "landcover" else water
        )
    return PairItem(name, group, s1, s2) if s1 and s2 else None
