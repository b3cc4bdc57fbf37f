"""Directories as RFC 4523 wants them, before slapd."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import Conflict, MalformedRequest, RequestRejected, Unavailable
from pikaserver_publish.ber import read_values
from tests.publish.certificates import TinyPki
from tests.publish.directories import directory

BELOW = "ou=pki,dc=example,dc=com"
FULL, DELTA = "certificateRevocationList;binary", "deltaRevocationList;binary"
CA = "cACertificate;binary"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return TinyPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def slapd(tmp_path_factory, pki):
    with directory(tmp_path_factory.mktemp("slapd"), pki) as found:
        yield found


@pytest.fixture
def entry(request):
    """A name of its own for each test."""
    return f"cn={request.node.name.strip(']').replace('[', '-')}-{{authority}},{BELOW}"


@pytest.fixture
def writer(house, slapd, pki, secret, entry):
    """Make publishers that sign in as the writer, over TLS."""

    def make(*lines, password="sesame", crl=entry, ca=pki.ca):  # noqa: S107 - of this test
        signed = [f'bind-dn="cn=writer,dc=example,dc=com"\npassword-file="{secret(password)}"']
        both = [f'crl="{crl}"', f'certificate="{crl}"', f'ca-file="{ca}"', *lines]
        return house.publisher("\n".join(['kind="ldap"', f'url="{slapd.ldaps}"', *signed, *both]))

    return make


def named(entry, authority="issuing"):
    return entry.format(authority=authority)


def test_an_entry_is_made_and_then_kept_up_to_date(house, slapd, writer, entry):
    """With all three attributes, where clients look for them."""
    first, second = house.issue(), house.issue()
    writer().publish(first)
    assert [first.crl] == slapd.search(named(entry), FULL)

    writer().publish(second)
    writer().target.certificate(*house.certificate())

    assert [second.crl] == slapd.search(named(entry), FULL)
    assert [house.certificate()[1].certificate] == slapd.search(named(entry), CA)
    assert slapd.search(named(entry, "root"), FULL) is None


def test_a_certificate_may_come_first(house, slapd, writer, entry):
    """And all certificates of the key are there."""
    house.server.authorities.others["issuing", 1] = (house.certificate("root")[1].certificate,)

    writer().target.certificate(*house.certificate())

    ours = house.certificate()[1]
    assert {ours.certificate, *ours.others} == set(slapd.search(named(entry), CA))


def test_an_older_crl_never_replaces_a_newer_one(house, slapd, writer, entry):
    """Neither in the entry of a directory."""
    old, new = house.issue(), house.issue()
    writer().publish(new)

    with pytest.raises(Conflict, match="has CRL 2, newer than 1"):
        writer().publish(old)

    assert [new.crl] == slapd.search(named(entry), FULL)


@pytest.mark.parametrize("how", ["start-tls", "ldapi", "client certificate"])
def test_there_are_other_ways_to_sign_in(house, slapd, pki, secret, entry, how):
    """StartTLS, our account at the socket, our certificate."""
    certificate, key = pki.identity("publisher")
    signed = {
        "start-tls": f'url="{slapd.ldap}"\nstart-tls=true\nbind-dn="cn=admin,dc=example,dc=com"\n'
        f'password-file="{secret("sesame")}"',
        "ldapi": f'url="{slapd.ldapi}"\nexternal=true',
        "client certificate": f'url="{slapd.ldaps}"\nexternal=true\n'
        f'client-certificate="{certificate}"\nclient-key="{key}"',
    }[how]
    publisher = house.publisher(
        f'kind="ldap"\n{signed}\nca-file="{pki.ca}"\ncrl="{entry.replace(" ", "-")}"'
    )

    publisher.publish(crl := house.issue())

    assert [crl.crl] == slapd.search(named(entry.replace(" ", "-")), FULL)
    assert f"signed in, and found {BELOW}" == publisher.target.probe()


def test_a_wrong_password_concerns_the_whole_target(house, writer):
    """Nobody goes on guessing for each CRL."""
    with pytest.raises(Unavailable, match=r"invalidCredentials \(49\)"):
        writer(password="wrong").publish(house.issue())  # noqa: S106 - wrong indeed


def test_an_entry_that_we_may_not_write_concerns_itself(house, writer):
    """And one below an entry that is not there, and one that we must not make."""
    for crl, why in (
        (f"cn=forbidden,{BELOW}", "insufficientAccessRights"),
        (f"cn=x,ou=nowhere,{BELOW}", "noSuchObject"),
    ):
        publisher = writer('authorities=["issuing"]', crl=crl)
        with pytest.raises(RequestRejected, match=why):
            publisher.publish(house.issue())
    with pytest.raises(RequestRejected, match="noSuchObject"):
        writer("create=false").publish(house.issue())


def test_a_large_crl_goes_through(house, slapd, writer, entry):
    """Several megabytes in one message."""
    crl = house.large(100_000)

    writer().publish(crl)

    assert [crl.crl] == slapd.search(named(entry), FULL)


def test_a_server_of_another_ca_is_not_spoken_to(house, writer, tmp_path):
    """Before any password is sent."""
    other = TinyPki(tmp_path, "Other CA")

    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        writer(ca=other.ca).publish(house.issue())


@pytest.fixture
def liar():
    """A server that answers everything with the same octets."""
    listener = socket.create_server(("127.0.0.1", 0))
    said = []

    def serve():
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            with line:
                line.recv(65536)
                line.sendall(said[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield said, listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x30",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x30\x80\x02\x01\x01",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x03\x02\x01\x01",
        bytes.fromhex("300c02010161070a010004000400")[:9],
        bytes.fromhex("300c02010163070a010004000400"),  # a search, not an answer
        bytes.fromhex("30130201007800") + b"\0" * 14,
        bytes.fromhex("300c02010278070a013404000400"),  # notice of disconnection
    ],
)
def test_a_server_that_speaks_no_ldap_is_unavailable(house, secret, liar, answer):
    """It may say what it likes."""
    said, port = liar
    said.append(answer)
    publisher = house.publisher(
        f'kind="ldap"\nurl="ldap://localhost:{port}"\nstart-tls=true\nbind-dn="cn=x"\n'
        f'password-file="{secret("sesame")}"\ncrl="cn={{authority}},o=x"\ntimeout-seconds=2'
    )

    with pytest.raises(Unavailable):
        publisher.publish(house.issue())


@given(st.binary(max_size=60))
def test_no_octets_upset_the_reader(octets):
    """What it cannot read it refuses."""
    try:
        found = read_values(octets)
    except MalformedRequest:
        return
    assert sum(len(value.content) + 2 for value in found) <= len(octets)
