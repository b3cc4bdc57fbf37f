"""How each kind of value in a policy file is read; what makes no sense is told in words."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeVar
from zoneinfo import ZoneInfo

from hsm_agent.policy.faults import WrongValue, did_you_mean
from hsm_agent.policy.subject_patterns import SubjectPattern, read_pattern
from hsm_agent.policy.verdicts import Approval
from hsm_agent.policy.vocabulary import EXTENSIONS, PURPOSES
from hsm_agent.structures.algorithms import KEY_TYPES, SIGNATURE_ALGORITHMS
from hsm_agent.structures.certificate import KEY_USAGES
from hsm_agent.structures.kinds import KINDS

T = TypeVar("T")
Network = IPv4Network | IPv6Network

ANY = "*"
LOCAL = "local"
"""The approver who needs no key: the operator at the agent's host."""

_UNITS = {"y": 365 * 86400, "w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"([0-9]{1,9})([smhdwy])", re.ASCII)
_LONGEST = 100 * 365 * 86400
_OID = re.compile(r"[012](\.(0|[1-9][0-9]{0,15})){1,30}", re.ASCII)
_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_RSA = re.compile(r"rsa(?:-|(>=))([1-9][0-9]{3,4})", re.ASCII)
_LEAST_RSA = 1024
UTC_ZONE: tzinfo = UTC
AT_THE_HOST: Approval | None = Approval(1, (LOCAL,))
"""What ``"local"`` means."""
_MOST = 10**9


def duration(found: object) -> timedelta:
    """Read ``398d``: a number and one of s, m (minutes), h, d, w, y (365 days)."""
    match = _DURATION.fullmatch(found) if isinstance(found, str) else None
    if match is None or (seconds := int(match[1]) * _UNITS[match[2]]) > _LONGEST:
        raise WrongValue(f"has to be a number with a unit, like '90d', at most 100y; not {found!r}")
    return timedelta(seconds=seconds)


def yes_or_no(found: object) -> bool:
    """Read ``true`` or ``false``."""
    if not isinstance(found, bool):
        raise WrongValue(f"has to be true or false, not {found!r}")
    return found


def count(found: object) -> int:
    """Read a number from 0 on."""
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < _MOST:
        raise WrongValue("has to be a whole number, 0 or more")
    return found


def at_least_one(found: object) -> int:
    """Read a number from 1 on."""
    number = count(found)
    if number == 0:
        raise WrongValue("has to be 1 or more; leave the key out for no limit")
    return number


def text(found: object) -> str:
    """Read a text that is not empty."""
    if not isinstance(found, str) or not found:
        raise WrongValue("has to be a text")
    return found


def texts(found: object) -> tuple[str, ...]:
    """Read a list of texts, each once."""
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found):
        raise WrongValue("has to be a list of texts, like ['a', 'b']")
    for one in found:
        if found.count(one) > 1:
            raise WrongValue(f"has {one!r} twice")
    return tuple(found)


def list_of(read: Callable[[str], T]) -> Callable[[object], tuple[T, ...]]:
    """Return what reads a list of texts, each with ``read``."""
    return lambda found: tuple(read(one) for one in texts(found))


def one_of(known: Collection[str], what: str) -> Callable[[str], str]:
    """Return what reads one of these words; ``what`` says what they are."""

    def read(word: str) -> str:
        if word not in known:
            hint = did_you_mean(word, known) or f"; there are {', '.join(known)}"
            raise WrongValue(f"has {word!r}, which is not {what}{hint}")
        return word

    return read


def oid_of(names: Mapping[str, str], what: str) -> Callable[[str], str]:
    """Return what reads a name of the table, a dotted OID, or ``*``, as dotted OID or ``*``."""

    def read(word: str) -> str:
        if word == ANY or _OID.fullmatch(word):
            return word
        return names[one_of(names, f"{what}, nor an OID in dots")(word)]

    return read


