"""The private keys of a node: no other plugin opens them, and old ones are sealed anew."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_agent.wire.messages import Node
from pikaserver.api.errors import ConfigurationError, KeyUnavailable
from pikaserver.api.signing import KeySealer
from pikaserver_agents.node_seal import PURPOSE
from pikaserver_agents.office import Office
from pikaserver_agents.private_keys import TlsLibrary, private_pem, written
from pikaserver_agents.storage import node_keys
from tests.agents.real_agents import RealSite


@pytest.fixture
def site():
    """A server that does not listen."""
    return RealSite(serves=False)


def stored(site):
    with site.server.database.reading() as connection:
        return node_keys.list_keys(connection)


def purposes(key):
    """Return what another plugin, which has our source, would try."""
    return (PURPOSE, f"{PURPOSE} {key.node.pin.hex()}", "")


def age(site):
    """Seal the node's first keys as servers of before did; return what is stored then."""
    first = site.office.identities.present()[0]
    plain = first.frame_key.private_bytes_raw() + first.tls_key
    old = site.server.secrets.seal(PURPOSE, plain)
    with site.server.database.transaction() as connection:
        (row,) = node_keys.list_keys(connection)
        assert node_keys.reseal_first(connection, 1, row.sealed, old)
    return old


def another_process(site):
    return RealSite(beside=site, serves=False)


def assert_nobody_else_opens(site, key):
    """`Server.secrets` is every plugin's; a scheme's own secrets are what another backend has."""
    for secrets in (site.server.secrets, site.server.key_secrets("openssl")):
        for purpose in purposes(key):
            for octets in (key.sealed, key.sealed[6:]):
                with pytest.raises(KeyUnavailable):
                    secrets.open(purpose, octets)


def test_another_plugin_opens_no_key_of_a_node(site):
    """It may read the table, knows the purpose, and holds what seals for all plugins."""
    site.office.identities.present()

    (key,) = stored(site)

    assert_nobody_else_opens(site, key)


def test_a_node_of_before_goes_on_with_its_keys_and_is_sealed_anew(site):
    """Any plugin could open them until now; the first process that opens them ends that."""
    (before,) = site.office.identities.present()
    old = age(site)
    assert site.server.secrets.open(PURPOSE, old)

    (after,) = another_process(site).office.identities.present()

    (key,) = stored(site)
    assert (before.node, before.certificate) == (after.node, after.certificate)
    assert before.tls_key == after.tls_key
    assert written(before.frame_key) == written(after.frame_key) == after.node.frame_key
    assert old != key.sealed
    assert_nobody_else_opens(site, key)
    (again,) = another_process(site).office.identities.present()
    assert after.tls_key == again.tls_key


def test_two_processes_that_open_old_keys_at_once_both_work(site):
    """The one that comes second has read the old row, and changes nothing any more."""
    site.office.identities.present()
    age(site)
    first, second = another_process(site), another_process(site)
    first.office.directory.refresh()
    second.office.identities.present()
    (sealed,) = stored(site)

    (ours,) = first.office.identities.present()

    (key,) = stored(site)
    assert ours.tls_key == second.office.identities.present()[0].tls_key
    assert sealed.sealed == key.sealed
    assert_nobody_else_opens(site, key)


def test_later_keys_are_never_of_the_old_way(site):
    """What every plugin could have sealed is taken for a node's first keys only, once."""
    other = RealSite(beside=site, serves=False, frame_key="ml-dsa-44")
    *_, newest = other.office.identities.present()
    forged = site.server.secrets.seal(
        PURPOSE, Ed25519PrivateKey.generate().private_bytes_raw() + newest.tls_key
    )
    with site.server.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE agents_node_key SET sealed = ?", (forged,))

    with pytest.raises(KeyUnavailable):
        another_process(site).office.identities.present()


def test_sealed_keys_open_for_their_own_tls_key_only(site):
    """Two nodes on one database cannot be given each other's keys by who writes there."""
    (ours,) = site.office.identities.present()
    other = RealSite(beside=site, node=2, serves=False)
    other.office.identities.present()
    with site.server.database.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE agents_node SET sealed = (SELECT sealed FROM agents_node WHERE number = 2)"
            " WHERE number = 1"
        )

    with pytest.raises(KeyUnavailable):
        another_process(site).office.identities.present()

    assert Node(1, ours.node.address, ours.node.pin, written(ours.frame_key)) == ours.node
    assert b"PRIVATE KEY" in private_pem(ours.frame_key)
    assert "PRIVATE" not in repr(ours)


def test_nothing_is_sealed_before_the_server_gives_what_seals(site):
    """The backend takes it as every backend that stores keys does."""
    office = Office(site.server)
    assert isinstance(office.backend, KeySealer)

    with pytest.raises(KeyUnavailable, match="before the server is there"):
        office.identities.present()

    assert [] == list(stored(site))


def test_a_node_whose_tls_library_lacks_the_keys_that_are_wanted_does_not_start(site, monkeypatch):
    """The sentence names the setting and the library; nothing classical takes their place."""
    monkeypatch.setattr("pikaserver_agents.node_identity.tls_library_here", TlsLibrary)

    with pytest.raises(ConfigurationError, match=r"plugins\.agents\.tls-key.*OpenSSL 3\.5"):
        RealSite(beside=site, tls_key="ml-dsa-65")
