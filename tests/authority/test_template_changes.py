"""Single options of a template, set in its document."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import RequestRejected
from pikaserver.authority.templates.changes import with_changes
from pikaserver.authority.templates.documents import read_template
from pikaserver.authority.templates.starters import starter


def changed(*changes):
    return read_template(with_changes(starter("device"), changes), name="device", version=2)


def test_options_are_set_where_they_stand():
    """In their tables, with their types; text needs no quotes, and comments stay."""
    template = changed(
        "scep.enabled=true", 'scep.compatibility=["3des"]', "validity.period=90d", "approval=true"
    )

    assert template.scep.enabled
    assert {"3des"} == template.scep.compatibility
    assert 90 == template.validity.period.days
    assert template.approval
    assert "# true: devices enrol by SCEP" in with_changes(starter("device"), ["scep.enabled=true"])


def test_a_table_that_is_missing_is_made():
    """A document need not name every table."""
    assert '[names.email]\nallow = ["*"]' in with_changes(
        starter("device"), ['names.email.allow=["*"]']
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("scep.enabeld=true", "scep.enabeld is not an option; did you mean 'enabled'"),
        ("scep.enabled=perhaps", "scep.enabled should be a valid boolean"),
        ("scep.compatibility=['rc4']", "scep.compatibility: 'rc4' is not one of"),
        ("scep.enabled", "is not of the form"),
        ("approval.x=1", "approval is not a table"),
        ("a..b=1", "is not of the form"),
    ],
)
def test_what_no_template_says_is_refused(change, why):
    """With the rule that it breaks."""
    with pytest.raises(RequestRejected, match=why):
        changed(change)


def test_scep_needs_its_door():
    """A switch that opens nothing is a mistake."""
    with pytest.raises(RequestRejected, match="'scep' is not among the doors"):
        changed("scep.enabled=true", 'doors=["est"]')


@given(st.text(max_size=60))
def test_nothing_else_is_ever_raised(change):
    """Whatever somebody types."""
    try:
        changed(change)
    except RequestRejected:
        return
