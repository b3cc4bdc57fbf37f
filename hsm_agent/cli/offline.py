"""``hsm-agent offline``: answers a bundle that was carried to an agent without a line."""

import argparse
import base64

from hsm_agent.cli.output import warn, write_record
from hsm_agent.cli.reach import reach
from hsm_agent.control.exit_codes import DONE, REFUSED
from hsm_agent.private_files import write_private


def offline(arguments: argparse.Namespace) -> int:
    """Answer every request of a bundle, under the policy and the journal as always."""
    octets = arguments.bundle.read_bytes()
    with reach(arguments.data) as do:
        answered = do("offline", bundle=base64.b64encode(octets).decode())
    if not isinstance(answered, dict):
        return REFUSED
    write_private(arguments.out, base64.b64decode(answered.pop("bundle")))
    answered["file"] = str(arguments.out)
    for one in answered["unanswered"]:
        warn(f"frame {one['place']} got no answer: {one['why']}")
    write_record(answered, arguments.output, hidden=["unanswered"])
    return REFUSED if answered["unanswered"] else DONE
