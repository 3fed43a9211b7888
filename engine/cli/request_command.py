"""A click command made from a job's request model: one option a field, so that the two cannot differ."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine.cli.lazy import write_examples
from engine.cli.run import Verdict, run_job
from engine.errors import EngineError

Summary = Callable[[dict[str, Any], dict[str, Any]], list[str]]
"""Lines for stdout from the result and the options that were given."""

RUNNING = ("events", "debug")


def _no_verdict(result: dict[str, Any]) -> EngineError | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a request looks on the command line.

    ``positional``: fields given without an option; a list takes one value or more. ``options``: other spellings than
    ``--field-name``. ``sections``: title → fields, in the order of the help; fields named nowhere stand under "Further
    options".
    """

    job: str
    help: str
    positional: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metavars: Mapping[str, str] = field(default_factory=dict)
    sections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    examples: str = ""


class RequestCommand(click.Command):
    """A command whose help lists options by section and ends with examples."""

    def __init__(self, layout: Layout, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.layout = layout

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options by section."""
        params = {p.name: p for p in self.get_params(ctx) if p.name}
        named = {name for names in self.layout.sections.values() for name in names}
        running = tuple(n for n, p in params.items() if n in RUNNING or "--help" in p.opts)
        rest = tuple(n for n in params if n not in named and n not in running)
        for title, names in {**self.layout.sections, "Further options": rest, "Running": running}.items():
            rows = [row for n in names if n in params and (row := _help_row(params[n], ctx)) is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: positionals stand in their section (click 8.5 would list them a second time)."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, line by line as written."""
        write_examples(formatter, self.layout.examples)


def _help_row(param: click.Parameter, ctx: click.Context) -> tuple[str, str] | None:
    if isinstance(param, _Argument):
        return param.metavar or param.human_readable_name, param.text
    return param.get_help_record(ctx)


class _Argument(click.Argument):
    """A positional with a help text."""

    def __init__(self, *args: Any, help: str, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.text = help


def request_command(
    layout: Layout,
    model: type[BaseModel],
    *,
    summary: Summary,
    verdict: Verdict = _no_verdict,
    extra: Sequence[click.Option] = (),
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> click.Command:
    """The command that fills ``model`` from its options and runs the job.

    ``extra`` options are no fields; ``prepare`` turns what was given, them included, into fields.
    """
    params = [_parameter(name, info, layout) for name, info in model.model_fields.items()]

    def callback(events: str | None, debug: bool, **values: Any) -> None:
        given = {name: value for name, value in values.items() if value is not None and value != ()}
        run_job(
            layout.job,
            prepare(dict(given)),
            summary=lambda result: summary(result, given),
            verdict=verdict,
            debug=debug,
            events=events is not None,
        )

    running = [
        click.Option(
            ["--events"],
            type=click.Choice(["-"]),
            help="Write events as JSON lines to stdout instead of drawing a bar.",
        ),
        click.Option(["--debug"], is_flag=True, help="Show tracebacks and the warnings of libraries."),
    ]
    return RequestCommand(
        layout,
        name=layout.job,
        callback=callback,
        params=[*params, *extra, *running],
        help=layout.help,
        no_args_is_help=bool(layout.positional),
    )


def _parameter(name: str, info: FieldInfo, layout: Layout) -> click.Parameter:
    kind, many = _click_type(info.annotation)
    metavar = layout.metavars.get(name)
    if name in layout.positional:
        nargs = -1 if many else 1
        return _Argument([name], type=kind, nargs=nargs, required=info.is_required(), metavar=metavar, help=_help(info))
    spellings = layout.options.get(name, ("-o", "--out") if name == "out" else (f"--{name.replace('_', '-')}",))
    if _plain(info.annotation) is bool:
        if info.default is True:
            spellings = tuple(f"{s}/--no-{s.removeprefix('--')}" for s in spellings)
        return click.Option([name, *spellings], is_flag=True, default=None, help=_help(info))
    return click.Option(
        [name, *spellings],
        type=kind,
        multiple=many,
        required=info.is_required(),
        metavar=metavar,
        help=_help(info),
    )


def _help(info: FieldInfo) -> str:
    text = info.description or ""
    default = getattr(info.default, "value", info.default)
    if info.is_required() or default is None or isinstance(default, bool) or default in ("", ()):
        return text
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    if isinstance(default, (list, tuple)):
        default = " ".join(str(d) for d in default)
    return f"{text}  [default: {default}]"


def _plain(annotation: Any) -> Any:
    """The annotation without Annotated and without None."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            inside = [a for a in get_args(annotation) if a is not type(None)]
            if len(inside) != 1:
                return str
            annotation = inside[0]
        else:
            return annotation


def _click_type(annotation: Any) -> tuple[click.ParamType | type, bool]:
    plain = _plain(annotation)
    if get_origin(plain) in (list, tuple):
        inner, _ = _click_type(get_args(plain)[0])
        return inner, True
    if get_origin(plain) is Literal:
        return click.Choice([str(value) for value in get_args(plain)]), False
    if isinstance(plain, type) and issubclass(plain, Enum):
        return click.Choice([str(member.value) for member in plain]), False
    if plain in (int, float, bool):
        return plain, False
    return str, False
