"""A whole network trained on labels: the pretrained encoder and decoder go on learning, slowly, from few squares.

One fold of the spatial blocks is held out. It says after which step the network was best (Prechelt 1998, "Early
stopping – but when?"), and it calibrates the temperature.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.events import Reporter
from engine.models.segmenter import Segmenter
from engine.raster.grid import Window
from engine.training.data.items import IGNORE
from engine.training.labels.blocks import Blocks, split_by_block
from engine.training.labels.data import LabelData, without_missing
from engine.training.labels.features import known_of, normalised, scores_of
from engine.training.labels.figures import held_out
from engine.training.labels.fit import Fitted, thinned_data
from engine.training.labels.logistic import class_balance
from engine.training.labels.trunk import Trunk, no_trunk
from engine.training.optimiser import make_optimiser, set_rate
from engine.training.requests import FinetuneRequest
from engine.training.rng import derive_seed, step_generator
from engine.training.schedule import Schedule
from engine.training.segmentation import Segmentation, Variation
from engine.training.segmentation_losses import class_weights

SIDE = 128
"""Side of the squares, in pixels."""
MOST_SQUARES = 600
DEFAULTS = {"lr": 1e-3, "layer_decay": 0.7, "steps": 400, "batch": 8, "gain": 0.1, "scale": 1.5, "width": 0.25}
"""Options of fine-tuning that few labels ask for, where they are not given: rates fall from the head to the stem."""
_CHECKS = 20
"""The held-out fold is looked at so many times."""
Ints = NDArray[np.int64]
Row = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class _Squares:
    """Normalised images (n, bands, side, side), where they are valid, and labels with :data:`IGNORE`."""

    image: Tensor
    valid: Tensor
    label: Tensor

    def batches(self, size: int, seed: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches, every square once before any comes again."""
        epoch = 0
        size = min(size, len(self.image))
        while True:
            order = torch.randperm(len(self.image), generator=step_generator("cpu", seed, "order", epoch))
            for first in range(0, len(order) - size + 1, size):
                rows = order[first : first + size]
                yield {"image": self.image[rows], "valid": self.valid[rows], "label": self.label[rows]}
            epoch += 1


def fit_network(
    data: LabelData, trunk: Trunk, request: FinetuneRequest, *, device: torch.device, reporter: Reporter, log: Row
) -> Fitted:
    """Train a network whole on the labelled pixels of ``data``, for at most ``request.time_limit`` minutes.

    Without a time limit the same input gives the same weights. Raises ParameterError where all labels lie in one block
    or the scene is of two sensors, and the errors of :func:`without_missing`.
    """
    if len(data.scenes[0].sensors) != 1:
        raise ParameterError(
            "finetune: a whole network is trained from one sensor; the scene has Sentinel-1 and Sentinel-2.",
            remedy="Use --head pixel, or give the rasters of one sensor.",
        )
    reporter.progress(0.0, "data", "Reading squares")
    data = _seen(thinned_data(data)[0], device)
    classes = len(data.table)
    blocks = split_by_block(data.pixels, classes, side_m=request.block_m, seed=request.seed)
    if blocks.folds < 2:
        raise ParameterError(
            f"finetune: all labels lie in one block of {blocks.side_m:,.0f} m: nothing can be held out to train a "
            "network by.",
            remedy="Label more places, give a smaller --block-m, or use --head pixel.",
        )
    held = _held_fold(data, blocks, classes)
    squares = _squares(data, blocks, held, trunk, reporter)
    network, best = _trained(data, trunk, request, squares, blocks.fold == held, device, reporter.part(0.1, 0.95), log)
    scores = np.full((len(data.klass), classes), np.nan)
    check = blocks.fold == held
    scores[check] = _scores(network, data, check, trunk, device).double().numpy()
    measured = held_out(scores, data.klass, blocks.fold, blocks.block, classes, part=blocks.block % 2)
    return Fitted(network, data, blocks, measured, int((~check).sum()), steps=best)


def _option(request: FinetuneRequest, name: str) -> float:
    given = name in request.model_fields_set and getattr(request, name) is not None
    return float(getattr(request, name) if given else DEFAULTS[name])


def _seen(data: LabelData, device: torch.device) -> LabelData:
    """The data without labels where a band is missing."""
    valid = []
    for scene, pixels in zip(data.scenes, data.pixels, strict=True):
        plain = no_trunk(scene.bands, scene.statistics())
        valid.append(known_of(plain.network(2, waves=0), scene, pixels, plain.inputs, device=device)[1])
    return without_missing(data, valid)


def _held_fold(data: LabelData, blocks: Blocks, classes: int) -> int:
    """The fold that holds the most classes which others hold too, of these the one with the fewest pixels."""
    there = np.zeros((blocks.folds, classes), np.int64)
    np.add.at(there, (blocks.fold, data.klass), 1)
    shared = ((there > 0) & ((there > 0).sum(0) > 1)).sum(1)
    return int(np.lexsort((there.sum(1), -shared))[0])