kind = one_of(KINDS, "a kind")
algorithm = one_of(SIGNATURE_ALGORITHMS, "a signature algorithm")
key_usage = one_of((*KEY_USAGES, ANY), "a key usage")
purpose = oid_of(PURPOSES, "an extended key usage")
extension = oid_of(EXTENSIONS, "an extension")


def critical_extension(word: str) -> str:
    """Read an extension that may be critical; each of them is named.

    Raises:
        WrongValue: there is none of this name.
    """
    if word == ANY:
        raise WrongValue("has '*'; name each extension that may be critical")
    return extension(word)


@dataclass(frozen=True, slots=True)
class KeyKind:
    """A kind of key: the name of its type, or RSA of at least so many bits."""

    name: str
    least_bits: int = 0

    def meets(self, key_type: str) -> bool:
        """Tell whether a key of this type is meant."""
        if self.least_bits and key_type.startswith("rsa-"):
            return int(key_type.removeprefix("rsa-")) >= self.least_bits
        return key_type == self.name or (self.name == ANY and key_type != "unknown")


def key_kind(word: str) -> KeyKind:
    """Read ``ec-p256``, ``rsa-3072``, ``rsa>=2048`` or ``*``.

    Raises:
        WrongValue: there is no such type.
    """
    rsa = _RSA.fullmatch(word)
    if rsa is not None and int(rsa[2]) >= _LEAST_RSA:
        return KeyKind("rsa" if rsa[1] else word, int(rsa[2]) if rsa[1] else 0)
    return KeyKind(one_of((*KEY_TYPES, "rsa>=2048", ANY), "a type of key")(word))


def network(word: str) -> tuple[Network, ...]:
    """Read ``10.0.0.0/8``, a single address, or ``*``, which is two networks.

    Raises:
        WrongValue: it is none.
    """
    try:
        return tuple(map(ip_network, ("0.0.0.0/0", "::/0") if word == ANY else (word,)))
    except ValueError as error:
        raise WrongValue(f"has {word!r}, which is no network: {error}") from None


def networks(found: object) -> tuple[Network, ...]:
    """Read a list of networks."""
    return tuple(one for group in list_of(network)(found) for one in group)


def subjects(found: object) -> tuple[SubjectPattern, ...]:
    """Read a list of patterns of subjects."""
    return list_of(read_pattern)(found)


def approval(found: object) -> Approval | None:
    """Read ``"none"``, ``"local"`` or ``{ need = 2, of = ["alice", "bob"] }``."""
    if found == "none":
        return None
    if found == LOCAL:
        return AT_THE_HOST
    if not isinstance(found, dict) or found.keys() != {"need", "of"}:
        raise WrongValue("has to be 'none', 'local' or { need = 2, of = ['alice', 'bob'] }")
    need, of = at_least_one(found["need"]), texts(found["of"])
    if need > len(of):
        raise WrongValue(f"needs {need} approvals and names {len(of)} approvers")
    return Approval(need, of)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of each day; it may go over midnight."""

    text: str
    begin: time
    end: time

    def holds(self, moment: datetime) -> bool:
        """Tell whether a local time is within, the end excluded."""
        now = moment.time()
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end


def span(word: str) -> Span:
    """Read ``22:00-05:00``.

    Raises:
        WrongValue: it is no such span, or an empty one.
    """
    match = _SPAN.fullmatch(word)
    if match is None or match.group(1, 2) == match.group(3, 4):
        raise WrongValue(f"has {word!r}, which is no span like '22:00-05:00'")
    hour, minute, end_hour, end_minute = map(int, match.groups())
    return Span(word, time(hour, minute), time(end_hour, end_minute))


def time_zone(found: object) -> tzinfo:
    """Read the name of a time zone, ``Europe/Zurich``."""
    name = text(found)
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise WrongValue(f"has {name!r}, which this host does not know as a time zone") from error
