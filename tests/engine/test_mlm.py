"""The STAC item of a bundle: valid by the extension's library where that is installed, and by its written rules."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.models.bundle import load_bundle, save_bundle
from engine.models.mlm import MLM, SCHEMA
from engine.models.resnet import ResNet
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter

S1 = [{"sensor": "s1", "name": n, "unit": "db", "mean": -15.0, "std": 5.0} for n in ("VV", "VH")]
S2 = [{"sensor": "s2", "name": n, "unit": "reflectance", "mean": 0.1, "std": 0.2} for n in ("B03", "B04", "B08")]
FLOOD = [{"value": 0, "name": "dry land"}, {"value": 1, "name": "water"}]
COVER = [{"value": v, "name": n} for v, n in ((10, "tree cover"), (40, "cropland"), (80, "permanent water"))]


def card(**changes: Any) -> dict[str, Any]:
    return {
        **{"name": "tiny", "title": "A tiny network", "licence": "GPL-2.0-or-later", "task": "flood", "bands": S1},
        **{"gsd_m": [8, 25], "classes": FLOOD, "activation": "sigmoid", "temperature": 1.5},
        "trained_on": [{"name": "simulated scenes", "licence": "none"}],
        **changes,
    }


KINDS: dict[str, Any] = {
    "flood": (lambda: Segmenter(bands=2, classes=1, width=0.0625), card()),
    "validity": (lambda: Segmenter(bands=3, classes=1, width=0.0625), card(network={"validity": True})),
    "landcover": (
        lambda: Segmenter(bands=3, classes=3, encoder="resnet50", width=0.0625),
        card(task="landcover", bands=S2, classes=COVER, activation="softmax", licence="CC-BY 4.0, see there"),
    ),
    "both": (
        lambda: TwoSensorSegmenter(s1_bands=2, s2_bands=3, classes=1, width=0.0625),
        card(name="4-both-", bands=[*S1, *S2]),
    ),
    "encoder": (
        lambda: ResNet("resnet34", bands=3, width=0.0625),
        card(task="encoder", bands=S2, classes=[], activation="none", temperature=1),
    ),
}


@pytest.fixture(params=KINDS)
def folder(request, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    made, given = KINDS[request.param]
    return save_bundle(tmp_path / request.param, made().eval(), given).folder


def test_the_item_says_what_the_card_says(folder: Path) -> None:
    bundle = load_bundle(folder)
    item = json.loads((folder / MLM).read_text(encoding="utf-8"))
    properties = item["properties"]
    given = [
        (band, scale)
        for one in properties["mlm:input"]
        for band, scale in zip(one["bands"], one["value_scaling"], strict=True)
    ]
    assert [(b, s["mean"], s["stddev"]) for b, s in given] == [(b.name, b.mean, b.std) for b in bundle.card.bands]
    assert sum(one["input"]["shape"][1] for one in properties["mlm:input"]) == bundle.card.inputs
    output = properties["mlm:output"][0]
    assert [c["value"] for c in output["classification:classes"]] == [c.value for c in bundle.card.classes]
    assert bundle.card.task == "encoder" or output["result"]["shape"][1] == bundle.card.outputs
    assert properties["mlm:total_parameters"] == sum(p.numel() for p in bundle.module().parameters())
    for asset in item["assets"].values():
        assert (folder / asset["href"]).is_file()
    assert item["id"] == bundle.name


def test_the_written_rules_hold(folder: Path) -> None:
    """What the extension's text and JSON schema (1.5) and STAC 1.1 ask of an item."""
    item = json.loads((folder / MLM).read_text(encoding="utf-8"))
    assert item["type"] == "Feature" and SCHEMA in item["stac_extensions"] and item["stac_version"] == "1.1.0"
    assert {"id", "geometry", "bbox", "links", "assets", "properties"} <= item.keys()
    p = item["properties"]
    assert p["datetime"] is None and p["start_datetime"] < p["end_datetime"]
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", p["mlm:name"])
    assert re.fullmatch(r"[\w.+-]+", p["license"])
    assert {"mlm:architecture", "mlm:tasks", "mlm:input", "mlm:output"} <= p.keys()
    described = [band["name"] for band in p["bands"]]
    for one in p["mlm:input"]:
        assert set(one["bands"]) <= set(described) and "bands" in one["input"]["dim_order"]
        assert len(one["input"]["shape"]) == len(one["input"]["dim_order"])
    for one in p["mlm:output"]:
        assert set(one["tasks"]) <= {"semantic-segmentation", "similarity-search"}
        assert len(one["result"]["shape"]) == len(one["result"]["dim_order"])
        for entry in one["classification:classes"]:
            assert re.fullmatch(r"[0-9A-Za-z_\-]+", entry["name"])
    models = [a for a in item["assets"].values() if "mlm:model" in a["roles"]]
    assert len(models) == 1 and models[0]["mlm:artifact_type"] and models[0]["bands"] == p["bands"]


def test_the_library_of_the_extension_accepts_it(folder: Path) -> None:
    schema = pytest.importorskip("stac_model.schema", reason="stac-model is not installed")
    pystac = pytest.importorskip("pystac")
    item = json.loads((folder / MLM).read_text(encoding="utf-8"))
    read = schema.MLModelProperties(**item["properties"])
    assert read.name == item["properties"]["mlm:name"]
    assert len(read.input) == len(item["properties"]["mlm:input"])
    again = json.loads(read.model_dump_json(by_alias=True))
    assert again["mlm:output"][0]["result"] == item["properties"]["mlm:output"][0]["result"]
    assert pystac.Item.from_dict(item).id == item["id"]
    validator = pytest.importorskip("pystac.validation.stac_validator").JsonSchemaSTACValidator()
    validator.validate_core(item, pystac.STACObjectType.ITEM, "1.1.0")  # raises; from schemas in the package
    with pytest.raises(pystac.errors.STACValidationError):
        validator.validate_core({**item, "assets": {}}, pystac.STACObjectType.ITEM, "1.1.0")
    broken = {**item["properties"], "mlm:tasks": ["dancing"]}
    with pytest.raises(ValueError, match="dancing"):
        schema.MLModelProperties(**broken)


def test_the_same_card_gives_the_same_item(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        torch.manual_seed(0)
        save_bundle(tmp_path / name, KINDS["flood"][0]().eval(), KINDS["flood"][1])
        texts.append((tmp_path / name / MLM).read_bytes())
    assert texts[0] == texts[1]
