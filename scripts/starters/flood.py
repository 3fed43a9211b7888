"""Train the starter model flood-s1 from simulated scenes and real dry ground, and measure it on labelled chips.

  train_starter_models --model flood-s1 DATA -o FOLDER [--install resources/models] [--markdown FILE] [--further STEPS]

DATA is a folder with flood/{train,val}/NAME_S1.tif and NAME_label.tif (chips of Sen1Floods11) and s1s2_pairs/pairs.csv
(real Sentinel-1/Sentinel-2 pairs of dry ground). FOLDER keeps every run: a second call goes on where the first was
stopped.

The network sees simulated scenes and real images of dry ground; no labelled chip has a part in its training, so each
chip is of an event left out. It maps them by the pipeline of "engine flood", alone and together with the thresholds.
--further tells what training on the chips of all other events adds, one event left out at a time; it is not shipped.

Every training run is "engine finetune"; the command stands in the result.json of each. Run it with the engine's Python.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from engine.events import Reporter
from engine.mapping.flood.arrays import map_arrays
from engine.mapping.flood.evaluate import MIN_WATER_SHARE, water_of
from engine.mapping.flood.fused import FusedDetector
from engine.mapping.flood.model import ModelDetector
from engine.mapping.flood.threshold import ThresholdDetector
from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration
from engine.metrics.segmentation import figures_of_counts
from engine.models.bundle import Bundle, load_bundle, save_bundle
from engine.raster.read import open_raster
from engine.simulate.scene import simulate_scene
from engine.training.data.packing import run as pack
from engine.training.data.request import DataPackRequest
from engine.training.finetune import run as finetune
from engine.training.requests import FinetuneRequest

NAME = "flood-s1"
SEEDS = {"train": (3000, 3150), "validation": (8000, 8010), "test": (9000, 9012)}
SIDE = 512
SQUARE = 256
DARK_DB = -24.0
"""Dry simulated ground whose 5 x 5 mean in VH lies below this is not learned from: it looks as water does."""

HIDDEN = 0.75
"""Flood of which plants and houses hide a larger share is not learned from; below it, light still shows water."""

COMMON = {
    "crop": 192,
    "batch": 8,
    "class_weights": "none",
    "weight_decay": 1e-3,
    "precision": "bf16",
    "jitter": 0.2,
    "common_jitter": 0.4,
    "scale": 1.3,
    "workers": 1,
    "device": "cpu",
    "checkpoint_every": 200,
    "log_every": 20,
}
BASE = {"steps": 3000, "lr": 3e-3, "width": 0.25, "loss": "ce", "ema": 0.995}
FURTHER = {"lr": 3e-4, "loss": "ce+dice", "ema": 0.98, "warmup": 0.1}
PARTS = {"base": {"simulated": 1, "dry": 14}, "further": {"simulated-some": 1, "dry": 1, "chips": 3}}
"""How often each source stands in the data of a stage: shares of the squares follow."""

TRAINED_ON = [
    {
        "name": "Simulated scenes (engine simulate scene)",
        "licence": "none needed",
        "attribution": "Made by this project; everything in them is invented.",
    },
    {
        "name": "TerraMesh, 3 Sentinel-1 images of dry ground",
        "licence": "CC-BY-SA-4.0",
        "attribution": "Blumenstiel et al. 2025; contains modified Copernicus Sentinel data. Share-alike: say so when "
        "these weights are passed on.",
    },
    {
        "name": "SSL4EO-S12, 2 Sentinel-1 images of dry ground",
        "licence": "CC-BY-4.0",
        "attribution": "Wang et al.; contains modified Copernicus Sentinel data.",
    },
    {
        "name": "BigEarthNet-MM, 4 Sentinel-1 images of dry ground",
        "licence": "CDLA-Permissive-1.0",
        "attribution": "Sumbul et al.; contains modified Copernicus Sentinel data.",
    },
]
DRY = ("terramesh_", "ssl4eo_", "ben_")
SNOW = "terramesh_609U_541L_3_0"
"""A pair of snow, which the water index of light takes for water: all of it is dry."""

Counts = tuple[int, int, int, int]


def scene_settings(seed: int) -> dict[str, Any]:
    """Settings of the simulated scene of a seed, drawn from it: all kinds of weather, floods, ground and looks."""
    r = np.random.default_rng(seed)
    return {
        "seed": seed,
        "width": SIDE,
        "height": SIDE,
        "wind": float(r.choice([0.05, 0.1, 0.3, 0.6, 0.9])),
        "flood": float(r.choice([0, 0.5, 1, 2.5, 5, 20], p=[0.1, 0.2, 0.25, 0.2, 0.15, 0.1])),
        "looks": float(r.uniform(3.5, 6)),
        "relief": float(r.choice([20, 100, 250, 800])),
        "towns": bool(r.random() < 0.8),
        "lookalikes": bool(r.random() < 0.2),
        "bright_fields": float(r.choice([0, 0.03, 0.1])),
        "wet_fields": float(r.choice([0, 0.05, 0.15, 0.3, 0.6], p=[0.3, 0.2, 0.2, 0.2, 0.1])),
        "products": "s1,labels,truth",
    }


def write(path: Path, values: NDArray[Any], names: tuple[str, ...], like: rasterio.DatasetReader | None = None) -> None:
    """A GeoTIFF of (bands, rows, columns), aside first; on the grid of ``like``, else of 10 m in UTM."""
    profile: dict[str, Any] = {"driver": "GTiff", "compress": "deflate", "tiled": True, "count": len(values)}
    profile |= {"height": values.shape[1], "width": values.shape[2], "dtype": values.dtype}
    transform = rasterio.transform.from_origin(500_000, 4_000_000, 10, 10)
    profile |= {"crs": like.crs, "transform": like.transform} if like else {"crs": "EPSG:32633", "transform": transform}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial.tif")
    with rasterio.open(aside, "w", **profile, nodata=math.nan if values.dtype.kind == "f" else None) as file:
        file.write(values)
        file.descriptions = names
        if names[0] == "VV":
            file.update_tags(UNITS="dB")
    aside.replace(path)


def simulate(folder: Path, seeds: range, *, learn: bool) -> None:
    """NAME_S1.tif and NAME_label.tif of each seed after the event, and of every other seed before it too.

    ``learn``: the labels are those to learn from: flood under plants up to :data:`HIDDEN` is water, and dry ground that
    is as dark as water is not labelled.
    """
    for seed in seeds:
        if (folder / f"{seed}_after_label.tif").exists():
            continue
        scene = simulate_scene(**scene_settings(seed))
        if scene.flood_truth is None or scene.hidden is None:
            raise ValueError("The simulation left out what was asked for.")
        seen = np.where(scene.flood_truth > 0, np.where(scene.hidden <= HIDDEN, 1, -1), 0)
        dates = [("after", scene.after, seen if learn else scene.after_label)]
        if seed % 2 == 0:
            dates.insert(0, ("before", scene.before, scene.before_label))
        for date, image, label in dates:
            if image is None or label is None:
                raise ValueError("The simulation left out what was asked for.")
            if learn:
                mean = 10 * np.log10(uniform_filter(10 ** (np.nan_to_num(image[1], nan=-10.0) / 10), 5))
                label = np.where((label == 0) & (mean < DARK_DB), -1, label)
            write(folder / f"{seed}_{date}_S1.tif", image.astype(np.float32), ("VV", "VH"))
            write(folder / f"{seed}_{date}_label.tif", label[None].astype(np.int16), ("label",))


def dry_ground(data: Path, folder: Path) -> None:
    """Real Sentinel-1 images of dry ground: labels 0, and −1 where the water index of the Sentinel-2 partner
    (MNDWI = (B03 − B11) / (B03 + B11)) is above 0."""
    with (data / "s1s2_pairs" / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["name"].startswith(DRY)]
    for row in rows:
        with open_raster(str(data / row["s1"]), what="S1") as s1:
            with open_raster(str(data / (row["s2_l1c"] or row["s2_l2a"])), what="S2") as light:
                green, swir = (light.names.index(name) + 1 for name in ("B03", "B11"))
                g, s = light.onto(s1.grid, resampling="bilinear").read(s1.grid.window, [green, swir])
            with np.errstate(all="ignore"):
                wet = (g - s) / (g + s) > 0
            image = s1.read(s1.grid.window, [1, 2])
        unknown = ~np.isfinite(image).all(0) | (wet & (row["name"] != SNOW))
        with rasterio.open(data / row["s1"]) as like:
            write(folder / f"{row['name']}_S1.tif", image.astype(np.float32), ("VV", "VH"), like)
            write(
                folder / f"{row['name']}_label.tif", np.where(unknown, -1, 0)[None].astype(np.int16), ("label",), like
            )


def packed(source: Path, folder: Path) -> Path:
    """The labelled squares of ``source`` as a pack."""
    if not (folder / "index.json").exists():
        pack(
            DataPackRequest(path=f"folder:{source}", out=str(folder), crop=SQUARE, need="labels", max_missing=0.9),
            Reporter(),
        )
    return folder


def chips_of(data: Path) -> dict[str, tuple[Path, Path]]:
    """Image and label of every chip by name."""
    images = sorted((data / "flood").glob("*/*_S1.tif"))
    return {f.stem.removesuffix("_S1"): (f, f.with_name(f.name.replace("_S1", "_label"))) for f in images}


def event_of(chip: str) -> str:
    return chip.split("_")[0]


def listed(chips: dict[str, tuple[Path, Path]], path: Path) -> Path:
    """A pairs.csv of these chips."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / "pairs.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["name", "s1", "s2", "label", "group"])
        for name, (image, label) in chips.items():
            writer.writerow([name, image.resolve(), "", label.resolve(), event_of(name)])
    return path


