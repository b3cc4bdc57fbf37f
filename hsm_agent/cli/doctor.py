"""``hsm-agent doctor``: everything that was looked at, and a code that says how it is."""

import argparse
from collections.abc import Mapping

from hsm_agent.cli.output import write_rows
from hsm_agent.cli.reach import reach, runs
from hsm_agent.control.exit_codes import DONE, UNHEALTHY
from hsm_agent.doctor import BAD, examine
from hsm_agent.places import Place


def doctor(arguments: argparse.Namespace) -> int:
    """Look for what is wrong or will be soon."""

    def status() -> Mapping[str, object]:
        with reach(arguments.data) as do:
            found = do("status")
        return found if isinstance(found, Mapping) else {}

    running = runs(arguments.data)
    found = list(examine(Place(arguments.data), status, running=running))
    records: list[object] = [{"what": one.what, "how": one.how, "text": one.text} for one in found]
    write_rows(records, ("how", "what", "text"), arguments.output)
    return UNHEALTHY if any(one.how == BAD for one in found) else DONE
