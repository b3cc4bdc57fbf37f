"""CAA: whether the owner of a name lets us issue for it (RFC 8659, RFC 8657)."""

from collections.abc import Sequence

from pikaserver.api.errors import MalformedRequest
from pikaserver_acme.validation.attempt import Failed
from pikaserver_acme.validation.issue_values import IssueValue, read_issue_value
from pikaserver_acme.validation.lookout import Lookout
from pikaserver_acme.validation.question import CaaQuestion
from pikaserver_acme.validation.resolver import CaaRecord

KNOWN_TAGS = frozenset(
    {"contactemail", "contactphone", "iodef", "issue", "issuemail", "issuevmc", "issuewild"}
)
"""Properties that we understand, if only so far that they do not concern us."""


class CaaLookUp:
    """Remembers the records of names above, which several names of one order share."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout
        self._known: dict[str, list[CaaRecord]] = {}

    def check(self, asked: CaaQuestion) -> None:
        """Return when we may issue.

        Raises:
            Failed: we may not, or a server could not tell: that, too, forbids it.
        """
        name, records = self._relevant(asked.name)
        if not records:
            return
        for record in records:
            if record.critical and record.tag not in KNOWN_TAGS:
                why = (
                    f"CAA {name} has the critical property {record.tag!r}, which is not known here"
                )
                raise Failed("caa", why)
        wild = [record for record in records if record.tag == "issuewild"]
        issue = [record for record in records if record.tag == "issue"]
        deciding = wild if asked.wildcard and wild else issue
        if not deciding:
            return
        objections = [_objection(record.value, asked) for record in deciding]
        if None not in objections:
            told = "; ".join(dict.fromkeys(one for one in objections if one))
            raise Failed("caa", f"CAA {name} does not let us issue for {asked.name}: {told}")

    def _relevant(self, name: str) -> tuple[str, Sequence[CaaRecord]]:
        """Return the closest name with records, and these (RFC 8659 section 3)."""
        labels = name.lower().rstrip(".").split(".")
        for first in range(len(labels)):
            above = ".".join(labels[first:])
            if above not in self._known:
                found = self._lookout.resolver.caa(above, self._lookout.attempt)
                self._known[above] = found
            if self._known[above]:
                return above, self._known[above]
        return name, ()


def _objection(text: str, asked: CaaQuestion) -> str | None:
    try:
        value = read_issue_value(text)
    except MalformedRequest as error:
        return f"a value that cannot be read: {error}"
    if value.issuer not in {each.lower().rstrip(".") for each in asked.limits.caa_identities}:
        return f"it names {value.issuer or 'nobody'}"
    return _account_objection(value, asked) or _method_objection(value, asked)


def _account_objection(value: IssueValue, asked: CaaQuestion) -> str | None:
    accounts = value.all("accounturi")
    if not accounts or accounts == [asked.account_url]:
        return None
    # RFC 8657 section 3: more than one is as good as none that matches.
    return "it names another account"


def _method_objection(value: IssueValue, asked: CaaQuestion) -> str | None:
    methods = value.all("validationmethods")
    if not methods:
        return None
    allowed = methods[0].split(",")
    if len(methods) == 1 and asked.validated_by is not None and asked.validated_by in allowed:
        return None
    return f"it wants a validation by {' or '.join(methods)}"
