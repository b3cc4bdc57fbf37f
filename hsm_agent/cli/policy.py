"""``hsm-agent policy check``: what a policy file says, before it counts."""

import argparse
from pathlib import Path

from hsm_agent.cli.output import say, warn, write_json
from hsm_agent.control.exit_codes import DONE
from hsm_agent.places import Place
from hsm_agent.policy_file import load_policy
from hsm_agent.settings.settings import load_settings


def check(arguments: argparse.Namespace) -> int:
    """Read a policy file and warn of what is wide open."""
    file = arguments.file or _own(arguments.data)
    policy = load_policy(file)
    warnings = list(policy.warnings())
    if arguments.output == "json":
        write_json(
            {
                "file": str(file),
                "digest": f"sha256:{policy.digest.hex()}",
                "profiles": list(policy.provision.profiles),
                "approvers": sorted(policy.approvers),
                "warnings": warnings,
            }
        )
        return DONE
    say(f"{file} is a policy; SHA-256 {policy.digest.hex()}")
    for warning in warnings:
        warn(f"warning: {warning}")
    return DONE


def _own(data: Path) -> Path:
    place = Place(data)
    return place.within(load_settings(place).policy)
