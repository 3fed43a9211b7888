"""``engine models import``."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.lazy import write_examples
from engine.cli.model_commands import DEBUG, tell
from engine.sensors import SENSORS

EXAMPLES = """
engine models import B2_rn50_moco_0099_ckpt.pth --sensor s1 --mean=-12.59,-20.26 --std 5.26,5.91 \\
  --licence CC-BY-4.0 --trained-on SSL4EO-S12 -o models/s1-ssl4eo
"""


class _Import(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, EXAMPLES)


class _Numbers(click.ParamType):
    """Numbers divided by commas."""

    name = "numbers"

    def convert(
        self, value: str | tuple[float, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers divided by commas.", param, ctx)


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(part.strip() for part in value.split(","))


@click.command("import", cls=_Import, no_args_is_help=True)
@click.argument("weights", metavar="WEIGHTS", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Folder for the bundle.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is in OUT already.")
@click.option("--sensor", required=True, type=click.Choice(list(SENSORS)), help="What the encoder takes.")
@click.option("--bands", callback=_names, metavar="LIST", help="Its bands in order, where they are not the usual ones.")
@click.option("--mean", required=True, type=_Numbers(), help="Mean a band that it was trained with: dB or reflectance.")
@click.option("--std", required=True, type=_Numbers(), help="Standard deviation a band that it was trained with.")
@click.option("--licence", required=True, help="Licence of the weights, as their publisher states it.")
@click.option("--trained-on", required=True, metavar="DATA", help="Name of the data they were trained on.")
@click.option("--address", default="", help="Where the weights come from.")
@click.option("--prefix", help="Which encoder, where the file holds several, by the prefix of its parameters.")
@click.option("--name", help="Name of the model; default: that of OUT.")
@click.option("--title", help="Title of the model, for people.")
@click.option(
    "--gsd", type=_Numbers(), default="10,10", help="Least and largest pixel size in metres.  [default: 10,10]"
)
@DEBUG
def command(
    weights: Path,
    out: Path,
    overwrite: bool,
    sensor: str,
    bands: tuple[str, ...] | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    licence: str,
    trained_on: str,
    address: str,
    prefix: str | None,
    name: str | None,
    title: str | None,
    gsd: tuple[float, ...],
    debug: bool,
) -> None:
    """Make an encoder bundle of the published ResNet-18, -34 or -50 weights in WEIGHTS.

    WEIGHTS is a .safetensors file, or one that torch has saved (.pth, .pt), of which tensors alone are read: a file
    that needs code to load is refused. Depth, width and the usual prefixes (module., backbone., encoder_q.) are
    found; classifier and projection heads are left out. The encoder is for 'engine finetune --encoder'.
    """
    if len(gsd) != 2:
        raise click.BadParameter("give two numbers, the least and the largest.", param_hint="--gsd")

    def work() -> list[str]:
        from engine.models.importing import ImportRequest, import_model

        bundle, found = import_model(
            ImportRequest(
                weights=weights,
                out=out,
                sensor=sensor,
                mean=mean,
                std=std,
                licence=licence,
                trained_on=trained_on,
                bands=bands,
                prefix=prefix,
                name=name,
                title=title,
                address=address,
                gsd_m=(gsd[0], gsd[1]),
                overwrite=overwrite,
            )
        )
        card = bundle.card
        return [
            f"{card.name}: {card.network.encoder} of width {card.network.width:g} for "
            f"{', '.join(band.name for band in card.bands)} ({bundle.folder}).",
            f"Prefix of its parameters: {found.prefix.rstrip('.') or 'none'}; "
            f"left out: {', '.join(found.dropped) or 'nothing'}.",
        ]

    tell(work, debug=debug)
