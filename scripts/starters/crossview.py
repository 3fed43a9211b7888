"""Train the starter model crossview from simulated cities and aerial images, and measure it on others.

  train_starter_models --model crossview IMAGERY -o FOLDER [--pairs REAL] [--install resources/models] …

FOLDER keeps every city, set, run and score: a second call goes on where the first was stopped. IMAGERY is a folder with
overhead/overhead.csv (columns file, gsd_m: NAIP, of which every fifth image is held out) and
perspective/perspective.csv (columns overhead, gsd_m: orthophotos of Helsinki, all held out). No photo from a street is
seen (panoramas come from engine simulate city, the extra "cities", or are rendered from the aerial images), so any real
pair is a test; REAL is a set of them whose figures go to table and card, after everything is chosen.

Five runs of "engine crossview train" (the command stands in the result.json of each): "centred" on cities whose
cameras stand in the middle of their tiles and whose headings are exact, which is quick to learn; "robust" goes on from
it on those and on cities with cameras up to 10 m off, with headings made wrong by up to 15° and stronger changes of
colour, for cells of a search are metres apart and 16 headings are tried; "turned" goes on from that with the pairs of
aerial images too, in other light, and compares eight turns of every panorama: a network that never saw a wrong turn
takes many for matches; "wider" goes on from that with more places and days of the same aerial images, "years" with
views of them in other years (starters/years.py). Then the network of the ground's rings (starters/rings.py), which
turns photos over candidates, from pairs of aerial images and of the centred cities, again in stronger colours with more
places and days, and again with other years. Its weight in "fused" is chosen on pairs that are hard: the cities "choose"
and the held-out aerial images, of the same year and of others, disturbed (starters/disturbed.py). The figures are of
the cities "test". Every panorama is rolled at random first.
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
from engine.device import Device, choose_device
from engine.events import Reporter
from engine.models.bundle import Bundle, load_bundle
from engine.models.crossview import CrossViewNetwork
from engine.models.crossview_bundle import save_crossview
from engine.models.rings import RingNetwork
from engine.simulate.city.job import run as simulate
from engine.simulate.city.request import SimulateCityRequest
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.crossview.train import run as train
from starters.aerial_pairs import images_of, make_pairs
from starters.disturbed import disturb
from starters.ring_data import RingSet, ring_set
from starters.rings import kept_rings, train_rings

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
TURNED = {"steps": 1200, "batch": 128, "lr": 2e-3, "turns": 8, "colour": 0.5, "disguise": 0.5, "tilt": 2.0}
WIDER = {**TURNED, "steps": 1300}
YEARS = {**TURNED, "steps": 900, "colour": 0.7, "disguise": 0.7, "tilt": 3.0, "seed": 5}
WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Of the matcher that turns beside the network, that are tried for fused."""
RINGS: dict[str, Any] = {"steps": 6000, "seed": 0}
MORE: dict[str, Any] = {"steps": 4000, "seed": 21, "rate": 2e-3, "colour": 2.0}
OTHER_YEARS: dict[str, Any] = {"steps": 4000, "seed": 31, "rate": 2e-3, "colour": 2.0}
"""How the rings go on from there, and from there."""
AERIAL: dict[str, dict[str, Any]] = {
    "aerial": {"spots": 30, "days": 4, "off_m": 3.0, "seed": 1},
    "wide": {"spots": 40, "days": 8, "off_m": 3.0, "seed": 11},
    "years": {"spots": 40, "days": 6, "off_m": 3.0, "seed": 12, "years": True},
    "held-naip": {"spots": 12, "days": 1, "off_m": 2.0, "seed": 2},
    "held-helsinki": {"spots": 14, "days": 1, "off_m": 2.0, "seed": 3},
    "held-naip-years": {"spots": 12, "days": 1, "off_m": 2.0, "seed": 4, "years": True},
    "held-helsinki-years": {"spots": 14, "days": 1, "off_m": 2.0, "seed": 5, "years": True},
}

TRAINED_ON = [
    {
        "name": "Simulated cities (engine simulate city)",
        "licence": "none needed",
        "attribution": "Made by this project; everything in them is invented.",
    },
    {
        "name": "NAIP images of Santa Monica (24 chips of urban-tree-detection-data) and views rendered from them",
        "licence": "CC-BY-4.0",
        "attribution": "Ventura et al. 2024, urban-tree-detection-data; imagery: USDA National Agriculture Imagery "
        "Program.",
        "address": "https://github.com/jonathanventura/urban-tree-detection-data",
    },
]
METRICS = ("r@1", "r@5", "r@10", "heading_within_10deg")


