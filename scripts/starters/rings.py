"""Training of the network that compares ground rings (engine/models/rings.py): a contrast over tiles and turns at once.

Every photo of a batch has as many wrong answers as there are other tiles and other turns of its own, so that place and
heading are learned together.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.crossview.geometric.color import lab
from engine.device import Device, choose_device, has_bfloat16
from engine.models.rings import RingNetwork, turned_similarity
from engine.training.crossview.augment import uniform
from starters.ring_data import RingSet

WIDTH, BATCH, RATE, WARMUP = 24, 64, 3e-3, 50
NEIGHBOURS, AROUND = 60, 400
"""So many of a batch's candidates are among the so many panoramas that follow one another in the list: of one area."""


def train_rings(
    sets: Sequence[RingSet],
    kept: Path,
    *,
    steps: int,
    seed: int,
    width: int = WIDTH,
    batch: int = BATCH,
    rate: float = RATE,
    colour: float = 1.0,
    start: RingNetwork | None = None,
    device: Device | None = None,
) -> RingNetwork:
    """A network of ``width`` channels, or one that goes on from ``start``, kept in the file ``kept`` once it is
    trained; sets take turns. ``rate`` is the largest learning rate, ``colour`` a factor of patches of another
    colour."""
    chosen = device or choose_device("cpu")
    where = chosen.torch
    torch.manual_seed(seed)
    network = (RingNetwork(width) if start is None else copy.deepcopy(start)).to(where).train()
    rng, draw = np.random.default_rng(seed), torch.Generator(where).manual_seed(seed)
    sets = [RingSet(**{name: value.to(where) for name, value in vars(one).items()}) for one in sets]
    tiles = [one.tile.cpu().numpy() for one in sets]
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda n: min(1.0, (n + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(1.0, n / steps)))
    )
    half = has_bfloat16(chosen)
    kept.parent.mkdir(parents=True, exist_ok=True)
    started, told = time.monotonic(), []
    with kept.with_suffix(".jsonl").open("w", encoding="utf-8") as log:
        for step in range(steps):
            data, rows = sets[step % len(sets)], _rows(tiles[step % len(sets)], batch, rng)
            loss, first = _step(network, data, torch.from_numpy(rows).to(where), colour, rng, draw, half)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            told.append(torch.stack([loss.detach(), first]))
            if (step + 1) % 50 == 0:
                mean = torch.stack(told[-50:]).mean(0).tolist()
                seconds = round(time.monotonic() - started)
                log.write(json.dumps({"step": step + 1, "loss": mean[0], "first": mean[1], "seconds": seconds}) + "\n")
                log.flush()
    save_file({name: value.cpu() for name, value in network.state_dict().items()}, kept)
    return network.cpu().eval()


def kept_rings(kept: Path) -> RingNetwork | None:
    """The network that was trained and kept in the file; none where there is none."""
    if not kept.exists():
        return None
    state = load_file(kept)
    network = RingNetwork(len(state["ground_branch.first.weight"]))
    network.load_state_dict(state)
    return network.eval()


