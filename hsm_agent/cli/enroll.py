"""``hsm-agent enroll CODE``: registers, and writes settings and a first policy."""

import argparse
import sys
from pathlib import Path

from hsm_agent.cli.output import say, warn, write_json, write_record
from hsm_agent.cli.reach import runs
from hsm_agent.control.exit_codes import DONE
from hsm_agent.faults import Conflict, SettingsFault
from hsm_agent.identity.channel_keys import check_kinds
from hsm_agent.identity.enrollment import (
    Registered,
    identity_for,
    nodes_of,
    prepare,
    read_code,
    registration_bundle,
    settle,
    words_of,
)
from hsm_agent.identity.enrollment import (
    enroll as register,
)
from hsm_agent.identity.identity import CLASSICAL, Identity
from hsm_agent.identity.nodes import has_nodes
from hsm_agent.places import Place
from hsm_agent.policy.starter import starter
from hsm_agent.private_files import write_private
from hsm_agent.settings.settings import load_settings
from hsm_agent.settings.text import FirstSettings
from hsm_agent.surroundings import surroundings
from hsm_agent.wire.channel_kinds import ChannelKinds
from hsm_agent.wire.enrollment_code import EnrollmentCode

_LOUD = (
    "NO TOKEN was named, so keys are made as FILES, for trials only: whoever reads them has them."
    " For keys that matter: --pkcs11-module or --yubikey."
)


def enroll(arguments: argparse.Namespace) -> int:
    """Register this agent, or new keys of one that is registered."""
    text = sys.stdin.readline() if arguments.code == "-" else arguments.code
    code = read_code(text.strip())
    if arguments.name not in {"", code.agent}:
        raise SettingsFault(f"the code is for {code.agent!r}, not for {arguments.name!r}")
    place = Place(arguments.data)
    if runs(place.folder):
        raise Conflict("the agent of this folder runs: 'hsm-agent rotate' gives it new keys")
    kinds = ChannelKinds(
        arguments.tls_key or CLASSICAL.tls, arguments.frame_key or CLASSICAL.frames
    )
    check_kinds(kinds)
    if not has_nodes(place.identity):
        prepare(place, first_settings(arguments, code.agent), _policy(arguments, code.agent))
    identity = identity_for(code, place, kinds)
    if any(store.kind == "software" for store in load_settings(place).stores.values()):
        warn(_LOUD)
    if arguments.offline is None:
        _by_line(code, identity, place, arguments)
    else:
        _by_hand(code, identity, place, arguments)
    return DONE


def _by_line(
    code: EnrollmentCode, identity: Identity, place: Place, arguments: argparse.Namespace
) -> None:
    def tell(words: str) -> None:
        if arguments.output != "json":
            say(f"words: {words}   (the server shows the same ones)")

    around = surroundings(place, load_settings(place).line)
    registered = register(code, identity, around, tell)
    settle(place, registered.nodes)
    _report(registered, place, arguments)


def _by_hand(
    code: EnrollmentCode, identity: Identity, place: Place, arguments: argparse.Namespace
) -> None:
    file = place.folder / "registration.bundle"
    if arguments.offline != Path():
        file = arguments.offline
    write_private(file, registration_bundle(code, identity))
    nodes = nodes_of(code)
    settle(place, nodes)
    words = words_of(nodes[0], identity)
    if arguments.output == "json":
        write_json({"agent": code.agent, "bundle": str(file), "words": words})
        return
    say(f"words: {words}")
    say(f"Carry {file} to the server; it has to show the same words.")


def first_settings(arguments: argparse.Namespace, name: str) -> FirstSettings:
    """Return what the options say about the agent.

    Raises:
        SettingsFault: options that do not go together.
    """
    kind, options = _store(arguments)
    usual = {"software": "trial", "pkcs11": "hsm", "piv": "yubikey"}[kind]
    return FirstSettings(
        name, arguments.store or usual, kind, options, arguments.status, arguments.proxy
    )


def _store(arguments: argparse.Namespace) -> tuple[str, dict[str, object]]:
    token = {"module": arguments.pkcs11_module, "token": arguments.pkcs11_token}
    pin = {} if arguments.pin_file is None else {"pin-file": _absolute(arguments.pin_file)}
    if arguments.yubikey and any(token.values()):
        raise SettingsFault("--yubikey and --pkcs11-module are two stores: name one of them")
    if arguments.yubikey:
        management = arguments.management_key_file
        more = {} if management is None else {"management-key-file": _absolute(management)}
        return "piv", {"serial": arguments.yubikey, **pin, **more}
    if not any(token.values()):
        if pin:
            raise SettingsFault("--pin-file is for a token: name --pkcs11-module or --yubikey")
        return "software", {}
    if not all((*token.values(), pin)):
        raise SettingsFault("a token needs --pkcs11-module, --pkcs11-token and --pin-file")
    return "pkcs11", {**token, **pin}


def _absolute(path: Path) -> str:
    return str(path.absolute())


def _policy(arguments: argparse.Namespace, name: str) -> str:
    return starter(
        name,
        dns=arguments.allow_dns,
        email=arguments.allow_email,
        ip=arguments.allow_ip,
        uri=arguments.allow_uri,
        upn=arguments.allow_upn,
    )


def _report(registered: Registered, place: Place, arguments: argparse.Namespace) -> None:
    record = {
        "agent": registered.agent,
        "server": registered.address,
        "words": registered.words,
        "nodes": [node.address for node in registered.nodes],
        "settings": str(place.settings),
        "policy": str(place.within(load_settings(place).policy)),
    }
    if arguments.output == "json":
        write_json(record)
        return
    write_record(record, "table", hidden=["words"])
    say(f"Start it with: hsm-agent run --data {place.folder}")