def make_city(folder: Path, options: dict[str, Any]) -> None:
    """One city, unless it is there."""
    if not (folder / "result.json").exists():
        simulate(SimulateCityRequest(out=str(folder), overwrite=True, **options), Reporter())


def cities(out: Path, part: str, jobs: int, options: dict[str, Any] | None = None) -> tuple[str, ...]:
    """The folders of the cities of ``part`` (or of other ``options``), made where they are not there yet, ``jobs`` at a
    time."""
    options = options or CITIES[part]
    given = {name: value for name, value in options.items() if name != "seeds"}
    wanted = []
    for seed in options["seeds"]:
        kind = {"character": CHARACTERS[seed % 8], "camera_height": HEIGHTS_M[seed % 5]}
        wanted.append((out / "cities" / f"{part}-{seed}", {"seed": seed, **kind, **LOOKS, **given}))
    started = time.monotonic()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(make_city, *zip(*wanted, strict=True)):
            pass
    print(f"{part}: {len(wanted)} cities in {time.monotonic() - started:.0f} s", flush=True)
    return tuple(str(folder) for folder, _ in wanted)


def aerial_sets(out: Path, imagery: Path, jobs: int) -> dict[str, Path]:
    """The sets of pairs that are rendered from aerial images, made where they are not there yet."""
    naip = images_of(imagery / "overhead", "overhead.csv", "file")
    held = naip[2::5]
    learned = [one for one in naip if one not in held]
    images = {"held-naip": held, "held-helsinki": images_of(imagery / "perspective", "perspective.csv", "overhead")}
    started = time.monotonic()
    for name, options in AERIAL.items():  # what is not held out is learned from
        make_pairs(out / "sets" / name, images.get(name.removesuffix("-years"), learned), **options, jobs=jobs)
    print(f"pairs from aerial images in {time.monotonic() - started:.0f} s", flush=True)
    return {name: out / "sets" / name for name in AERIAL}


def ring_network(out: Path, aerial: dict[str, Path], centred: Sequence[str], device: Device, jobs: int) -> RingNetwork:
    """The network of the ground's rings, trained where it is not there yet."""

    def data(name: str, places: Sequence[str], variants: int, seed: int) -> RingSet:
        file = out / "rings" / f"{name}-pairs.safetensors"
        return ring_set(places, file, variants=variants, seed=seed, jobs=jobs)

    def part(name: str, pairs: dict[str, int], options: dict[str, Any], start: RingNetwork | None) -> RingNetwork:
        file = out / "rings" / f"{name}.safetensors"
        network = kept_rings(file)
        if network is None:
            started = time.monotonic()
            sets = [data(one, [str(aerial[one])], variants, 1) for one, variants in pairs.items()]
            sets.append(data("centred", centred, 2, 2))
            network = train_rings(sets, file, **options, start=start, device=device)
            print(f"rings, {name}: {options['steps']} steps in {time.monotonic() - started:.0f} s", flush=True)
        return network

    first = part("network", {"aerial": 4}, RINGS, None)
    more = part("more", {"wide": 3}, MORE, first)
    return part("years", {"years": 3, "wide": 3}, OTHER_YEARS, more)


def trained(out: Path, **options: Any) -> Bundle:
    """The model of a run of "engine crossview train", gone on with where it was stopped."""
    if not (out / "result.json").exists():
        started = time.monotonic()
        begun = (out / "config.json").exists()
        request = CrossViewTrainRequest(out=str(out), resume=begun, **NETWORK, **options)
        train(request, Reporter())
        print(f"{out.name}: {request.steps} steps in {time.monotonic() - started:.0f} s", flush=True)
    return load_bundle(out / "model")


def halved(bundle: Bundle, rings: RingNetwork, folder: Path, **changes: Any) -> Bundle:
    """The bundle and the rings' network together, with weights as float16, as it ships."""
    card = {**bundle.card.model_dump(mode="json"), **changes}
    for filled in ("weights_sha256", "engine_version"):
        card.pop(filled)
    network = bundle.module()
    if not isinstance(network, CrossViewNetwork):
        raise TypeError(f"{bundle.folder} holds no cross-view network.")
    network.rings = rings
    return save_crossview(folder, network, card, half=True)