def trained(out: Path, **options: Any) -> Bundle:
    """The model of a run of "engine finetune", gone on with where it was stopped."""
    if not (out / "result.json").exists():
        started = time.monotonic()
        request = FinetuneRequest(out=str(out), resume=(out / "config.json").exists(), **COMMON, **options)
        finetune(request, Reporter())
        print(f"{out.name}: {request.steps} steps in {time.monotonic() - started:.0f} s", flush=True)
    return load_bundle(out / "model")


def halved(bundle: Bundle, folder: Path, **changes: Any) -> Bundle:
    """The bundle with weights as float16, as it ships."""
    card = {**bundle.card.model_dump(mode="json"), **changes}
    for filled in ("weights_sha256", "engine_version"):
        card.pop(filled)
    return save_bundle(folder, bundle.network(), card, half=True)


class Score:
    """Counts of one map, whole and by blocks of 64 x 64 pixels."""

    def __init__(self, mapped: NDArray[np.bool_], label: NDArray[np.int64]) -> None:
        known = label >= 0
        hits = [mapped & (label == 1), mapped & (label == 0), ~mapped & (label == 1), ~mapped & (label == 0)]
        rows, cols = (math.ceil(n / 64) for n in label.shape)
        blocks = np.zeros((4, rows * 64, cols * 64), np.int64)
        for plane, hit in zip(blocks, hits, strict=True):
            plane[: label.shape[0], : label.shape[1]] = hit & known
        self.blocks = blocks.reshape(4, rows, 64, cols, 64).sum((2, 4)).reshape(4, -1).T
        self.counts: Counts = tuple(int(n) for n in self.blocks.sum(0))  # type: ignore[assignment]

    @property
    def wet(self) -> bool:
        tp, fp, fn, tn = self.counts
        return (tp + fn) / max(1, tp + fp + fn + tn) >= MIN_WATER_SHARE

    @property
    def false_alarms(self) -> float:
        return self.counts[1] / max(1, sum(self.counts))


