"""Templates for tests, without a document."""

from dataclasses import replace
from datetime import timedelta

from pikaserver.api.templates import (
    ExtensionRules,
    RenewalRules,
    SubjectRules,
    Template,
    UsageRules,
    ValidityRules,
)


def make_template(name: str = "device", **changes: object) -> Template:
    """Return a template of the authority ``issuing`` that is open to EST, with these changes."""
    template = Template(
        name=name,
        version=1,
        description="for tests",
        enabled=True,
        authority="issuing",
        doors=frozenset({"est"}),
        proofs=frozenset({"code", "certificate"}),
        client_authorities=frozenset({"issuing"}),
        approval=False,
        subject=SubjectRules(("CN",), (), ("CN",), "free"),
        names=(),
        names_required=False,
        names_limit=100,
        key_types=frozenset({"ec-p256"}),
        signature_hash=None,
        usage=UsageRules((), (), False, False, None, (), ()),  # noqa: FBT003 - nothing is on
        validity=ValidityRules(timedelta(days=90), timedelta(days=90), False, timedelta(0)),  # noqa: FBT003 - not overridable
        extensions=ExtensionRules(False, False, False, (), (), (), (), None, False, False),  # noqa: FBT003 - nothing is on
        renewal=RenewalRules(True, None, True, False),  # noqa: FBT003 - allowed, names stay
    )
    return replace(template, **changes)  # type: ignore[arg-type]  # the fields' own names