def _squares(data: LabelData, blocks: Blocks, held: int, trunk: Trunk, reporter: Reporter) -> _Squares:
    """Squares over all labels that are trained on; labels of the held-out fold are not in them."""
    images, valids, labels = [], [], []
    before = 0
    for scene, pixels in zip(data.scenes, data.pixels, strict=True):
        own = slice(before, before + len(pixels))
        before += len(pixels)
        keep = np.flatnonzero(blocks.fold[own] != held)
        place = pixels.row[keep] // SIDE * (scene.grid.width // SIDE + 1) + pixels.col[keep] // SIDE
        for number in np.unique(place):
            reporter.check()
            here = keep[place == number]
            row, col = int(pixels.row[here[0]]) // SIDE * SIDE, int(pixels.col[here[0]]) // SIDE * SIDE
            x, missing = normalised(scene.read(Window(row, col, SIDE, SIDE)), trunk.inputs)
            label = torch.full((SIDE, SIDE), IGNORE, dtype=torch.int64)
            label[torch.from_numpy(pixels.row[here] - row), torch.from_numpy(pixels.col[here] - col)] = (
                torch.from_numpy(pixels.klass[here])
            )
            images.append(x)
            valids.append(torch.from_numpy(~missing)[None])
            labels.append(label)
    if len(images) > MOST_SQUARES:
        kept = np.linspace(0, len(images) - 1, MOST_SQUARES).round().astype(int).tolist()
        reporter.log(f"{MOST_SQUARES} of {len(images)} squares with labels are used.")
        images, valids, labels = ([part[i] for i in kept] for part in (images, valids, labels))
    return _Squares(torch.stack(images), torch.stack(valids), torch.stack(labels))


def _trained(
    data: LabelData,
    trunk: Trunk,
    request: FinetuneRequest,
    squares: _Squares,
    check: NDArray[np.bool_],
    device: torch.device,
    reporter: Reporter,
    log: Row,
) -> tuple[Segmenter, int]:
    """The network as it was best on the pixels ``check``, and after how many steps."""
    torch.manual_seed(derive_seed(request.seed, "weights"))
    sensor = data.scenes[0].sensors[0]
    classes = len(data.table)
    network = trunk.whole(classes, width=_option(request, "width")).requires_grad_(True)
    counts = torch.bincount(squares.label[squares.label != IGNORE], minlength=classes)
    weights = None
    if request.class_weights == "balanced":
        weights = class_weights({k: int(n) for k, n in enumerate(counts) if n}, classes)
    variation = Variation(
        jitter=request.jitter, gain=_option(request, "gain"), scale=_option(request, "scale"), drop_sensor=0.0
    )
    objective = Segmentation(network, sensors=(sensor,), loss=request.loss, weights=weights, variation=variation)
    objective.to(device)
    steps, batch = int(_option(request, "steps")), int(_option(request, "batch"))
    optimiser = make_optimiser(
        request.optimiser,
        objective,
        rate=_option(request, "lr"),
        decay=request.weight_decay,
        layer_decay=_option(request, "layer_decay"),
    )
    schedule = Schedule(steps=1000, warmup=50)
    best_state, best_step, best_loss = copy.deepcopy(network.state_dict()), 0, math.inf
    truth = data.klass[check]
    balance = class_balance(truth, classes)
    limit = math.inf if request.time_limit is None else 60 * request.time_limit
    began = time.monotonic()
    feed = squares.batches(batch, request.seed)
    done = 0
    while done < steps:
        share = max(done / steps, (time.monotonic() - began) / limit)
        if share >= 1:
            reporter.log(f"The time limit of {request.time_limit:g} minutes is reached after {done} steps.")
            break
        set_rate(optimiser, schedule.factor(int(1000 * share)))
        network.train()
        given = {name: value.to(device) for name, value in next(feed).items()}
        views = objective.views(
            {sensor: given["image"], f"{sensor}_valid": given["valid"], "label": given["label"]},
            step_generator(device, request.seed, "views", done),
        )
        optimiser.zero_grad(set_to_none=True)
        out = objective(views)
        out["loss"].backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), request.clip or float("inf"))
        optimiser.step()
        done += 1
        row = {"step": done, "loss": float(out["loss"].detach())}
        words = f"step {done}/{steps}  loss {row['loss']:.4f}"
        if done % max(1, steps // _CHECKS) == 0 or done == steps:
            scores = _scores(network, data, check, trunk, device)
            entropy = F.cross_entropy(scores, torch.from_numpy(truth), reduction="none").double().numpy()
            loss = float((entropy * balance).sum() / balance.sum())
            row |= {"validation_loss": loss, "validation_accuracy": float((scores.argmax(1).numpy() == truth).mean())}
            words += f"  validation loss {loss:.4f}, accuracy {row['validation_accuracy']:.3f}"
            reporter.log(words)
            if loss < best_loss:
                best_state, best_step, best_loss = copy.deepcopy(network.state_dict()), done, loss
        if "validation_loss" in row or done % request.log_every == 0 or done == 1:
            log(row)
        reporter.progress(share, "train", words)
    network.load_state_dict(best_state)
    return network.eval(), best_step


def _scores(network: Segmenter, data: LabelData, keep: NDArray[np.bool_], trunk: Trunk, device: torch.device) -> Tensor:
    """(n, classes) logits of the pixels ``keep``, scene after scene."""
    found, before = [], 0
    for scene, pixels in zip(data.scenes, data.pixels, strict=True):
        own = pixels.only(keep[before : before + len(pixels)])
        before += len(pixels)
        if len(own):
            found.append(scores_of(network, scene, own, trunk.inputs, device=device)[0])
    return torch.cat(found)
