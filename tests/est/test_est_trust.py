"""Which CA certificates an EST client gets."""

from datetime import timedelta

import pytest

from pikaserver.api.errors import NotFound
from pikaserver_est.trust import ca_certificates


def trusted(server, name="issuing"):
    return ca_certificates(server.authorities, name, server.clock())


def test_the_current_certificate_comes_first(server):
    """Clients that look no further take the one that signs."""
    old = server.authorities.keys["issuing"][0]
    new = server.authorities.add("issuing", "root")

    found = trusted(server)

    assert new.certificate == found[0]
    assert {old.certificate, new.certificate} < set(found)
    assert len(found) == len(set(found))


def test_a_root_that_changed_its_key_comes_with_all_links(server):
    """RFC 7030 section 4.1.3: OldWithOld, OldWithNew, NewWithOld and the new root."""
    old = server.authorities.keys["root"][0]
    new = server.authorities.add("root")
    now, then = server.clock(), server.clock() + timedelta(days=365)
    old_with_new = new.certify(old.public_key, old.subject, now, then, ca=True)
    new_with_old = old.certify(new.public_key, new.subject, now, then, ca=True)
    server.authorities.others = {("root", 1): (old_with_new,), ("root", 2): (new_with_old,)}

    found = trusted(server)

    assert {old.certificate, new.certificate, old_with_new, new_with_old} < set(found)


def test_expired_certificates_are_left_out(server):
    """Nobody shall trust what is over; the one that signs is told in any case."""
    server.clock.advance(timedelta(days=365 * 9))
    new = server.authorities.add("issuing", "root")
    server.clock.advance(timedelta(days=365 * 2))

    assert [new.certificate] == trusted(server)


def test_other_authorities_of_the_server_are_not_mixed_in(server):
    """What is not above this authority is not its clients' business."""
    server.authorities.add("other")

    assert 2 == len(trusted(server))


def test_an_authority_without_a_certificate_has_nothing_to_trust(server):
    """Its CSR waits elsewhere."""
    server.authorities.keys["waiting"] = []

    with pytest.raises(NotFound, match="no certificate yet"):
        trusted(server, "waiting")
