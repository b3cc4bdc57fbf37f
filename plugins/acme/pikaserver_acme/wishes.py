"""What a client asks for in newOrder and newAuthz, read and held against the policy."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pikaserver.api.json_text import JsonObject
from pikaserver_acme import moments
from pikaserver_acme.identifiers import (
    DNS,
    TYPES,
    Identifier,
    NotAnIdentifier,
    allows,
    identifier,
    is_below,
)
from pikaserver_acme.jose.json_text import flag_of, malformed, text_of
from pikaserver_acme.policies.rules import AutoRenewal, PolicyRules
from pikaserver_acme.problems import AcmeError, Subproblem

_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class AskedName:
    """One identifier, and the name above it that the client would rather prove (RFC 9444)."""

    identifier: Identifier
    ancestor: str | None = None


@dataclass(frozen=True, slots=True)
class RenewalWish:
    """``auto-renewal`` of newOrder (RFC 8739 section 3.1.1)."""

    start: datetime
    end: datetime
    lifetime: timedelta
    adjust: timedelta
    allow_get: bool


@dataclass(frozen=True, slots=True)
class OrderWish:
    """A newOrder request that can be read and is allowed."""

    names: tuple[AskedName, ...]
    profile: str | None
    not_after: datetime | None
    replaces: str | None
    renewal: RenewalWish | None

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """What the certificate will name, sorted."""
        return tuple(sorted(one.identifier for one in self.names))


def read_order(
    wish: JsonObject, rules: PolicyRules, narrowed: Sequence[str], now: datetime
) -> OrderWish:
    """Return what newOrder asks for; ``narrowed`` are the patterns of the external account.

    Raises:
        AcmeError: it cannot be read, or the policy does not allow it.
    """
    names = _read_names(wish, rules)
    check_allowed([one.identifier for one in names], rules, narrowed)
    return OrderWish(
        names,
        _read_profile(wish, rules),
        _read_validity(wish, now),
        text_of(wish, "replaces"),
        _read_renewal(wish, rules.auto_renewal, now),
    )


def read_authorization(
    wish: JsonObject, rules: PolicyRules, narrowed: Sequence[str]
) -> tuple[Identifier, bool]:
    """Return what newAuthz asks for, and whether it shall count for names below (RFC 9444).

    Raises:
        AcmeError: it cannot be read, or the policy does not allow it.
    """
    document = wish.get("identifier")
    asked = _read_identifier(document)
    if asked.wildcard:
        # RFC 8555 section 7.4.1.
        raise malformed("a wildcard cannot be authorized beforehand; order it")
    check_allowed([asked], rules, narrowed)
    below = isinstance(document, dict) and flag_of(document, "subdomainAuthAllowed")
    if below and (not rules.subdomains or asked.type != DNS):
        raise AcmeError("rejectedIdentifier", "proofs do not count for names below here")
    return asked, below


def names_hash(identifiers: Sequence[Identifier]) -> str:
    """Return SHA-256 over a set of identifiers, in hex."""
    return hashlib.sha256(names_text(identifiers).encode()).hexdigest()


def names_text(identifiers: Sequence[Identifier]) -> str:
    """Return a set of identifiers as it is stored."""
    return json.dumps([one.document() for one in sorted(identifiers)])


def check_allowed(asked: Sequence[Identifier], rules: PolicyRules, narrowed: Sequence[str]) -> None:
    """Check that every identifier may be asked for.

    Raises:
        AcmeError: rejectedIdentifier, with a subproblem for each that may not.
    """
    refused = [
        Subproblem("rejectedIdentifier", _why_not(one, rules), one)
        for one in asked
        if not rules.allows(one) or (narrowed and not allows(narrowed, one))
    ]
    if refused:
        names = ", ".join(one.identifier.value for one in refused[:5])
        raise AcmeError(
            "rejectedIdentifier",
            f"this directory does not issue for {names}",
            subproblems=refused if len(asked) > 1 else (),
        )


def _why_not(asked: Identifier, rules: PolicyRules) -> str:
    if asked.wildcard and not rules.wildcards:
        return "this directory issues for no wildcards"
    return "no rule of this directory, or of the external account, allows it"


def _read_names(wish: JsonObject, rules: PolicyRules) -> tuple[AskedName, ...]:
    found = wish.get("identifiers")
    if not isinstance(found, list) or not found:
        raise malformed("'identifiers' is to be a list with at least one identifier")
    if len(found) > rules.names_limit:
        raise malformed(f"an order has at most {rules.names_limit} identifiers")
    names = {one.identifier: one for one in (_read_name(each, rules) for each in found)}
    return tuple(names[one] for one in sorted(names))


def _read_name(document: object, rules: PolicyRules) -> AskedName:
    asked = _read_identifier(document)
    ancestor = text_of(document, "ancestorDomain") if isinstance(document, dict) else None
    if ancestor is None:
        return AskedName(asked)
    if not rules.subdomains:
        raise malformed("this directory does not know ancestorDomain (RFC 9444)")
    above = _checked(DNS, ancestor)
    if asked.type != DNS or above.wildcard or not is_below(f".{asked.base}", above.value):
        raise malformed(f"ancestorDomain {above.value} is no domain above {asked.value}")
    return AskedName(asked, above.value)


def _read_identifier(document: object) -> Identifier:
    if not isinstance(document, dict):
        raise malformed("an identifier is to be an object with type and value")
    kind, value = text_of(document, "type"), text_of(document, "value")
    if kind is None or value is None:
        raise malformed("an identifier is to have type and value")
    if kind not in TYPES:
        raise AcmeError(
            "unsupportedIdentifier", f"type {kind[:40]!a} is unknown; known are {', '.join(TYPES)}"
        )
    return _checked(kind, value)


def _checked(kind: str, value: str) -> Identifier:
    try:
        return identifier(kind, value)
    except NotAnIdentifier as error:
        raise malformed(str(error)) from None


def _read_profile(wish: JsonObject, rules: PolicyRules) -> str | None:
    profile = text_of(wish, "profile")
    if profile is not None and profile not in rules.profiles:
        known = ", ".join(rules.profiles) or "none"
        raise AcmeError(
            "invalidProfile", f"there is no profile {profile[:40]!a} here; there are: {known}"
        )
    return profile


def _read_validity(wish: JsonObject, now: datetime) -> datetime | None:
    start, end = text_of(wish, "notBefore"), text_of(wish, "notAfter")
    if start is not None and abs(moments.read(start, "notBefore") - now) > _SLACK:
        raise malformed("certificates begin when they are issued: leave notBefore out")
    if end is None:
        return None
    found = moments.read(end, "notAfter")
    if found <= now:
        raise malformed("notAfter is past")
    return found


def _read_renewal(wish: JsonObject, rules: AutoRenewal, now: datetime) -> RenewalWish | None:
    found = wish.get("auto-renewal")
    if found is None:
        return None
    if not rules.allowed:
        raise malformed("this directory does not renew by itself (RFC 8739)")
    if not isinstance(found, dict) or "notBefore" in wish or "notAfter" in wish:
        raise malformed("'auto-renewal' is an object and stands in place of notBefore, notAfter")
    start, end = text_of(found, "start-date"), text_of(found, "end-date")
    if end is None:
        raise malformed("'auto-renewal' is to have an end-date")
    begin = now if start is None else moments.read(start, "start-date")
    if begin > now + _SLACK:
        raise malformed("certificates begin when they are issued: leave start-date out")
    until = moments.read(end, "end-date")
    lifetime, adjust = _seconds(found, "lifetime"), _seconds(found, "lifetime-adjust", 0)
    least = timedelta(seconds=rules.least_lifetime_seconds)
    longest = timedelta(seconds=rules.longest_duration_seconds)
    if lifetime < least or adjust >= lifetime:
        raise malformed(f"'lifetime' is to be {rules.least_lifetime_seconds} seconds at least")
    if not begin < until <= begin + longest:
        raise malformed(f"'end-date' is to be after the start, by {longest.days} days at most")
    wanted = flag_of(found, "allow-certificate-get")
    return RenewalWish(begin, until, lifetime, adjust, wanted and rules.get_without_account)


def _seconds(document: JsonObject, name: str, default: int | None = None) -> timedelta:
    found = document.get(name, default)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**31:
        raise malformed(f"{name!r} is to be a number of seconds")
    return timedelta(seconds=found)
