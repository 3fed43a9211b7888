"""Train the starter model crossview from simulated cities, and measure it on others.

  train_starter_models --model crossview -o FOLDER [--pairs REAL] [--install resources/models] [--markdown FILE] …

FOLDER keeps every city, run and score: a second call goes on where the first was stopped. Nothing but simulated cities
is seen (engine simulate city; the extra "cities"), so any real pair is a test; REAL is a set of them whose figures
go to table and card, after everything is chosen.

Two runs of "engine crossview train" (the command stands in the result.json of each): "centred" on cities whose cameras
stand in the middle of their tiles and whose headings are exact, which is quick to learn; "robust" goes on from it on
those and on cities with cameras up to 10 m off, with headings made wrong by up to 15° and stronger changes of colour,
for cells of a search are metres apart and 16 headings are tried. The weight of the geometric matcher in "fused" is
chosen on the cities "choose", the figures are of the cities "test". Every panorama is rolled at random first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from engine.crossview.data.find import find_set
from engine.crossview.evaluation.fused import Fused
from engine.crossview.evaluation.geometric import Geometric
from engine.crossview.evaluation.job import evaluate
from engine.crossview.evaluation.learned import Learned
from engine.crossview.evaluation.matching import Matcher
from engine.crossview.evaluation.request import EvaluateCrossviewRequest
from engine.device import choose_device
from engine.events import Reporter
from engine.models.bundle import Bundle, load_bundle
from engine.models.crossview import CrossViewNetwork
from engine.models.crossview_bundle import save_crossview
from engine.simulate.city.job import run as simulate
from engine.simulate.city.request import SimulateCityRequest
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.crossview.train import run as train

NAME = "crossview"
CHARACTERS = ("rural", "suburb", "suburb", "town", "centre", "suburb", "town", "rural")
HEIGHTS_M = (2.2, 2.4, 2.5, 2.6, 2.8)
CITIES: dict[str, dict[str, Any]] = {
    "centred": {"seeds": range(3000, 3040), "panoramas": 100, "size": 400},
    "offset": {"seeds": range(3200, 3216), "panoramas": 100, "size": 400, "offset": 10.0},
    "choose": {"seeds": range(8001, 8005), "panoramas": 50, "size": 400},
    "test-suburb": {"seeds": (9001,), "panoramas": 500, "size": 800, "character": "suburb", "camera_height": 2.5},
    "test-town": {"seeds": (9002,), "panoramas": 500, "size": 800, "character": "town", "camera_height": 2.5},
}
LOOKS = {"samples": 1, "pano_size": "512x128", "vfov": 65.45}
NETWORK = {
    "labels": 1.0,
    "encoder": "resnet18",
    "width": 0.25,
    "ground_size": "64x256",
    "overhead_size": 128,
    "extent": 64.0,
}
CENTRED = {"steps": 1200, "batch": 128, "lr": 3e-3}
ROBUST = {"steps": 600, "batch": 64, "lr": 1e-3, "heading_error": 15.0, "colour": 0.5}
WEIGHTS = (0.25, 0.5, 1.0, 2.0)
"""Of the geometric matcher beside the network, that are tried for fused."""

TRAINED_ON = [
    {
        "name": "Simulated cities (engine simulate city)",
        "licence": "none needed",
        "attribution": "Made by this project; everything in them is invented.",
    }
]
METRICS = ("r@1", "r@5", "r@10", "heading_within_10deg")


def make_city(folder: Path, options: dict[str, Any]) -> None:
    """One city, unless it is there."""
    if not (folder / "result.json").exists():
        simulate(SimulateCityRequest(out=str(folder), overwrite=True, **options), Reporter())


def cities(out: Path, part: str, jobs: int) -> tuple[str, ...]:
    """The folders of the cities of ``part``, made where they are not there yet, ``jobs`` at a time."""
    given = {name: value for name, value in CITIES[part].items() if name != "seeds"}
    wanted = []
    for seed in CITIES[part]["seeds"]:
        kind = {"character": CHARACTERS[seed % 8], "camera_height": HEIGHTS_M[seed % 5]}
        wanted.append((out / "cities" / f"{part}-{seed}", {"seed": seed, **kind, **LOOKS, **given}))
    started = time.monotonic()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(make_city, *zip(*wanted, strict=True)):
            pass
    print(f"{part}: {len(wanted)} cities in {time.monotonic() - started:.0f} s", flush=True)
    return tuple(str(folder) for folder, _ in wanted)


def trained(out: Path, **options: Any) -> Bundle:
    """The model of a run of "engine crossview train", gone on with where it was stopped."""
    if not (out / "result.json").exists():
        started = time.monotonic()
        begun = (out / "config.json").exists()
        request = CrossViewTrainRequest(out=str(out), resume=begun, **NETWORK, **options)
        train(request, Reporter())
        print(f"{out.name}: {request.steps} steps in {time.monotonic() - started:.0f} s", flush=True)
    return load_bundle(out / "model")


def halved(bundle: Bundle, folder: Path, **changes: Any) -> Bundle:
    """The bundle with weights as float16, as it ships."""
    card = {**bundle.card.model_dump(mode="json"), **changes}
    for filled in ("weights_sha256", "engine_version"):
        card.pop(filled)
    network = bundle.module()
    if not isinstance(network, CrossViewNetwork):
        raise TypeError(f"{bundle.folder} holds no cross-view network.")
    return save_crossview(folder, network, card, half=True)


def scored(places: Iterable[str], matcher: Matcher, keep: Path) -> dict[str, Any]:
    """The pooled figures of ``engine evaluate crossview`` for each set, kept in the folder ``keep``."""
    found = {}
    for place in places:
        name = Path(place).name
        kept = keep / f"{name}.json"
        if not kept.exists():
            request = EvaluateCrossviewRequest(path=place)
            result = evaluate(request, find_set(place), (), matcher, Reporter(), time.monotonic())
            keep.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(result["pooled"], indent=2) + "\n", encoding="utf-8")
        found[name] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def mean_of(found: dict[str, Any], metric: str) -> float:
    return sum(float(one[metric]["value"]) for one in found.values()) / len(found)


def table(methods: dict[str, dict[str, Any]]) -> str:
    """Figures of each city by method, with intervals over panoramas."""
    lines = [f"| city | method | {' | '.join(METRICS)} |", "| --- " * (2 + len(METRICS)) + "|"]
    for city in next(iter(methods.values())):
        for method, found in methods.items():
            cells = [
                f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
                for one in (found[city][m] for m in METRICS)
            ]
            lines.append(f"| {city} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(given: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the cities and runs")
    parser.add_argument("--pairs", help="real pairs (a folder with pairs.csv) to test on")
    parser.add_argument("--install", type=Path, help="folder of models into which crossview is put")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--jobs", type=int, default=2, help="cities that are made at a time")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args(given)
    out: Path = args.out
    sets = {part: cities(out, part, args.jobs) for part in CITIES}
    common = {"device": args.device, "workers": args.workers}
    centred = trained(out / "centred", data=sets["centred"], **CENTRED, **common)
    both = (*sets["centred"], *sets["offset"])
    robust = trained(out / "robust", data=both, start=str(centred.folder), **ROBUST, **common)
    shipped = halved(robust, out / "half", name=NAME)
    device = choose_device(args.device)
    scores, folder = out / "scores", str(shipped.folder)
    chosen = {}
    for weight in WEIGHTS:
        found = scored(sets["choose"], Fused(folder, device, weight=weight), scores / f"fused-{weight:g}")
        chosen[weight] = mean_of(found, "r@1")
    weight = max(chosen, key=lambda one: chosen[one])
    print("R@1 by weight of geometric in fused:", {one: round(value, 3) for one, value in chosen.items()}, flush=True)
    tests = (*sets["test-suburb"], *sets["test-town"], *([args.pairs] if args.pairs else []))
    methods = {
        "geometric": scored(tests, Geometric(device), scores / "geometric"),
        "crossview": scored(tests, Learned(folder, device), scores / "crossview"),
        "fused": scored(tests, Fused(folder, device, weight=weight), scores / "fused"),
    }
    study = {"weights": chosen, "weight": weight, "methods": methods}
    (out / "study.json").write_text(json.dumps(study, indent=2) + "\n", encoding="utf-8")
    text = table(methods)
    print(text)
    if args.markdown:
        args.markdown.write_text(text, encoding="utf-8")
    if args.install:
        real = Path(args.pairs).name if args.pairs else None
        figures = [
            {"metric": metric, **{k: one[metric][k] for k in ("value", "low", "high", "n")},
             "data": f"{'real pairs' if place == real else f'simulated city {place}, held out'}, rolled at random"}
            for place, one in methods["crossview"].items()
            for metric in METRICS
        ]  # fmt: skip
        done = halved(
            robust,
            args.install / NAME,
            name=NAME,
            title="Where a panorama was taken",
            description="Starter model: two ResNet-18 of a quarter of the usual width, trained by "
            "scripts/train_starter_models on simulated cities alone.",
            licence="GPL-2.0-or-later",
            trained_on=TRAINED_ON,
            figures=figures,
        )
        size = sum(file.stat().st_size for file in done.folder.iterdir())
        print(f"{done.folder}: {size / 1e6:.2f} MB")
    return 0
