"""``engine models list|show|verify|remove|export-onnx``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from engine.cli.console import Console
from engine.cli.failure import report
from engine.environment import drop_foreign_variables, let_waiting_threads_sleep
from engine.errors import EngineError
from engine.models.bundle import KnownModel, find_model, list_models, load_bundle
from engine.plainjson import dumps
from engine.quiet import quiet_libraries

DEBUG = click.option("--debug", is_flag=True, help="Show tracebacks and the warnings of libraries.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")


def tell(work: Callable[[], list[str]], *, debug: bool) -> None:
    """Print the lines that ``work`` gives and leave: 0, or 1 with one line on stderr."""
    drop_foreign_variables()
    let_waiting_threads_sleep()
    quiet_libraries(debug=debug)
    console = Console(debug=debug)
    try:
        lines = work()
    except Exception as error:
        sys.exit(report(error, console.err, debug=debug))
    console.say(*lines)
    sys.exit(0)


def _entry(model: KnownModel) -> dict[str, Any]:
    """What the list tells of a bundle; one that is damaged is listed with what is wrong."""
    entry: dict[str, Any] = {"name": model.name, "folder": model.folder, "task": None, "sensors": [], "error": None}
    try:
        card = load_bundle(model.folder).card
    except EngineError as error:
        return {**entry, "error": error.line}
    return {**entry, "task": card.task, "sensors": list(card.sensors)}


@click.command("list")
@_JSON
@DEBUG
def list_command(as_json: bool, debug: bool) -> None:
    """List the models that can be named: those of SAMESCENE_MODELS, the user's own, and those of the engine."""

    def work() -> list[str]:
        found = [_entry(model) for model in list_models()]
        if as_json:
            return dumps(found, indent=2).splitlines()
        if not found:
            return ["No model is installed. Flood maps need none: --method threshold."]
        return [
            f"{one['name']:<28}{one['error'] or one['task'] + ' from ' + _inputs(one)}  ({one['folder']})"
            for one in found
        ]

    tell(work, debug=debug)


def _inputs(entry: dict[str, Any]) -> str:
    return ", ".join(entry["sensors"]) or "photos and imagery"


@click.command("show")
@click.argument("model", metavar="MODEL")
@DEBUG
def show_command(model: str, debug: bool) -> None:
    """Print the card of MODEL, a name from 'engine models list' or a bundle folder, as JSON."""

    def work() -> list[str]:
        return dumps(find_model(model).card, indent=2).splitlines()

    tell(work, debug=debug)


@click.command("verify")
@click.argument("model", metavar="MODEL")
@DEBUG
def verify_command(model: str, debug: bool) -> None:
    """Check the files of MODEL: the card is valid, the weights are those it names and fit the network."""

    def work() -> list[str]:
        bundle = find_model(model)
        bundle.module()
        return [f"{bundle.name}: card and weights are sound ({bundle.folder})."]

    tell(work, debug=debug)


@click.command("remove")
@click.argument("name", metavar="NAME")
@DEBUG
def remove_command(name: str, debug: bool) -> None:
    """Delete NAME, a model of the user's own (put there by 'engine finetune --register-as'). Others stay."""

    def work() -> list[str]:
        from engine.models.library import remove

        return [f"{name}: removed ({remove(name)})."]

    tell(work, debug=debug)


@click.command("export-onnx")
@click.argument("model", metavar="MODEL")
@click.option("-o", "--out", required=True, metavar="FILE.onnx", help="The file, replaced if it exists.")
@DEBUG
def export_command(model: str, out: str, debug: bool) -> None:
    """Write MODEL as one ONNX file, with normalisation and activation in it: values in the units of the card go in (NaN
    where missing), probabilities come out. Needs the extra "export"; the file is proven beside the model.
    """

    def work() -> list[str]:
        from engine.models.exporting import OPSET, export_onnx

        done = export_onnx(find_model(model), out)
        return [
            f"{done.path}: ONNX opset {OPSET}, {', '.join(done.inputs)} -> {', '.join(done.outputs)}; "
            f"differs from the model by at most {done.difference:.1e}."
        ]

    tell(work, debug=debug)
