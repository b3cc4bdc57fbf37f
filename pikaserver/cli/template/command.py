"""``pikaserver template``: the rules by which certificates are issued."""

from pathlib import Path

import click

from pikaserver.cli.files import read_text, write_output
from pikaserver.cli.invocation import Invocation, command_options, place_options
from pikaserver.cli.options import INPUT_FILE, confirm, out_option, yes_option
from pikaserver.cli.template.trial import test

_version_option = click.option(
    "-v",
    "--version",
    type=click.IntRange(min=1),
    metavar="N",
    help="An older version.  [default: the newest]",
)


@click.group()
def template() -> None:
    """Write, compare and try templates: the rules on who gets what.

    A template is a TOML document.  It is never edited in place: export it, edit the file and
    import it again; that makes a new version, and every certificate knows its version.
    """


@template.command("list")
@command_options
def list_templates(invocation: Invocation) -> None:
    """List the templates."""
    from pikaserver.cli.opened import opened
    from pikaserver.cli.template.records import template_row

    with opened(invocation) as server:
        invocation.write(
            [template_row(server.templates.get(name)) for name in server.templates.names()]
        )


@template.command()
@click.argument("name")
@_version_option
@command_options
def show(invocation: Invocation, name: str, version: int | None) -> None:
    """Show the rules of a template, its defaults included."""
    from pikaserver.cli.opened import opened
    from pikaserver.cli.template.records import template_details

    with opened(invocation) as server:
        rules = server.templates.version(name, version).template
    invocation.write(template_details(rules, flat=invocation.output == "table"))


@template.command()
@click.argument("name")
@command_options
def versions(invocation: Invocation, name: str) -> None:
    """List who saved which version of a template, and when."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        found = server.templates.versions(name)
    invocation.write(
        [
            {"version": one.version, "saved_at": one.created_at, "saved_by": one.created_by}
            for one in found
        ]
    )


@template.command()
@click.argument("name")
@_version_option
@out_option
@place_options
def export(invocation: Invocation, name: str, version: int | None, out: Path | None) -> None:
    """Print a template's document (TOML) as it was written."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        document = server.templates.document(name, version)
    write_output(document.encode(), out)


@template.command("import")
@click.argument("name")
@click.argument("file", type=INPUT_FILE)
@command_options
def import_document(invocation: Invocation, name: str, file: Path) -> None:
    """Make FILE the newest version of a template.

    A template that is not there is made.  '-' is standard input.
    """
    from pikaserver.cli.opened import opened

    document = read_text(file)
    with opened(invocation) as server:
        number = server.templates.save(name, document, invocation.actor)
        authority = server.templates.get(name).authority
        known = server.authorities.names()
    invocation.write({"name": name, "version": number, "authority": authority})
    if authority not in known:
        click.echo(f"It cannot issue yet: there is no authority {authority!r}.", err=True)


@template.command("set")
@click.argument("name")
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
@command_options
def set_options(invocation: Invocation, name: str, changes: tuple[str, ...]) -> None:
    """Set single options, like scep.enabled=true.

    That makes a new version of the template; values are TOML, or plain text.
    """
    from pikaserver.authority.templates.changes import with_changes
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        document = with_changes(server.templates.document(name), changes)
        number = server.templates.save(name, document, invocation.actor)
    invocation.write({"name": name, "version": number})


@template.command()
@click.argument("name")
@click.argument("old", type=click.IntRange(min=1))
@click.argument("new", type=click.IntRange(min=1), required=False)
@command_options
def diff(invocation: Invocation, name: str, old: int, new: int | None) -> None:
    """Say what changed from version OLD to NEW, or the newest."""
    from pikaserver.authority.templates.documents import diff as compare
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        before = server.templates.document(name, old)
        after = server.templates.document(name, new)
    changes = compare(before, after)
    if invocation.output == "table":
        click.echo(changes or "they mean the same")
    else:
        invocation.write({"changes": changes.splitlines()})


@template.command()
@click.argument("name")
@command_options
def enable(invocation: Invocation, name: str) -> None:
    """Open a template at its doors again."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        server.templates.set_enabled(name, invocation.actor, enabled=True)
    invocation.write({"name": name, "state": "enabled"})


@template.command()
@click.argument("name")
@yes_option
@command_options
def disable(invocation: Invocation, name: str, *, yes: bool) -> None:
    """Close a template at all doors; what it issued stays valid."""
    from pikaserver.cli.opened import opened

    with opened(invocation) as server:
        server.templates.get(name)
        confirm(f"Refuse every request for template {name} from now on?", yes=yes)
        server.templates.set_enabled(name, invocation.actor, enabled=False)
    invocation.write({"name": name, "state": "disabled"})


@template.command("starters")
@command_options
def list_starters(invocation: Invocation) -> None:
    """List the ready-made beginnings for templates."""
    from pikaserver.authority.templates.documents import read_template
    from pikaserver.authority.templates.starters import starters

    found = {name: read_template(text, name=name, version=1) for name, text in starters().items()}
    invocation.write(
        [{"starter": name, "description": one.description} for name, one in found.items()]
    )


@template.command()
@click.argument("name")
@click.option("--starter", required=True, help="Which one; see 'template starters'.")
@click.option(
    "--authority", required=True, metavar="NAME", help="The authority that shall issue by it."
)
@command_options
def create(invocation: Invocation, name: str, starter: str, authority: str) -> None:
    """Make a template of a starter, under an authority."""
    from pikaserver.api.errors import Conflict
    from pikaserver.cli.opened import opened
    from pikaserver.cli.template.records import document_of_starter

    document = document_of_starter(starter, authority)
    with opened(invocation) as server:
        server.authorities.get(authority)
        if server.templates.exists(name):
            raise Conflict(f"there is a template {name!r} already; import a new version of it")
        number = server.templates.save(name, document, invocation.actor)
    invocation.write({"name": name, "version": number, "authority": authority})


template.add_command(test)
