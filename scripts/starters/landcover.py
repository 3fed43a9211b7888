"""Train the starter model landcover from labelled chips of many places, measured by leaving places out.

  train_starter_models --model landcover DATA -o FOLDER [--install resources/models] [--folds-only] [--steps N]

DATA is a folder with landcover/train/NAME.tif, NAME_worldcover.tif and landcover/groups.csv (chip, split, place).
FOLDER keeps every run: a second call goes on where the first was stopped.

First one network for each fold: the chips of some places are held out, so each chip is mapped by a network that saw
nothing of its ground. These maps give the figures of the card, the temperature, and the threshold of "unknown". Then
the network that ships, by the same recipe on all training chips. Validation chips (landcover/val) are never read here:
scripts/study_landcover scores them.

Every training run is "engine finetune"; the command stands in the result.json of each.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.events import Reporter
from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration, ece_of_tables
from engine.models.bundle import Bundle, load_bundle, save_bundle
from engine.simulate.job import run as simulate
from engine.simulate.request import SceneRequest
from engine.training.calibration import calibrate, confidence
from engine.training.data.pack import PackedDataset
from engine.training.data.packing import run as pack
from engine.training.data.request import DataPackRequest
from engine.training.finetune import run as finetune
from engine.training.labelled import statistics_of
from engine.training.requests import FinetuneRequest
from engine.training.tasks.landcover import ious, mean_iou, overall_accuracy
from engine.training.temperature import fit_temperature
from engine.training.unknown import unknown_threshold

NAME = "landcover"
SIDE = 128
LARGE = "2"
"""The place that most chips are of: it would drown the others if each place were not drawn alike."""

BANDS = "B01,B02,B03,B04,B08,B11,B12"
CODES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)
UNKNOWN_SHARE = 0.02
RECIPE: dict[str, Any] = {
    "task": "landcover",
    "sensors": "s2",
    "gsd": 30.0,
    "crop": 96,
    "batch": 8,
    "steps": 1000,
    "width": 0.25,
    "lr": 3e-3,
    "weight_decay": 1e-2,
    "loss": "ce",
    "class_weights": "none",
    "ema": 0.99,
    "jitter": 0.05,
    "common_jitter": 0.05,
    "brightness": 0.15,
    "tint": 0.08,
    "haze": 0.015,
    "scale": 3.0,
    "shrink": 1.3,
    "hide_bands": 0.15,
    "balance": 1.0,
    "label_smoothing": 0.05,
    "indices": True,
    "precision": "bf16",
    "workers": 1,
    "device": "cpu",
    "checkpoint_every": 200,
    "log_every": 20,
}
TRAINED_ON = [
    {
        "name": "Chips of the Water-Segmentation-project, 193 of 21 places",
        "licence": "MIT, as its README says",
        "attribution": "Imagery: that it is harmonised Landsat and Sentinel-2 (HLS, public domain) is the publisher's "
        "word; contains modified Copernicus Sentinel data. Labels: ESA WorldCover 2021, CC-BY-4.0, © ESA WorldCover "
        "project, contains modified Copernicus Sentinel data processed by ESA WorldCover consortium.",
    }
]

SIMULATED = {
    "name": "Simulated scenes (engine simulate scene)",
    "licence": "none needed",
    "attribution": "Made by this project.",
}


@dataclass(frozen=True)
class ChipFile:
    """A labelled chip: files, and the place whose ground it shows."""

    name: str
    image: Path
    label: Path
    place: str


@dataclass(frozen=True)
class Fold:
    """Places that are held out."""

    name: str
    places: frozenset[str]


def chips_of(data: Path, split: str) -> list[ChipFile]:
    """The chips of a split, by name."""
    home = data / "landcover"
    with (home / "groups.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == split]
    return [
        ChipFile(r["chip"], home / split / f"{r['chip']}.tif", home / split / f"{r['chip']}_worldcover.tif", r["place"])
        for r in sorted(rows, key=lambda row: row["chip"])
    ]


def folds_of(chips: Sequence[ChipFile]) -> list[Fold]:
    """The large place alone, and the others in three parts."""
    others = sorted({chip.place for chip in chips} - {LARGE}, key=int)
    return [Fold("large", frozenset({LARGE}))] + [
        Fold(f"others-{part + 1}", frozenset(others[part::3])) for part in range(3)
    ]


def simulated_chips(out: Path, count: int) -> list[ChipFile]:
    """So many simulated scenes, four chips each and a place of its own: seeds from 20001, relief 50 to 800 m."""
    found = []
    for seed in range(20001, 20001 + count):
        folder = out / "simulated" / str(seed)
        if not (folder / "result.json").exists():
            relief = round(float(np.random.default_rng(seed).uniform(50, 800)))
            simulate(
                SceneRequest(
                    out=str(folder),
                    seed=seed,
                    width=2 * SIDE,
                    height=2 * SIDE,
                    gsd=RECIPE["gsd"],
                    flood=0.0,
                    relief=relief,
                    products="s2,landcover",
                    overwrite=True,
                ),
                Reporter(),
            )
        found.append(ChipFile(f"sim{seed}", folder / "after_S2.tif", folder / "landcover.tif", f"simulated-{seed}"))
    return found


def packed(chips: Sequence[ChipFile], out: Path, name: str) -> Path:
    """The chips as a pack."""
    folder = out / "packs" / name
    if not (folder / "index.json").exists():
        listed = out / "lists" / name
        listed.mkdir(parents=True, exist_ok=True)
        with (listed / "pairs.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["name", "s1", "s2", "worldcover", "place"])
            for chip in chips:
                writer.writerow([chip.name, "", chip.image.resolve(), chip.label.resolve(), chip.place])
        options: dict[str, Any] = {"crop": SIDE, "need": "labels", "labels": "landcover", "s2_bands": BANDS}
        # Bright ground is no cloud here, and a chip with holes still teaches.
        pack(DataPackRequest(path=str(listed), out=str(folder), max_cloud=1, max_missing=0.9, **options), Reporter())
    return folder


def trained(
    chips: Sequence[ChipFile], out: Path, name: str, *, check: Sequence[ChipFile], recipe: dict[str, Any]
) -> Bundle:
    """The network of a run of "engine finetune" on ``chips``, gone on with where it was stopped. ``check`` is mapped
    while it learns, for the curve; nothing is chosen by that."""
    run = out / name
    if not (run / "result.json").exists():
        data = (str(packed(chips, out, f"{name}-chips")),)
        held = (str(packed(check, out, f"{name}-check")),)
        request = FinetuneRequest(
            out=str(run), data=data, validation=held, resume=(run / "config.json").exists(), name=NAME, **recipe
        )
        started = time.monotonic()
        finetune(request, Reporter())
        print(f"{name}: {request.steps} steps in {time.monotonic() - started:.0f} s", flush=True)
    return load_bundle(run / "model")


@dataclass(frozen=True)
class Mapped:
    """What a network made of chips: logits (n, codes) and labels (n,) of one pixel in ``every``, by chip, and matrices
    (chips, codes, codes) of all pixels by truth and map."""

    names: list[str]
    logits: list[Tensor]
    labels: list[Tensor]
    matrices: NDArray[np.int64]


@torch.no_grad()
def mapped(bundle: Bundle, chips: Sequence[ChipFile], out: Path, name: str, *, every: int = 8) -> Mapped:
    """Map held-out chips with the network as it is."""
    card = bundle.card
    data = PackedDataset(packed(chips, out, name)).normalised_by({"s2": statistics_of(card.bands)})
    values = [one.value for one in card.classes]
    numbers = {code: values.index(code) for code in CODES if code in values}
    known = data.relabelled(numbers, legend=card.legend)
    network = bundle.network()
    where = [CODES.index(value) for value in values]
    found = calibrate(network, known, range(len(known)), tables=confidence, fit=False)
    matrices = np.zeros((len(known), len(CODES), len(CODES)), np.int64)
    matrices[np.ix_(range(len(known)), where, where)] = found.matrices
    logits, labels = [], []
    for index in range(len(known)):
        batch = known.batch([index])
        truth = batch["label"][0]
        right = (truth >= 0) & batch["s2_valid"][0, 0]
        logits.append(network(batch["s2"])[0].movedim(0, 2)[right][::every])
        labels.append(truth[right][::every])
    return Mapped([s.name.rpartition("/")[0] for s in data.samples], logits, labels, matrices)


def tables_of(one: Mapped, temperature: float) -> list[NDArray[np.int64]]:
    """(2, 101) pixels by right or wrong and confidence in per cent, by chip."""
    found = []
    for logits, labels in zip(one.logits, one.labels, strict=True):
        most, right = confidence((logits.float() / temperature).softmax(1), labels)
        percent = (100 * most).round().to(torch.uint8)
        found.append(PercentCalibration.of(percent.numpy(), right.numpy()).table())
    return found


def figures_of(matrices: NDArray[np.int64]) -> dict[str, Any]:
    """Overall accuracy, mean IoU and IoU by class of the summed matrices, with intervals over chips."""
    rows = matrices.reshape(len(matrices), -1)
    found = {
        "overall_accuracy": pooled_estimate(rows, overall_accuracy).plain(),
        "miou": pooled_estimate(rows, mean_iou).plain(),
    }
    for number, code in enumerate(CODES):
        if matrices[:, number].sum():
            found[f"iou_{code}"] = pooled_estimate(rows, lambda sums, k=number: ious(sums)[..., k]).plain()
    return found


def cross_validated(
    chips: Sequence[ChipFile], out: Path, recipe: dict[str, Any], more: Sequence[ChipFile] = ()
) -> dict[str, Mapped]:
    """By fold: what the network that saw nothing of these places makes of them; every one learns from ``more`` too."""
    found = {}
    for fold in folds_of(chips):
        held = [chip for chip in chips if chip.place in fold.places]
        rest = [chip for chip in chips if chip.place not in fold.places]
        bundle = trained([*rest, *more], out, f"fold-{fold.name}", check=held, recipe=recipe)
        found[fold.name] = mapped(bundle, held, out, f"fold-{fold.name}-check")
    return found


def calibrated(folds: dict[str, Mapped]) -> dict[str, Any]:
    """Temperature, threshold of unknown and calibration error of the folds together that keep the large place: the
    network that ships saw it too."""
    kept = [one for name, one in folds.items() if name != "large"]
    logits = _padded([x for one in kept for x in one.logits])
    temperature = round(fit_temperature(logits, torch.cat([y for one in kept for y in one.labels])), 3)
    tables = [table for one in kept for table in tables_of(one, temperature)]
    whole = PercentCalibration()
    for table in tables:
        whole.add_table(table)
    rows = np.asarray(tables, np.float64).reshape(len(tables), -1)
    ece = pooled_estimate(rows, lambda sums: ece_of_tables(sums.reshape(*sums.shape[:-1], 2, 101))).plain()
    threshold = unknown_threshold(whole, share=UNKNOWN_SHARE)
    return {"temperature": temperature, "ece": ece, "unknown_below": threshold}


def _padded(logits: Sequence[Tensor]) -> Tensor:
    """All as one, with classes that a fold's network does not have at next to nothing."""
    most = max(one.shape[1] for one in logits)
    return torch.cat([torch.nn.functional.pad(one, (0, most - one.shape[1]), value=-1e4) for one in logits])


