"""Groups of commands that are imported when they are called: ``engine --help`` imports nothing but click."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import click


@dataclass(frozen=True)
class Entry:
    """A command that is not imported yet: ``where`` is ``"module:attribute"``; ``help`` is its line in the list."""

    where: str
    help: str
    section: str = "Commands"


class LazyGroup(click.Group):
    """A group whose commands are :class:`Entry` values, listed by section in the order given."""

    def __init__(self, name: str, entries: dict[str, Entry], *, examples: str = "", **keywords: object) -> None:
        super().__init__(name, no_args_is_help=True, **keywords)  # type: ignore[arg-type]
        self.entries = entries
        self.examples = examples

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.where.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.where} is not a command.")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest names in the error."""
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.entries) or list(self.entries)
            ctx.fail(f"There is no command {args[0]!r}. Did you mean {' or '.join(near)}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of commands, without importing any."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.entries.items():
            sections.setdefault(entry.section, []).append((name, entry.help))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, line by line as written."""
        write_examples(formatter, self.examples)


def write_examples(formatter: click.HelpFormatter, text: str) -> None:
    """A section of example lines that are not wrapped."""
    if text:
        with formatter.section("Examples"):
            for line in text.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")
