"""``hsm-agent status``, ``rotate`` and ``version``."""

import argparse
import platform
import ssl

from hsm_agent.cli.output import say, warn, write_json, write_record, write_rows
from hsm_agent.cli.reach import reach, runs
from hsm_agent.control.exit_codes import DONE, UNAVAILABLE
from hsm_agent.software import software

_LINES = ("node", "address", "state", "ping_age", "answered", "refused", "fault")
_KEYS = ("name", "key_type", "state", "trial", "certificate")
_STORES = ("name", "kind", "state", "free")


def status(arguments: argparse.Namespace) -> int:
    """Show how the agent is; the code is 4 while it does not run."""
    running = runs(arguments.data)
    with reach(arguments.data) as do:
        found = do("status")
    if not isinstance(found, dict):
        return UNAVAILABLE
    if arguments.output == "json":
        write_json({"running": running, **found})
    else:
        _show(found, running=running)
    return DONE if running else UNAVAILABLE


def rotate(arguments: argparse.Namespace) -> int:
    """Give this agent new keys for its lines."""
    with reach(arguments.data) as do:
        write_record(
            do("rotate", tls_key=arguments.tls_key, frame_key=arguments.frame_key), arguments.output
        )
    return DONE


def version(arguments: argparse.Namespace) -> int:
    """Print what runs here."""
    import cryptography

    record = {
        "software": software(),
        "python": platform.python_version(),
        "cryptography": cryptography.__version__,
        "openssl": ssl.OPENSSL_VERSION,
    }
    write_record(record, arguments.output)
    return DONE


def _show(found: dict[str, object], *, running: bool) -> None:
    say(f"agent {found['name']}, {found['software']}, {'running' if running else 'NOT RUNNING'}")
    for title, name, columns in (
        ("lines", "lines", _LINES),
        ("stores", "stores", _STORES),
        ("keys", "keys", _KEYS),
        ("approvals", "approvals", ("id", "key", "kind", "since")),
        ("last operations", "operations", ("line", "at", "event")),
    ):
        say(f"\n{title}:")
        write_rows(found[name], columns, "table", "none")
    say()
    policy, journal = found["policy"], found["journal"]
    channel = found["channel"]
    write_record({"channel": channel, "policy": policy, "journal": journal}, "table")
    if isinstance(policy, dict):
        for warning in policy["warnings"]:
            warn(f"warning: {warning}")
