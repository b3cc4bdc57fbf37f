"""dns-persist-01 (draft-ietf-acme-dns-persist): a lasting TXT record names us and the account."""

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.operations import Clock
from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.issue_values import IssueValue, read_issue_value
from pikaserver_acme.validation.lookout import Lookout
from pikaserver_acme.validation.question import Question

LABEL = "_validation-persist"


class DnsPersist01:
    """Looks at the record anew for each authorization, at the time of ``clock``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def check(self, question: Question, lookout: Lookout) -> None:
        """Return when a record allows this account to get what it asks for.

        Raises:
            Failed: none does, or the servers cannot tell.
        """
        name = f"{LABEL}.{question.identifier_value}"
        identities = [each.lower().rstrip(".") for each in question.limits.caa_identities]
        if not identities:
            raise Failed("serverInternal", "the policy names no CAA identity to be found there")
        objections: list[str] = []
        for octets in lookout.resolver.texts(name, lookout.attempt):
            objection = self._objection(octets, identities, question)
            if objection is None:
                return
            lookout.attempt.note(f"TXT {name}: {objection}")
            objections.append(objection)
        wanted = f"{identities[0]}; accounturi={question.account_url}"
        if question.wildcard or question.subdomains:
            wanted += "; policy=wildcard"
        why = "; ".join(objections[:3]) or "there is none"
        raise Failed("unauthorized", f"TXT {name} should be '{wanted}': {why}", again=True)

    def _objection(self, octets: bytes, identities: list[str], question: Question) -> str | None:
        """Say what is wrong with a record, or return ``None``."""
        try:
            value = read_issue_value(octets.decode("ascii", "replace"))
            if value.issuer not in identities:
                return f"it names {value.issuer or 'nobody'}"
            return self._other_objection(value, question)
        except MalformedRequest as error:
            return f"it cannot be read: {error}"

    def _other_objection(self, value: IssueValue, question: Question) -> str | None:
        # "Simple String Comparison" of RFC 3986 section 6.2.1.
        if value.one("accounturi") != question.account_url:
            return "it names another account, or none"
        below = question.wildcard or question.subdomains
        if below and (value.one("policy") or "").lower() != "wildcard":
            return "it lacks policy=wildcard"
        until = value.one("persistuntil")
        if until is None:
            return None
        if not until.isdigit() or len(until) > 12:  # noqa: PLR2004 - seconds until the year 33,658
            return f"its persistUntil is not a number of seconds: {until!r}"
        if self._clock().timestamp() > int(until):
            return "it was good until a time that is over"
        return None