def card_figures(folds: dict[str, Mapped], ece: dict[str, Any]) -> list[dict[str, Any]]:
    """What the card states: from networks that saw nothing of the place."""
    kept = np.concatenate([one.matrices for name, one in folds.items() if name != "large"])
    what = "training chips of 20 places, each mapped by a network trained on the other places; interval over chips"
    stated = {**figures_of(kept), "ece": ece}
    return [{"metric": name, **f, "data": what} for name, f in stated.items() if f["value"] is not None]


def main(given: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--install", type=Path, help="folder of models into which landcover is put")
    parser.add_argument("--markdown", type=Path, help="write the table of the folds here")
    parser.add_argument("--folds-only", action="store_true", help="measure the recipe, and train nothing on all chips")
    parser.add_argument("--steps", type=int, default=RECIPE["steps"], help="steps of every run")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another recipe, for trials")
    parser.add_argument("--simulated", type=int, default=0, metavar="N", help="learn from N simulated scenes too")
    args = parser.parse_args(given)
    recipe = {**RECIPE, "steps": args.steps}
    recipe |= {name: json.loads(value) for name, _, value in (one.partition("=") for one in args.set)}
    chips = chips_of(args.data, "train")
    more = simulated_chips(args.out, args.simulated)
    folds = cross_validated(chips, args.out, recipe, more)
    found = calibrated(folds)
    rest = np.concatenate([one.matrices for name, one in folds.items() if name != "large"])
    study = {
        "recipe": recipe,
        "simulated": args.simulated,
        **found,
        "folds": {name: figures_of(one.matrices) for name, one in folds.items()},
        "others": figures_of(rest),
    }
    (args.out / "study.json").write_text(json.dumps(study, indent=2) + "\n", encoding="utf-8")
    print(table({**study["folds"], "others together": study["others"]}))
    if args.markdown:
        args.markdown.write_text(table({**study["folds"], "others together": study["others"]}), encoding="utf-8")
    if args.folds_only:
        return 0
    whole = trained([*chips, *more], args.out, "whole", check=chips[::8], recipe=recipe)
    card = {
        **whole.card.model_dump(mode="json"),
        "name": NAME,
        "title": "Land cover from Sentinel-2",
        "description": "Starter model: ResNet-18 U-Net of a quarter of the usual width, trained by "
        "scripts/train_starter_models --model landcover on 193 chips of 21 places; most are of one of them.",
        "licence": "GPL-2.0-or-later",
        "temperature": found["temperature"],
        "unknown_below": found["unknown_below"],
        "trained_on": [*TRAINED_ON, *([SIMULATED] if more else [])],
        "figures": card_figures(folds, found["ece"]),
        "tile": 256,
    }
    for filled in ("weights_sha256", "engine_version"):
        card.pop(filled)
    done = save_bundle((args.install or args.out / "half") / NAME, whole.network(), card, half=True)
    size = sum(file.stat().st_size for file in done.folder.iterdir())
    print(f"{done.folder}: {size / 1e6:.2f} MB")
    return 0


def table(by_name: dict[str, dict[str, Any]]) -> str:
    """Rows of overall accuracy and mean IoU."""

    def cell(e: dict[str, Any]) -> str:
        return "–" if e["value"] is None else f"{e['value']:.3f} ({e['low']:.2f} to {e['high']:.2f})"

    lines = ["| held out | chips | overall accuracy | mean IoU |", "| --- | --- | --- | --- |"]
    for name, f in by_name.items():
        lines.append(f"| {name} | {f['miou']['n']} | {cell(f['overall_accuracy'])} | {cell(f['miou'])} |")
    return "\n".join(lines) + "\n"
