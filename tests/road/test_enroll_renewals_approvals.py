"""Renewals, and requests that wait for approval, from the CSR to the certificate."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.certificates import (
    Revocation,
    RevocationReason,
)
from pikaserver.api.errors import (
    NotAuthenticated,
    RequestRejected,
)
from pikaserver.api.issuance import Issued, Pending, Requester, RequestState
from tests.road.wishes import holding, wish


class TestRenewal:
    """The holder of a certificate gets another one for the same names (RFC 7030 4.2.2)."""

    @pytest.fixture
    def key(self):
        return ec.generate_private_key(ec.SECP256R1())

    @pytest.fixture
    def old(self, server, make_csr, key):
        return server.enroll(wish(make_csr("renew.example.test", key=key))).record

    @pytest.fixture
    def holder(self, old):
        return Requester("certificate:x", "certificate", certificate=old)

    def test_the_names_stay(self, server, make_csr, key, old, holder):
        request = wish(make_csr("renew.example.test", key=key), requester=holder, renews=old)

        issued = server.enroll(request)

        assert old.names == issued.record.names
        assert old.serial != issued.record.serial

    def test_other_names_are_refused(self, server, make_csr, old, holder):
        request = wish(make_csr("other.example.test"), requester=holder, renews=old)

        with pytest.raises(RequestRejected, match="subject must stay"):
            server.enroll(request)

    def test_a_certificate_buys_nothing_but_itself(self, server, make_csr, holder):
        """An own certificate is no ticket for other names at simpleenroll either."""
        with pytest.raises(RequestRejected, match="must stay"):
            server.enroll(wish(make_csr("elsewhere.example.test"), requester=holder))

    def test_somebody_elses_certificate_cannot_be_renewed(self, server, make_csr, holder):
        other = server.enroll(wish(make_csr("victim.example.test"))).record
        request = wish(make_csr("victim.example.test"), requester=holder, renews=other)

        with pytest.raises(RequestRejected, match="holder"):
            server.enroll(request)

    def test_a_revoked_one_is_refused(self, server, make_csr, old, holder, clock):
        revoked = server.revoke(old, Revocation(clock(), RevocationReason.KEY_COMPROMISE), "test")
        # A door that read the record a moment earlier does not help either.
        for record in (revoked, old):
            request = wish(
                make_csr("renew.example.test"), requester=replace(holder, certificate=record)
            )
            with pytest.raises(NotAuthenticated, match="revoked"):
                server.enroll(request)


class TestApproval:
    """Templates that want a person's yes."""

    @pytest.fixture
    def template(self, server):
        document = server.templates.document("device").replace(
            "approval = false", "approval = true"
        )
        if "approval = true" not in document:
            document = "approval = true\n" + document
        server.templates.save("approved", document, "test")
        return "approved"

    def test_it_waits_is_approved_and_issued_once(self, server, make_csr, template):
        csr = make_csr("wait.example.test")
        pending = server.enroll(wish(csr, template))
        assert isinstance(pending, Pending)
        assert pending.request_id == server.enroll(wish(csr, template)).request_id

        server.requests.decide(pending.request_id, "officer", approve=True)
        first = server.enroll(wish(csr, template))
        second = server.enroll(wish(csr, template))

        assert isinstance(first, Issued)
        assert first.certificate == second.certificate

    def test_it_is_declined_with_the_comment(self, server, make_csr, template):
        csr = make_csr("declined.example.test")
        pending = server.enroll(wish(csr, template))

        server.requests.decide(pending.request_id, "officer", approve=False, comment="not ours")

        with pytest.raises(RequestRejected, match="not ours"):
            server.enroll(wish(csr, template))
        assert RequestState.DECLINED is server.requests.get(pending.request_id).state

    def test_a_template_that_was_disabled_meanwhile_issues_nothing(
        self, server, make_csr, template
    ):
        csr = make_csr("closed.example.test")
        pending = server.enroll(wish(csr, template))
        server.requests.decide(pending.request_id, "officer", approve=True)

        server.templates.set_enabled(template, "test", enabled=False)
        try:
            with pytest.raises(RequestRejected, match="disabled"):
                server.enrollment.issue_approved(pending.request_id)
        finally:
            server.templates.set_enabled(template, "test", enabled=True)
        assert isinstance(server.enrollment.issue_approved(pending.request_id), Issued)

    def test_a_code_is_spent_when_it_waits_and_still_fetches(self, server, make_csr, template):
        code = server.codes.create(template, "test")
        requester = holding(server, code.user)
        csr = make_csr("coded.example.test")
        pending = server.enroll(wish(csr, template, requester=requester))
        server.requests.decide(pending.request_id, "officer", approve=True)

        assert isinstance(server.enroll(wish(csr, template, requester=requester)), Issued)
        with pytest.raises(NotAuthenticated):
            server.enroll(wish(make_csr("more.example.test"), template, requester=requester))