def _step(
    network: RingNetwork,
    data: RingSet,
    rows: Tensor,
    colour: float,
    rng: np.random.Generator,
    draw: torch.Generator,
    half: bool,
) -> tuple[Tensor, Tensor]:
    """Loss of the batch of panoramas ``rows``, and the share of them whose tile and turn come first; ``half``: in
    bfloat16."""
    count, tiles = len(rows), data.tile[rows]
    variant, other = torch.randint(data.ground.shape[1], (2, count), generator=draw, device=rows.device)
    ground, high = (x[rows, variant].float() / 255 for x in (data.ground, data.above))
    seen = data.seen[rows, variant].float() / 255
    overhead, covered = data.overhead[tiles, other].float() / 255, data.covered[tiles, other].float() / 255
    mirror = torch.rand(count, generator=draw, device=rows.device) < 0.5
    ground, high, seen, overhead, covered = (_mirrored(x, mirror) for x in (ground, high, seen, overhead, covered))
    sectors = seen.shape[-1]
    turns = torch.randint(sectors, (count,), generator=draw, device=rows.device)
    ground, high, seen = (_turned(x, turns) for x in (ground, high, seen))
    seen = _hidden(seen, rng)
    both = _coloured(torch.cat([ground, high], dim=2), colour, draw)
    ground, high = both[:, :, : ground.shape[2]], both[:, :, ground.shape[2] :]
    with torch.autocast(rows.device.type, torch.bfloat16, enabled=half):
        a = network.ground(lab(ground), seen, high * 2 - 1)
        b = network.overhead(lab(_coloured(overhead, colour, draw)), covered)
    table = turned_similarity(a, b, sectors // 2) * network.scale.exp().clamp(max=60)
    loss = _contrast(table, turns) + _contrast(table.transpose(0, 1), turns)
    own = torch.arange(count, device=rows.device)
    best = table.detach().amax(2).argmax(1) == own
    apart = (2 * table.detach()[own, own].argmax(1) - turns + sectors // 2) % sectors - sectors // 2
    return loss, (best & (apart.abs() <= 3)).float().mean()


def _rows(tile: np.ndarray, batch: int, rng: np.random.Generator) -> np.ndarray:
    """Panoramas of a batch, some of one area, no tile twice."""
    count = len(tile)
    near = (rng.integers(count) + rng.permutation(min(AROUND, count))[:NEIGHBOURS]) % count
    candidates = np.concatenate([near, rng.permutation(count)[: 4 * batch]])
    _, first = np.unique(tile[candidates], return_index=True)
    return candidates[np.sort(first)][:batch]


def _contrast(table: Tensor, turns: Tensor) -> Tensor:
    """Cross entropy of (n, n, B) over all columns and turns; half of the truth lies at either neighbour of a turn that
    falls between two."""
    n, _, count = table.shape
    own = torch.arange(n, device=table.device)
    likely = table.reshape(n, -1).log_softmax(1).view(n, n, count)[own, own]
    right = torch.stack([turns // 2 % count, (turns + 1) // 2 % count], dim=1)
    return -likely.gather(1, right).mean()


def _mirrored(values: Tensor, which: Tensor) -> Tensor:
    """East and west change places where ``which`` is true: sector j becomes −j."""
    flipped = values.flip(-1).roll(1, -1)
    return torch.where(which.view(-1, *[1] * (values.dim() - 1)), flipped, values)


def _turned(values: Tensor, turns: Tensor) -> Tensor:
    """Sector j of each becomes what sector j + turn was."""
    sectors = torch.arange(values.shape[-1], device=values.device)
    source = (sectors[None] + turns[:, None]) % values.shape[-1]
    source = source.view(len(values), *[1] * (values.dim() - 2), -1).expand_as(values)
    return values.gather(-1, source)


def _hidden(seen: Tensor, rng: np.random.Generator) -> Tensor:
    """In most batches an arc is hidden from some ring on, as by a hedge or a lorry."""
    if rng.random() >= 0.7:
        return seen
    sectors = seen.shape[-1]
    arc = (np.arange(sectors) - int(rng.integers(sectors))) % sectors < int(rng.integers(5, 40))
    out = seen.clone()
    out[:, int(rng.integers(0, 12)) :, torch.from_numpy(arc).to(out.device)] = 0
    return out


def _patchy(coarse: Tensor, rows: int, columns: int) -> Tensor:
    """A coarse grid drawn out, without a seam."""
    closed = torch.cat([coarse, coarse[..., :1]], dim=3)
    return nn.functional.interpolate(closed, size=(rows, columns + 1), mode="bilinear", align_corners=True)[..., :-1]


def _coloured(images: Tensor, strength: float, draw: torch.Generator) -> Tensor:
    """(N, 3, R, A) of 0…1 in another light: gamma, mixed colours, light that changes round the circle, noise, haze;
    patches of another albedo and colour by ``strength``."""
    n, _, rows, columns = images.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, device=images.device)

    images = images.clamp(min=1e-4) ** torch.exp(0.6 * uniform(n, -1, 1, draw))
    mixture = 0.2 * normal(n, 3, 3)
    mixture = torch.eye(3, device=images.device) + mixture - mixture.mean(2, keepdim=True)
    mixture = mixture * torch.exp(0.15 * normal(n, 3, 1))
    images = torch.einsum("nij,njrc->nirc", mixture, images)
    light = _patchy(0.35 * normal(n, 1, 3, 6), rows, columns)
    patches = _patchy(0.15 * strength * normal(n, 1, 6, 24), rows, columns)
    tints = _patchy(0.06 * strength * normal(n, 3, 5, 16), rows, columns)
    images = images * (light + patches + tints).exp() + 0.06 * uniform(n, 0, 1, draw) * normal(*images.shape)
    haze = 0.3 * uniform(n, 0, 1, draw) * (uniform(n, 0, 1, draw) < 0.5)
    return (images * (1 - haze) + haze * uniform(n, 0.5, 0.95, draw)).clamp(0, 1)
