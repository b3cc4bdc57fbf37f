"""Each lint on keys, constraints, usages and pointers finds its fault, and no other."""

from datetime import timedelta

import pytest

from pikaserver.authority.linting import lint
from pikaserver.authority.lints import (
    private_authority,
)
from tests.authority.rule_vectors import VECTORS


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    VECTORS,
    ids=[f"{kind.__name__}-{at}" for at, (kind, _, _) in enumerate(VECTORS)],
)
def test_each_lint_finds_its_fault_and_no_other(certificates, kind, good, bad):
    """One good and one bad vector per rule; a finding is one sentence that cites its section."""
    rule = kind()

    findings = lint(*bad(certificates), [rule])

    assert () == lint(*good(certificates), [rule])
    assert [(kind.__name__, rule.citation)] == [(each.lint, each.citation) for each in findings]
    assert findings[0].text


@pytest.mark.parametrize(("hours", "found"), [(-48, 0), (48, 0), (-49, 1), (49, 1)])
def test_not_before_is_within_48_hours(certificates, hours, found):
    """CA/Browser Forum: neither backdated nor postdated by more than two days."""
    draft = certificates.leaf()
    rule = private_authority.NotBeforeIsNow(
        lambda: draft.not_valid_before_utc + timedelta(hours=hours)
    )

    assert found == len(lint(draft, certificates.above, [rule]))