iou_of = partial(figures_of_counts, "iou")


def _iou(one: Score) -> float:
    return float(iou_of(np.array(one.counts, np.float64)))


def score(detector: Any, image: Path, label: Path, calibration: PercentCalibration) -> Score:
    """A chip by the pipeline of "engine flood"; its calibration is added to ``calibration``."""
    with open_raster(str(label), what="label") as file:
        values = file.read(file.grid.window, [1])[0]
    arrays = map_arrays(str(image), reporter=Reporter(), detector=detector)
    truth = np.where(np.isfinite(values) & (arrays.codes != 255), np.nan_to_num(values, nan=-1), -1).astype(np.int64)
    given = (truth >= 0) & (arrays.probability <= 100)
    calibration.add(arrays.probability[given], truth[given] == 1)
    return Score(water_of(arrays), truth)


def figures(scores: dict[str, Score], calibration: PercentCalibration) -> dict[str, Any]:
    rows = np.array([s.counts for s in scores.values()], np.float64)
    ious = np.array([(_iou(s), 1.0) for s in scores.values() if s.wet]).reshape(-1, 2)
    return {
        "pooled_iou": pooled_estimate(rows, iou_of).plain(),
        "mean_iou": pooled_estimate(ious, lambda s: s[..., 0] / s[..., 1]).plain(),
        "ece": calibration.ece(),
        "brier": calibration.brier(),
        "chips": {
            name: {
                "counts": s.counts,
                "iou": pooled_estimate(s.blocks.astype(np.float64), iou_of).plain() if s.wet else None,
                "false_alarms": s.false_alarms,
            }
            for name, s in scores.items()
        },
    }


