"""``pikaserver publish``: what publishers pushed to their targets, and what failed."""

import click

from pikaserver.cli.invocation import Invocation, command_options

_HOLDER = "cli"


@click.group()
def publish() -> None:
    """See what publishers pushed and could not push; retry, and try them.

    A running server pushes by itself: each CRL as soon as it is signed, and again what failed.
    """


@publish.command("list")
@click.argument("target", required=False)
@command_options
def list_targets(invocation: Invocation, target: str | None) -> None:
    """List the targets, what each of them has, and what it lacks."""
    from pikaserver.cli.opened import opened
    from pikaserver.publishing.queues import open_queues
    from pikaserver.publishing.reports import rows

    with opened(invocation) as server:
        queues, ground = open_queues(server, _HOLDER)
        supply, now = ground.supply(), server.clock()
        chosen = _chosen([queue.name for queue in queues], target)
        found = [rows(queue, supply, now) for queue in queues if queue.name in chosen]
    invocation.write([row for one in found for row in one])


@publish.command()
@click.argument("target", required=False)
@click.option("--again", is_flag=True, help="Push what is there already once more, too.")
@command_options
def retry(invocation: Invocation, target: str | None, *, again: bool) -> None:
    """Let a running server try at once what failed."""
    from pikaserver.cli.opened import opened
    from pikaserver.publishing.queues import open_queues
    from pikaserver.storage import publications

    with opened(invocation) as server:
        names = [queue.name for queue in open_queues(server, _HOLDER)[0]]
        chosen = _chosen(names, target)
        with server.database.transaction() as connection:
            for name in chosen:
                publications.retry_now(connection, name)
                if again:
                    publications.forget(connection, name)
            server.audit.record(
                connection, "publish.retried", invocation.actor, targets=chosen, again=again
            )
    invocation.write(
        [{"target": name, "pushes": "everything" if again else "what failed"} for name in chosen]
    )


@publish.command()
@click.argument("target", required=False)
@command_options
def test(invocation: Invocation, target: str | None) -> None:
    """Reach targets and sign in; nothing is left there.

    Exit code 4 says that one of them could not be used.
    """
    from pikaserver.cli import exit_codes
    from pikaserver.cli.opened import opened
    from pikaserver.publishing.queues import open_queues

    with opened(invocation) as server:
        queues, _ = open_queues(server, _HOLDER)
        chosen = _chosen([queue.name for queue in queues], target)
        found = [queue.probe() for queue in queues if queue.name in chosen]
    invocation.write(
        [{"target": one.name, "usable": one.usable, "found": one.text} for one in found]
    )
    if not all(one.usable for one in found):
        click.get_current_context().exit(exit_codes.UNAVAILABLE)


def _chosen(names: list[str], target: str | None) -> list[str]:
    from pikaserver.api.errors import NotFound

    if target is None:
        return names
    if target not in names:
        known = ", ".join(names) or "none"
        raise NotFound(f"there is no target {target!r}; there are: {known}")
    return [target]
