"""Writes ``reference/cli.md``: every command and option, as the code says them.

``python docs/cli_reference.py`` prints the page; a test keeps the file equal to it.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path

import click

from pikaserver.cli.main import load_noun
from pikaserver.cli.place import place_parameters
from pikaserver.cli.registry import NOUNS

HEAD = """# All commands

Written by `docs/cli_reference.py` from the code.  What is common to all stands in
[Command line](command-line.md).

These options are the same everywhere and left out below: `--data DIR`, `--config FILE`, `--debug`,
`--help`, and `-o`, `--output`, which every command takes that does not write a file.
"""
PLUGINS = Path(__file__).parents[1] / "plugins"
COMMON = {"output", *(str(parameter.name) for parameter in place_parameters())}


def page() -> str:
    """Return the whole page: the nouns of the host, then those of the plugins that ship."""
    nouns = [(noun.name, load_noun(noun)) for noun in NOUNS]
    nouns += [(str(command.name), command) for command in _of_plugins()]
    lines = [line for name, command in nouns for line in _noun(f"pikaserver {name}", command)]
    return "\n".join([HEAD, *lines])


def _of_plugins() -> Iterator[click.Command]:
    for path in sorted(PLUGINS.glob("*/pikaserver_*/plugin.py")):
        plugin = importlib.import_module(f"{path.parent.name}.plugin")
        yield from getattr(plugin, "register_commands", list)()


def _noun(path: str, command: click.Command, level: str = "##") -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield from _command(path, command, level)
        return
    yield f"{level} `{path}`\n"
    yield f"{_text(command)}\n"
    for verb, inner in sorted(command.commands.items()):
        yield from _noun(f"{path} {verb}", inner, f"{level}#")


def _command(path: str, command: click.Command, level: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    arguments = [
        one.make_metavar(context) for one in command.params if isinstance(one, click.Argument)
    ]
    yield f"{level} `{' '.join([path, *arguments])}`\n"
    yield f"{_text(command)}\n"
    options = [
        one for one in command.params if isinstance(one, click.Option) and one.name not in COMMON
    ]
    records = [record for option in options if (record := option.get_help_record(context))]
    if records:
        yield "| option | |"
        yield "|---|---|"
        yield from (f"| `{_cell(words)}` | {_cell(text)} |" for words, text in records)
        yield ""


def _text(command: click.Command) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    click.echo(page(), nl=False)