def differences(a: dict[str, Score], b: dict[str, Score]) -> dict[str, Any]:
    """Pooled and mean IoU of ``a`` less ``b``, with paired bootstrap over chips."""
    names = list(a)
    both = np.array([[*a[n].counts, *b[n].counts] for n in names], np.float64)
    wet = [n for n in names if a[n].wet]
    gaps = np.array([(_iou(a[n]) - _iou(b[n]), 1.0) for n in wet]).reshape(-1, 2)
    return {
        "pooled_iou": pooled_estimate(both, lambda s: iou_of(s[..., :4]) - iou_of(s[..., 4:])).plain(),
        "mean_iou": pooled_estimate(gaps, lambda s: s[..., 0] / s[..., 1]).plain(),
    }


def card_figures(study: dict[str, Any]) -> list[dict[str, Any]]:
    """What the card states: measured on data that had no part in training."""
    left = study["methods"]["flood-s1"]
    out = []
    for metric, title in (("pooled_iou", "iou"), ("mean_iou", "mean_iou")):
        what = "8 hand-labelled chips of Sen1Floods11 (Bonafilia et al. 2020), none of them trained on"
        out.append({"metric": title, **left[metric], "data": what})
    for name, chip in left["chips"].items():
        if chip["iou"] is not None:
            blocks = "not trained on; interval over blocks of 64 x 64 pixels"
            out.append({"metric": "iou", **chip["iou"], "data": f"Sen1Floods11 {name}, {blocks}"})
    out.append({"metric": "iou", **study["simulated"]["flood-s1"]["pooled_iou"], "data": "simulated scenes, held out"})
    return [one for one in out if one["value"] is not None]


