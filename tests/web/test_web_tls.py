"""TLS of the listeners with real handshakes: Python's, curl's and openssl's."""

import re
import socket
import ssl

import pytest

from pikaserver.api.errors import StorageUnavailable
from pikaserver.api.operations import HealthState
from pikaserver.web.tls import IdentityFiles, TlsSettings

GET = b"GET /door HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /door HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
PATIENCE = 60


def health(running):
    """Return the health of the listener's certificate."""
    [check] = [c for c in running.listener.health_checks() if c.name == "tls-test"]
    return check.check()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_served_and_told(house, tls, shake, version):
    """Version and cipher reach the application."""
    running = house.start(tls=tls)
    connection = shake(running, version=version)
    connection.sendall(LAST)

    assert running.read_all(connection).endswith(b"hello")

    told = running.door.connection.tls
    assert (connection.version(), connection.cipher()[0]) == (told.version, told.cipher)
    assert (None, None) == (told.certificate, told.certificate_fault)
    assert "https" == running.door.env["wsgi.url_scheme"]


def test_tls_1_2_is_bound_by_its_first_finished_message(house, tls, shake):
    """RFC 5929 section 3: the client knows the same octets."""
    running = house.start(tls=tls)
    connection = shake(running, version=ssl.TLSVersion.TLSv1_2)
    connection.sendall(LAST)
    running.read_all(connection)

    expected = {"tls-unique": connection.get_channel_binding()}
    assert expected == running.door.connection.tls.channel_bindings


def test_tls_1_3_is_bound_by_an_exporter(house, tls, talk):
    """RFC 9266 section 4.2."""
    running = house.start(tls=tls)

    label = ("-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32")
    answer = talk(running, "-tls1_3", *label)

    [material] = re.findall(r"Keying material: ([0-9A-F]+)", answer)
    expected = {"tls-exporter": bytes.fromhex(material)}
    assert expected == running.door.connection.tls.channel_bindings


@pytest.mark.parametrize("ask", ["none", "optional"])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_no_session_is_resumed(house, tls, authority, talk, version, ask):
    """A resumed one would keep a verdict of long ago on the client's certificate."""
    running = house.start(tls=tls, client_certificates=ask)
    chain, key = authority.issue("device")

    answer = talk(running, version, "-reconnect", "-cert", chain, "-key", key)

    assert "Reused, " not in answer
    assert 6 == answer.count("New, TLSv1")


def test_a_ticket_buys_nothing(house, tls, authority, talk, tmp_path):
    """OpenSSL sends some in TLS 1.3 all the same; they name sessions that nobody keeps."""
    running = house.start(tls=tls, client_certificates="required")
    chain, key = authority.issue("device")
    ticket = tmp_path / "ticket"
    shows = ("-tls1_3", "-cert", chain, "-key", key)
    assert "hello" in talk(running, *shows, "-sess_out", ticket)

    answer = talk(running, *shows, "-sess_in", ticket)

    assert "New, TLSv1.3" in answer
    assert "hello" in answer
    assert running.door.connection.tls.certificate is not None


@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(house, tls, talk, option):
    """RFC 8996."""
    answer = talk(house.start(tls=tls), option, "-cipher", "ALL@SECLEVEL=0")

    assert "Cipher is (NONE)" in answer


@pytest.mark.parametrize("cipher", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "NULL"])
def test_old_ciphers_are_refused(house, tls, talk, cipher):
    """RFC 9325 section 4.2: forward secrecy and AEAD only."""
    answer = talk(house.start(tls=tls), "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")

    assert "Cipher is (NONE)" in answer


def test_a_client_cannot_renegotiate(house, tls, talk):
    """It would make the server work at will."""
    # Without -ign_eof, which switches the letters off.
    answer = talk(house.start(tls=tls), "-tls1_2", "-no_ign_eof", text=b"R\n")

    assert "no renegotiation" in answer


