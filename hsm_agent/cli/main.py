"""``hsm-agent COMMAND``: reads the command line and turns errors into one sentence and a code.

Only the module of the command that was typed is imported, so that help is there at once.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from hsm_agent.cli.parser import parse
from hsm_agent.control.exit_codes import DONE, REFUSED, USAGE, exit_code
from hsm_agent.faults import AgentFault

Command = Callable[[argparse.Namespace], int]


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        arguments = parse(words)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else USAGE
    if arguments.debug:
        return _command(arguments.target)(arguments)
    try:
        return _command(arguments.target)(arguments)
    except BrokenPipeError:
        return DONE  # whoever read the output has enough
    except KeyboardInterrupt:
        return _fail("aborted", REFUSED)
    except _refusals() as error:
        return _fail(str(error), exit_code(error))


def _command(target: str) -> Command:
    module, _, name = target.partition(":")
    command: Command = getattr(importlib.import_module(module), name)
    return command


def _refusals() -> tuple[type[Exception], ...]:
    """Return what a command may be refused with; imported only when one was."""
    from hsm_agent.channel.faults import LineFault
    from hsm_agent.journal.faults import JournalFault
    from hsm_agent.stores.store import StoreError
    from hsm_agent.wire.errors import WireError

    return (AgentFault, StoreError, JournalFault, LineFault, WireError, OSError)


def _fail(why: str, code: int) -> int:
    from hsm_agent.cli.output import warn

    warn(why)
    return code
