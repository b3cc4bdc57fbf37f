"""Help is short, complete and there at once; the documents name commands that exist."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pikaserver.cli.main import load_noun
from pikaserver.cli.place import place_parameters
from pikaserver.cli.plugin_console import _add_options
from pikaserver.cli.registry import NOUNS
from pikaserver_acme import plugin as acme
from pikaserver_agents import plugin as agents
from pikaserver_est import plugin as est
from pikaserver_ocsp import plugin as ocsp
from pikaserver_scep import plugin as scep
from pikaserver_tsa import plugin as tsa

ROOT = Path(__file__).parents[2]
LONGEST_LINE = 60
ALONE = {"crl follow"}
"""Commands that run where no server's data is."""
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "adr" not in path.parts),
]


def commands(words, command):
    """Yield a command, or those below it, with its words."""
    if isinstance(command, click.Group):
        for verb, one in command.commands.items():
            yield from commands(f"{words} {verb}", one)
    else:
        yield words, command


def of_plugins():
    """Yield the commands of plugins that ship, as the host completes them."""
    for plugin in (acme, agents, est, ocsp, scep, tsa):
        for command in plugin.register_commands():
            _add_options(command)
            yield command.name, command


PLUGIN_NOUNS = dict(of_plugins())
COMMANDS = {
    words: one
    for name, command in [*((noun.name, load_noun(noun)) for noun in NOUNS), *PLUGIN_NOUNS.items()]
    for words, one in commands(name, command)
}


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_told_in_one_line(words):
    """In a terminal of 80 columns nothing is cut off, and every option says what it does."""
    command = COMMANDS[words]

    assert len(command.get_short_help_str(limit=1000)) <= LONGEST_LINE
    assert [] == [
        one.name for one in command.params if isinstance(one, click.Option) and not one.help
    ]


@pytest.mark.parametrize("words", [words for words in COMMANDS if words not in ALONE])
def test_every_command_knows_whose_data_it_works_on(words):
    """``--data`` and ``--config`` are options of every command."""
    names = {parameter.name for parameter in COMMANDS[words].params}

    assert {one.name for one in place_parameters() if one.name != "debug"} <= names


def test_help_of_any_noun_needs_no_library_for_it():
    """What a command needs is imported when it runs."""
    heavy = {"alembic", "asn1crypto", "cryptography", "falcon", "pluggy", "sqlalchemy", "tomlkit"}
    code = (
        "import sys; from pikaserver.cli.main import run;"
        f"codes = [run([noun, '--help']) for noun in {[noun.name for noun in NOUNS]}];"
        f"sys.exit(any(codes) or ' '.join({heavy} & set(sys.modules)) or 0)"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert (0, "") == (answer.returncode, answer.stderr)


def test_the_reference_is_the_code():
    """``python docs/cli_reference.py >docs/reference/cli.md`` writes it anew."""
    spec = importlib.util.spec_from_file_location("cli_reference", ROOT / "docs/cli_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert module.page() == (ROOT / "docs/reference/cli.md").read_text()


def documented_commands(text):
    """Yield the words of every ``pikaserver ...`` that stands as code in a page."""
    text = re.sub(r"\\\n\s*", " ", text)
    lines = re.findall(r"`(pikaserver [a-z][^`]*)`", text)
    for block in re.findall(r"^```.*?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        # Where there are prompts, all other lines are what a program said.
        begin = r"\$ (?:sudo )?" if re.search(r"^\$ ", block, re.MULTILINE) else "(?:sudo )?"
        lines += re.findall(rf"^{begin}(pikaserver [a-z].*)$", block, flags=re.MULTILINE)
    for line in lines:
        command = re.split(r"\s(?:[|>#]|2>|&&)", line)[0]
        yield shlex.split(command)[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_documents_name_commands_and_options_that_exist(page):
    """A reader can type what stands there."""
    for words in documented_commands(page.read_text()):
        noun, verb = (*words, "")[:2]
        tried = [" ".join(words[:count]) for count in (1, 2, 3)]
        is_group = not words[2:] and load_noun_or_none(noun, verb)
        if verb.startswith("VERB") or is_group:
            continue
        name = next((one for one in tried if one in COMMANDS), None)
        assert name in COMMANDS, words
        params = COMMANDS[name].params
        known = {text for one in params for text in one.opts + one.secondary_opts} | {"--help"}
        typed = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert typed <= known, words


def load_noun_or_none(name, verb):
    """Return a group of commands: a noun alone, or one below a noun."""
    found = next((load_noun(noun) for noun in NOUNS if noun.name == name), PLUGIN_NOUNS.get(name))
    if verb and isinstance(found, click.Group):
        found = found.commands.get(verb)
        return found if isinstance(found, click.Group) else None
    return None if verb else found