def markdown(study: dict[str, Any]) -> str:
    """The tables of docs/studies/flood-starter.md."""

    def interval(e: dict[str, Any]) -> str:
        return "–" if e["value"] is None else f"{e['value']:.3f} ({e['low']:.2f} to {e['high']:.2f})"

    lines = [
        "| | pooled water IoU | mean IoU, chips with ≥ 1 % water | ECE | Brier |",
        "| --- | --- | --- | --- | --- |",
    ]
    methods = study["methods"]
    for name, f in methods.items():
        pooled, mean = interval(f["pooled_iou"]), interval(f["mean_iou"])
        lines.append(f"| {name} | {pooled} | {mean} | {f['ece']:.3f} | {f['brier']:.3f} |")
    for name, gap in study["differences"].items():
        lines.append(f"| {name} less threshold | {interval(gap['pooled_iou'])} | {interval(gap['mean_iou'])} | | |")
    names = list(study["methods"])
    lines += ["", f"| chip | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    for chip in next(iter(study["methods"].values()))["chips"]:
        cells = []
        for f in study["methods"].values():
            one = f["chips"][chip]
            cells.append(interval(one["iou"]) if one["iou"] else f"false alarms {one['false_alarms']:.2%}")
        lines.append(f"| {chip} | {' | '.join(cells)} |")
    lines += ["", "Simulated scenes that nothing was chosen or trained on:", ""]
    lines += ["| | pooled water IoU | mean IoU | ECE |", "| --- | --- | --- | --- |"]
    for name, f in study["simulated"].items():
        lines.append(f"| {name} | {interval(f['pooled_iou'])} | {interval(f['mean_iou'])} | {f['ece']:.3f} |")
    return "\n".join(lines) + "\n"


def further_on_chips(
    out: Path,
    chips: dict[str, tuple[Path, Path]],
    places: Callable[[Path], tuple[str, ...]],
    options: dict[str, Any],
    methods: dict[str, dict[str, Score]],
    calibrations: dict[str, PercentCalibration],
) -> None:
    """Train on from the base on the chips of all events but one, map that one; the scores go to ``methods``."""
    names = ("threshold+further", "further")
    for name in names:
        methods[name], calibrations[name] = {}, PercentCalibration()
    for event in sorted({event_of(name) for name in chips}):
        rest = {name: files for name, files in chips.items() if event_of(name) != event}
        others = packed(listed(rest, out / "lists" / event), out / "packs" / f"without-{event}")
        model = trained(out / f"without-{event}", data=places(others), **options)
        left = ModelDetector(halved(model, out / "half" / event), device="cpu")
        for name, files in chips.items():
            if event_of(name) == event:
                for method, detector in zip(names, (FusedDetector(ThresholdDetector(), left), left), strict=True):
                    methods[method][name] = score(detector, *files, calibrations[method])


def main(given: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--install", type=Path, help="folder of models into which flood-s1 is put")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--steps", type=int, default=BASE["steps"], help="steps of the base")
    parser.add_argument("--further", type=int, default=0, help="steps on the chips of all events but one")
    parser.add_argument("--scenes", type=int, default=SEEDS["train"][1] - SEEDS["train"][0], help="simulated scenes")
    parser.add_argument("--width", type=float, default=BASE["width"])
    args = parser.parse_args(given)
    out: Path = args.out
    first = SEEDS["train"][0]
    simulate(out / "simulated", range(first, first + args.scenes), learn=True)
    some = max(1, args.scenes // 8)
    simulate(out / "simulated-some", range(first, first + some), learn=True)
    held = {
        part: range(SEEDS[part][0], SEEDS[part][0] + min(args.scenes, SEEDS[part][1] - SEEDS[part][0]))
        for part in SEEDS
    }
    for part in ("validation", "test"):
        simulate(out / part, held[part], learn=False)
    dry_ground(args.data, out / "dry")
    packs = {
        name: packed(out / name, out / "packs" / name) for name in ("simulated", "simulated-some", "validation", "dry")
    }

    def places(stage: str, chips: Path | None = None) -> tuple[str, ...]:
        known = {**packs, **({"chips": chips} if chips else {})}
        return tuple(str(known[name]) for name, times in PARTS[stage].items() for _ in range(times))

    check = (str(packs["validation"]),)
    base = trained(
        out / "base", data=places("base"), validation=check, **{**BASE, "steps": args.steps, "width": args.width}
    )
    chips = chips_of(args.data)
    shipped = halved(base, out / "half" / "base")
    model, fast = ModelDetector(shipped, device="cpu"), ThresholdDetector()
    detectors: dict[str, Any] = {"threshold+flood-s1": FusedDetector(fast, model), "flood-s1": model, "threshold": fast}
    methods: dict[str, dict[str, Score]] = {}
    calibrations: dict[str, PercentCalibration] = {}
    for method, detector in detectors.items():
        calibrations[method] = PercentCalibration()
        methods[method] = {name: score(detector, *files, calibrations[method]) for name, files in chips.items()}
    if args.further:
        options = {**FURTHER, "steps": args.further, "encoder": str(base.folder), "validation": check}
        further_on_chips(out, chips, lambda others: places("further", others), options, methods, calibrations)
    simulated: dict[str, dict[str, Any]] = {}
    for method, detector in detectors.items():
        calibration, found = PercentCalibration(), {}
        for image in sorted((out / "test").glob("*_after_S1.tif")):
            label = image.with_name(image.name.replace("_S1", "_label"))
            found[image.stem] = score(detector, image, label, calibration)
        simulated[method] = figures(found, calibration)
    study = {
        "methods": {name: figures(found, calibrations[name]) for name, found in methods.items()},
        "differences": {n: differences(methods[n], methods["threshold"]) for n in methods if n != "threshold"},
        "simulated": simulated,
    }
    (out / "study.json").write_text(json.dumps(study, indent=2) + "\n", encoding="utf-8")
    text = markdown(study)
    print(text)
    if args.markdown:
        args.markdown.write_text(text, encoding="utf-8")
    if args.install:
        card = {
            "name": NAME,
            "title": "Water from Sentinel-1 (VV, VH)",
            "description": "Starter model: ResNet-18 U-Net of a quarter of the usual width, trained by "
            "scripts/train_starter_models on simulated scenes and real dry ground.",
            "licence": "GPL-2.0-or-later; trained on data of which some is CC-BY-SA-4.0 (see trained_on)",
            "gsd_m": [8.0, 12.5],
            "tile": 512,
            "trained_on": TRAINED_ON,
            "figures": card_figures(study),
        }
        done = halved(base, args.install / NAME, **card)
        size = sum(file.stat().st_size for file in done.folder.iterdir())
        print(f"{done.folder}: {size / 1e6:.2f} MB")
    return 0