class Again:
    """A matcher whose photos and images are described once: it is asked again in the same order."""

    def __init__(self, matcher: Matcher) -> None:
        self._matcher, self.name = matcher, matcher.name
        self._kept: dict[str, list[Any]] = {"query": [], "entry": []}
        self._at = {"query": 0, "entry": 0}
        self.describe, self.table = matcher.describe, matcher.table

    def rewind(self) -> None:
        """The next evaluation is of the same sets in the same order."""
        self._at = {"query": 0, "entry": 0}

    def query(self, pixels: Any, view: Any, latitude: float | None = None) -> Any:
        """As the matcher's."""
        return self._next("query", pixels, view, latitude)

    def entry(self, pixels: Any, gsd_m: float | None) -> Any:
        """As the matcher's."""
        return self._next("entry", pixels, gsd_m)

    def _next(self, kind: str, *given: Any) -> Any:
        kept, at = self._kept[kind], self._at[kind]
        if at == len(kept):
            kept.append(getattr(self._matcher, kind)(*given))
        self._at[kind] += 1
        return kept[at]


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
    parser.add_argument("imagery", type=Path, help="folder of the aerial images")
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
    aerial = aerial_sets(out, args.imagery, args.jobs)
    turned = trained(out / "turned", data=(*both, str(aerial["aerial"])), start=str(robust.folder), **TURNED, **common)
    wider = trained(out / "wider", data=(*both, str(aerial["wide"])), start=str(turned.folder), **WIDER, **common)
    apart = (*both, str(aerial["wide"]), str(aerial["years"]))
    years = trained(out / "years", data=apart, start=str(wider.folder), **YEARS, **common)
    device = choose_device(args.device)
    rings = ring_network(out, aerial, sets["centred"], device, args.jobs)
    shipped = halved(years, rings, out / "half", name=NAME)
    scores, folder = out / "scores", str(shipped.folder)
    hard = {name: out / "sets" / name for name in ("hard-cities", "hard-aerial", "hard-years")}
    disturb(sets["choose"], hard["hard-cities"])
    disturb([str(aerial["held-naip"]), str(aerial["held-helsinki"])], hard["hard-aerial"])
    disturb([str(aerial["held-naip-years"]), str(aerial["held-helsinki-years"])], hard["hard-years"])
    places = tuple(map(str, hard.values()))
    others = {
        "geometric": scored(places, Geometric(device), scores / "hard-geometric"),
        "crossview": scored(places, Learned(folder, device), scores / "hard-crossview"),
    }
    fused = Fused(folder, device)
    again = {place: Again(fused) for place in places}
    for fused.weight in WEIGHTS:
        found = others[f"fused, {fused.weight:g}"] = {}
        for place, matcher in again.items():
            matcher.rewind()
            found |= scored((place,), matcher, scores / f"hard-fused-{fused.weight:g}")
    chosen = {weight: mean_of(others[f"fused, {weight:g}"], "r@1") for weight in WEIGHTS}
    print(table(others))
    weight = max(chosen, key=lambda one: chosen[one])
    print("R@1 by weight of the rings in fused:", {one: round(value, 3) for one, value in chosen.items()}, flush=True)
    tests = (*sets["test-suburb"], *sets["test-town"], *([args.pairs] if args.pairs else []))
    methods = {
        "geometric": scored(tests, Geometric(device), scores / "geometric"),
        "crossview": scored(tests, Learned(folder, device), scores / "crossview"),
        "fused": scored(tests, Fused(folder, device, weight=weight), scores / "fused"),
    }
    study = {"weights": chosen, "weight": weight, "hard": others, "methods": methods}
    (out / "study.json").write_text(json.dumps(study, indent=2) + "\n", encoding="utf-8")
    text = table(methods)
    print(text)
    if args.markdown:
        args.markdown.write_text(text, encoding="utf-8")
    if args.install:
        real = Path(args.pairs).name if args.pairs else None
        figures = [
            {"metric": metric, **{k: one[metric][k] for k in ("value", "low", "high", "n")},
             "data": f"{'real pairs' if place == real else f'simulated city {place}, held out'}, rolled at random, "
             f"{'network alone' if method == 'crossview' else 'fused'}"}
            for method in ("crossview", "fused")
            for place, one in methods[method].items()
            for metric in METRICS
        ]  # fmt: skip
        done = halved(
            years,
            rings,
            args.install / NAME,
            name=NAME,
            title="Where a panorama was taken",
            description="Starter model: two ResNet-18 of a quarter of the usual width, trained by "
            "scripts/train_starter_models, and a network that turns the ground of a photo over that of candidates; "
            "both saw simulated cities and views rendered from aerial images alone.",
            licence="GPL-2.0-or-later",
            trained_on=TRAINED_ON,
            figures=figures,
        )
        size = sum(file.stat().st_size for file in done.folder.iterdir())
        print(f"{done.folder}: {size / 1e6:.2f} MB")
    return 0
