"""The report of a cross-view run: curves, and what was found for some panoramas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.training.crossview.augment import normal
from engine.training.crossview.images import FrameStore
from engine.training.crossview.matching import similarity
from engine.training.crossview.objective import CrossViewObjective, middle
from engine.training.crossview.split import Split
from engine.training.crossview.turns import round_about
from engine.training.report.charts import Rgb
from engine.training.report.run import run_report_html
from engine.training.report.samples import spread

_LINES, _GALLERY = 6, 64
Picture = tuple[str, Rgb]


def report_html(
    result: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    store: FrameStore,
    objective: CrossViewObjective,
    parts: Split,
) -> str:
    """The page of a run as text."""
    return run_report_html(
        result=result,
        rows=rows,
        title="Cross-view training",
        cards=_cards(result["figures"]),
        samples=samples(store, objective, parts.held_out or parts.train),
        samples_title="Samples: the bird's-eye view, restyled, and the tile that was found among 64",
    )


@torch.no_grad()
def samples(store: FrameStore, objective: CrossViewObjective, grounds: Sequence[int]) -> list[list[Picture]]:
    """Rows of pictures: a panorama, its bird's-eye view, that view restyled, and the tile that the network finds."""
    network = objective.network.eval()
    device = next(network.parameters()).device
    shown = [grounds[i] for i in spread(len(grounds), _LINES)]
    gallery = spread(len(store.data.overheads), _GALLERY)
    mine = [store.data.matches[i].positive for i in shown]
    gallery = sorted({*gallery, *(tile for tile in mine if tile is not None)})
    tiles = store.overhead(gallery)
    streets, seen = store.ground(shown), store.birds_eye(shown)
    branch = network.ground if store.framing.assumed is None else round_about(network)
    found = branch(_given(middle(streets, network.ground_size[1]), device))
    nearest = similarity(found, network.overhead(_given(tiles, device))).argmax(1).tolist()
    style = tiles[[k % len(tiles) for k in range(len(shown))], :3].float() / 255
    restyler = objective.restyler.eval()
    fake = restyler((seen[:, :3].float() / 255).to(device), (seen[:, 3:4] > 127).to(device), style.to(device)).cpu()
    lines = []
    for k, ground in enumerate(shown):
        right = "its tile" if gallery[nearest[k]] == mine[k] else "another tile"
        lines.append(
            [
                (store.data.grounds[ground].name, _rgb(streets[k, :3])),
                ("bird's-eye view", _rgb(seen[k, :3])),
                ("restyled", _rgb((fake[k] * 255).byte())),
                (f"found: {right}", _rgb(tiles[nearest[k], :3])),
            ]
        )
    return lines


def _given(stored: Tensor, device: torch.device) -> Tensor:
    return normal(stored[:, :3].to(device).float() / 255, stored[:, 3:4].to(device) > 127)


def _rgb(image: Tensor) -> Rgb:
    pixels: Rgb = image.movedim(0, 2).contiguous().numpy()
    return pixels


def _cards(figures: dict[str, Any]) -> list[tuple[str, str]]:
    cards = [
        ("Panoramas", f"{figures['panoramas']:,}"),
        ("Tiles", f"{figures['tiles']:,}"),
        ("True pairs used", f"{figures['labelled']:,}"),
        ("Steps", f"{figures['steps']:,}"),
    ]
    for place, found in figures["test"].items():
        value = found["r@1"]["value"]
        cards.append((f"R@1 of {found['n']:,} among {found['gallery']:,} ({place[-24:]})", f"{100 * value:.1f} %"))
    if figures["chosen"] is not None:
        cards.append(("Weights kept, of step", f"{figures['chosen']['step']:,}"))
    return cards