def test_a_new_certificate_is_served_without_a_restart(house, authority, shake, until):
    """Connections that stand go on with the old one."""
    chain, key = authority.issue("server")
    running = house.start(tls=TlsSettings(IdentityFiles(chain, key)))
    old = shake(running)
    first = old.getpeercert(binary_form=True)

    authority.issue("server")

    until(lambda: shake(running).getpeercert(binary_form=True) == authority.der_of(chain))
    assert first != authority.der_of(chain)
    old.sendall(LAST)
    assert running.read_all(old).endswith(b"hello")
    assert HealthState.OK is health(running).state


def test_a_bad_new_certificate_leaves_the_old_one_in_use(house, authority, shake, caplog, until):
    """Said in the log once, and on the health page until it is mended."""
    chain, key = authority.issue("server")
    running = house.start(tls=TlsSettings(IdentityFiles(chain, key)))
    good = chain.read_bytes()

    # A file that is written while it is read would be bad twice, in two ways.
    rubbish = chain.with_suffix(".new")
    rubbish.write_bytes(b"rubbish")
    rubbish.rename(chain)
    until(lambda: health(running).state is HealthState.DEGRADED)
    until(lambda: health(running).state is HealthState.DEGRADED)

    assert shake(running).version() is not None
    assert "the old one is served" in health(running).detail
    assert 1 == len([r for r in caplog.records if getattr(r, "event", "") == "tls-certificate-bad"])
    chain.write_bytes(good)
    until(lambda: health(running).state is HealthState.OK)


def test_a_source_that_fails_leaves_all_as_it_is(house, authority, shake, until):
    """A database that is away does not end TLS."""
    chain, key = authority.issue("server")
    identity = IdentityFiles(chain, key)()
    away = []

    def source():
        if away:
            raise StorageUnavailable("the database is away")
        return identity

    running = house.start(tls=TlsSettings(source))
    away.append(True)

    until(lambda: "the database is away" in health(running).detail)

    assert shake(running).version() is not None


def test_an_expired_server_certificate_is_seen_on_the_health_page(house, authority):
    """Before the first client complains."""
    tls = TlsSettings(IdentityFiles(*authority.issue("server", since=20, days=-10)))

    assert "expired" in health(house.start(tls=tls)).detail


def test_a_large_answer_goes_through_tls(house, tls, shake):
    """Record by record, also to a client that reads late."""
    running = house.start(tls=tls)
    running.door.answer = bytes(range(256)) * 20_000
    connection = shake(running)
    connection.sendall(LAST)
    assert running.door.entered.wait(PATIENCE)

    assert running.read_all(connection).endswith(running.door.answer)


def test_octets_that_openssl_holds_are_not_forgotten(house, tls, shake):
    """Many requests in one record: poll sees nothing of those behind the first."""
    running = house.start(tls=tls)
    connection = shake(running)
    connection.sendall(GET * 100 + LAST)

    answer = running.read_all(connection)

    assert 101 == answer.count(b"HTTP/1.1 200 OK")


def test_the_end_is_said_in_tls(house, tls, shake):
    """close_notify tells a whole answer from a cut one (RFC 8446 section 6.1)."""
    running = house.start(tls=tls)
    connection = shake(running)
    connection.suppress_ragged_eofs = False
    connection.sendall(LAST)

    assert running.read_all(connection).endswith(b"hello")


def test_a_plain_request_to_a_tls_port_does_no_harm(house, tls, shake):
    """It gets an alert, or nothing; the next client is served."""
    running = house.start(tls=tls)

    answer = running.send(LAST)

    assert b"hello" not in answer
    connection = shake(running)
    connection.sendall(LAST)
    assert running.read_all(connection).endswith(b"hello")
    assert 1 == running.listener.traffic.failed_handshakes


def test_http_1_1_is_agreed_on(house, tls, authority):
    """ALPN, for clients that would rather speak HTTP/2."""
    running = house.start(tls=tls)
    context = ssl.create_default_context(cafile=authority.file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(running.address, PATIENCE) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
    ):
        assert "http/1.1" == connection.selected_alpn_protocol()
