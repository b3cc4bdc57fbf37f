"""Authorities that are renewed, get new keys, and are signed across."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.errors import Conflict, RequestRejected
from pikaserver.api.signing import KeyReference
from pikaserver.asn1.csr import read_csr, verify_possession
from pikaserver.testing.clock import FrozenClock
from pikaserver.testing.servers import make_server
from tests.road.ceremony_plans import current, enrol, plan


def verified(server, leaf, root):
    """Build the path with cryptography's own verifier."""
    verifier = PolicyBuilder().store(Store([root])).time(server.clock()).build_client_verifier
    others = [key.certificate for key in server.authorities.all_keys()]
    others += [
        x509.load_der_x509_certificate(other)
        for key in server.authorities.all_keys()
        for other in key.generation.others
    ]
    return verifier().verify(leaf, others).chain


class TestSuccession:
    """Renewal keeps the key; a new key keeps the old one's certificates valid."""

    @pytest.fixture
    def house(self, tmp_path):
        with make_server(tmp_path / "house", clock=FrozenClock()) as made:
            yield made

    def test_renewal_keeps_the_key_and_the_old_certificate(self, house, make_csr):
        before = current(house, "issuing")
        leaf = enrol(house, make_csr, "early.example.test")
        house.clock.advance(timedelta(days=1000))

        house.succession.renew("issuing", "test")

        after = current(house, "issuing")
        assert before.public_key == after.public_key
        assert before.generation.certificate in after.generation.others
        assert after.certificate.not_valid_after_utc > before.certificate.not_valid_after_utc
        leaf.verify_directly_issued_by(after.certificate)

    def test_a_renewed_root_signs_itself_again(self, house):
        house.clock.advance(timedelta(days=1000))

        house.succession.renew("root", "test")

        root = current(house, "root").certificate
        root.verify_directly_issued_by(root)
        current(house, "issuing").certificate.verify_directly_issued_by(root)

    def test_a_new_key_is_a_new_generation_and_both_are_served(self, house, make_csr):
        old = enrol(house, make_csr, "old.example.test")
        wish = replace(plan("issuing", "ec-p384"), key=KeyReference("software", "issuing-2"))

        house.succession.rekey("issuing", wish, "test")

        new = enrol(house, make_csr, "new.example.test")
        generations = house.authorities.get("issuing").generations
        assert [2, 1] == [generation.number for generation in generations]
        assert [True, False] == [generation.current for generation in generations]
        root = current(house, "root").certificate
        for leaf in (old, new):
            assert 3 == len(verified(house, leaf, root))
        assert {1, 2} == {crl.generation for crl in house.crls.issue("issuing")}

    def test_a_new_root_is_reached_from_the_old_one_and_back(self, house, make_csr):
        """RFC 4210 section 4.4: NewWithOld and OldWithNew."""
        first = current(house, "root").certificate
        wish = replace(plan("root"), key=KeyReference("software", "root-2"))
        before = enrol(house, make_csr, "before.example.test")

        house.succession.rekey("root", wish, "test")
        house.succession.renew("issuing", "test")

        second = current(house, "root").certificate
        after = enrol(house, make_csr, "after.example.test")
        for leaf in (before, after):
            for anchor in (first, second):
                assert leaf == verified(house, leaf, anchor)[0]

    def test_a_revoked_authority_signs_nothing_until_it_has_a_new_key(self, house, make_csr):
        """Whoever trusts the CRL above would refuse all of it."""
        own = house.certificates.by_certificate(current(house, "issuing").generation.certificate)
        house.revoke(own, Revocation(house.clock(), RevocationReason.CA_COMPROMISE), "test")
        with pytest.raises(Conflict, match="revoked"):
            enrol(house, make_csr, "refused.example.test")
        with pytest.raises(Conflict, match="revoked"):
            house.succession.renew("issuing", "test")
        wish = replace(plan("issuing"), key=KeyReference("software", "issuing-2"))

        house.succession.rekey("issuing", wish, "test")

        leaf = enrol(house, make_csr, "again.example.test")
        leaf.verify_directly_issued_by(current(house, "issuing").certificate)

    def test_a_cross_certificate_opens_another_way_up(self, house, make_csr):
        house.ceremony.create_root(plan("second"), "test")
        leaf = enrol(house, make_csr, "cross.example.test")

        house.succession.cross_sign(current(house, "root").certificate, "second", "test")

        anchor = current(house, "second").certificate
        assert 4 == len(verified(house, leaf, anchor))

    def test_only_what_proves_its_key_is_cross_signed(self, house):
        with pytest.raises(RequestRejected, match="proves its key"):
            house.succession.cross_sign(current(house, "issuing").certificate, "root", "test")

    def test_a_csr_over_the_current_key_verifies(self, house):
        csr = read_csr(house.succession.csr("issuing", "test"))

        verify_possession(csr)
        assert current(house, "issuing").public_key == csr.public_key
        assert current(house, "issuing").certificate.subject == csr.subject
