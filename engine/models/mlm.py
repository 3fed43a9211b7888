"""The STAC item of a bundle by the Machine Learning Model extension (MLM 1.5), made from its card.

With ``mlm.json`` beside the weights a STAC catalogue can hold the model, and other software can learn what it takes and
gives: https://github.com/stac-extensions/mlm.
"""

from __future__ import annotations

import re
from typing import Any

from engine.models.card import BandInput, Card, CrossViewInputs, GroundInput, OverheadInput

MLM = "mlm.json"
SCHEMA = "https://stac-extensions.github.io/mlm/v1.5.2/schema.json"
_TITLES = {
    "resnet-unet": "U-Net with a {encoder} encoder",
    "two-sensor-unet": "U-Net with two {encoder} encoders, one for each sensor",
    "pixel": "Linear layer over pixels and their neighbourhoods",
    "pixel-unet": "Linear layer over pixels, their neighbourhoods and a frozen U-Net with a {encoder} encoder",
    "resnet": "{encoder}",
    "convnext": "{encoder}",
    "crossview": "Two {encoder} encoders with spatial maps, one for the ground and one for the view from above",
}
_ENCODERS = {
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "convnext_tiny": "ConvNeXt-T",
    "convnext_small": "ConvNeXt-S",
    "convnext_base": "ConvNeXt-B",
}
_RGB = ("red", "green", "blue")
_BRANCHES = {
    "ground": "Equirectangular image of the ground, its centre north unless the card says otherwise.",
    "overhead": "Image from above, north up.",
}
_OVER = {"sigmoid": "", "softmax": ", dim=1"}
_UNITS = {"db": "dB (sigma0)", "reflectance": "reflectance"}


def mlm_item(card: Card, *, weights: str, parameters: int) -> dict[str, Any]:
    """The STAC item as JSON-able values; ``weights`` is the file beside it, ``parameters`` their number.

    A model is of no place and time: the geometry is the whole Earth and the period all time, as the extension advises.
    The same card gives the same item.
    """
    # MLM 1.5 wants bands under properties, and STAC 1.1 allows them there only if an asset has them too.
    bands = [{"name": band.name, "description": _describe(band)} for band in card.bands]
    if card.crossview is not None:
        bands = [{"name": name, "description": f"{name} of a photo, 0 to 1"} for name in _RGB]
    task = "similarity-search" if card.task in ("encoder", "crossview") else "semantic-segmentation"
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [SCHEMA],
        "id": card.name,
        "geometry": {"type": "Polygon", "coordinates": [[[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]]},
        "bbox": [-180, -90, 180, 90],
        "properties": {
            "title": card.title,
            "description": card.description or card.title,
            "license": card.licence if re.fullmatch(r"[\w.+-]+", card.licence) else "other",
            "datetime": None,
            "start_datetime": "1900-01-01T00:00:00Z",
            "end_datetime": "9999-12-31T23:59:59Z",
            "gsd": card.gsd_m[0],
            "bands": bands,
            "mlm:name": f"samescene {card.name}".rstrip("._-"),
            "mlm:architecture": _TITLES[card.network.architecture].format(encoder=_ENCODERS[card.network.encoder]),
            "mlm:tasks": [task],
            "mlm:framework": "PyTorch",
            "mlm:total_parameters": parameters,
            "mlm:pretrained": True,
            "mlm:pretrained_source": ", ".join(data.name for data in card.trained_on) or "not told",
            "mlm:accelerator": None,
            "mlm:accelerator_constrained": False,
            "mlm:input": _inputs(card),
            "mlm:output": [_output(card, task)],
        },
        "assets": {
            "weights": {
                "href": f"./{weights}",
                "type": "application/octet-stream; application=safetensors",
                "title": "Weights",
                "roles": ["mlm:model", "mlm:weights", "data"],
                "mlm:artifact_type": "safetensors.torch.save_file",
                "bands": bands,
            },
            "card": {
                "href": "./card.json",
                "type": "application/json",
                "title": "Card: bands, units, normalisation, classes, training data and measured figures",
                "roles": ["metadata"],
            },
        },
        "links": [],
    }


def _describe(band: BandInput) -> str:
    return f"{band.sensor} {band.name} in {_UNITS[band.unit]}"


def _inputs(card: Card) -> list[dict[str, Any]]:
    """One input for each encoder: all bands, or those of each sensor."""
    if card.crossview is not None:
        return [_photo_input(name, part) for name, part in zip(_BRANCHES, _branches(card.crossview), strict=True)]
    groups = [list(card.bands)]
    if card.network.architecture == "two-sensor-unet":
        groups = [[band for band in card.bands if band.sensor == sensor] for sensor in card.sensors]
    found = []
    for bands in groups:
        validity = " The last channel is 1 where the pixel is valid, else 0." if card.network.validity else ""
        missing = " Either sensor may be missing." if len(groups) == 2 else ""
        found.append(
            {
                "name": " and ".join(dict.fromkeys(band.sensor for band in bands)),
                "description": f"Normalised values; missing ones are 0 after the scaling.{validity}{missing}",
                "bands": [band.name for band in bands],
                "input": {
                    "shape": [-1, len(bands) + int(card.network.validity), -1, -1],
                    "dim_order": ["batch", "bands", "height", "width"],
                    "data_type": "float32",
                },
                "value_scaling": [{"type": "z-score", "mean": band.mean, "stddev": band.std} for band in bands],
                "resize_type": None,
            }
        )
    return found


def _branches(inputs: CrossViewInputs) -> tuple[GroundInput | OverheadInput, ...]:
    return inputs.ground, inputs.overhead


def _photo_input(name: str, part: GroundInput | OverheadInput) -> dict[str, Any]:
    scaling = [{"type": "z-score", "mean": m, "stddev": s} for m, s in zip(part.mean, part.std, strict=True)]
    return {
        "name": name,
        "description": _BRANCHES[name],
        "bands": list(_RGB),
        "input": {
            "shape": [-1, 3, *part.size],
            "dim_order": ["batch", "bands", "height", "width"],
            "data_type": "float32",
        },
        "value_scaling": scaling,
        "resize_type": None,
    }


def _output(card: Card, task: str) -> dict[str, Any]:
    if card.crossview is not None:
        return {
            "name": "embedding",
            "description": "Embedding of unit length; those of one place lie close together.",
            "tasks": [task],
            "result": {"shape": [-1, -1], "dim_order": ["batch", "channel"], "data_type": "float32"},
            "classification:classes": [],
        }
    if card.task == "encoder":
        return {
            "name": "features",
            "description": "Features at strides 2, 4, 8, 16 and 32; their pooled last ones describe the image.",
            "tasks": [task],
            "result": {
                "shape": [-1, -1, -1, -1],
                "dim_order": ["batch", "channel", "height", "width"],
                "data_type": "float32",
            },
            "classification:classes": [],
        }
    names = [{"value": c.value, "name": re.sub(r"\W", "_", c.name), "description": c.name} for c in card.classes]
    which = f" of {card.classes[-1].name}" if card.activation == "sigmoid" else ", one channel a class"
    return {
        "name": card.task,
        "description": f"Logits{which}; {card.activation}(logits / {card.temperature:g}) gives probabilities.",
        "tasks": [task],
        "result": {
            "shape": [-1, card.outputs, -1, -1],
            "dim_order": ["batch", "class", "height", "width"],
            "data_type": "float32",
        },
        "classification:classes": names,
        "post_processing_function": {
            "format": "python",
            "expression": f"torch.{card.activation}(logits / {card.temperature:g}{_OVER[card.activation]})",
            "description": "Calibrated probabilities",
        },
    }
