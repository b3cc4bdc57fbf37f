"""Listeners on real sockets: where they stand, whom they serve, how they end."""

import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from pikaserver.api.errors import ConfigurationError
from pikaserver.api.web import Route, Security, Service
from pikaserver.clock import system_clock, system_entropy
from pikaserver.web.limits import Limits
from pikaserver.web.listeners import WebListener, WebListenerSettings, services_of
from pikaserver.web.tls import TlsSettings
from pikaserver.web.tls_contexts import TlsIdentity

GET = b"GET /door HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /door HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
NO_TLS = TlsSettings(lambda: TlsIdentity(b"", b"", ""))


def curl(*arguments):
    """Return what curl prints."""
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "60", *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout or done.stderr


def test_the_real_port_is_told_and_answers(house):
    """Port 0 lets the system choose."""
    running = house.start()
    host, port = running.address

    assert "hello" == curl(f"http://{host}:{port}/door")
    assert running.door.connection.listener == "test"
    assert ("127.0.0.1", None) == (running.door.connection.address, running.door.connection.tls)


def test_ipv6_is_served(house):
    """One listener, one family."""
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("this host has no IPv6")
    running = house.start(host="::1")

    assert "hello" == curl(f"http://[::1]:{running.address[1]}/door")
    assert "::1" == running.door.connection.address


def test_a_unix_socket_is_served_and_its_peer_believed(house, tmp_path):
    """For a proxy on the same host; nobody else may open it."""
    path = tmp_path / "web.sock"
    running = house.start(unix_socket=str(path))

    answer = curl("--unix-socket", str(path), "-H", "X-Forwarded-For: 192.0.2.7", "http://a/door")

    assert "hello" == answer
    assert "192.0.2.7" == running.door.connection.address
    assert 0o660 == stat.S_IMODE(path.stat().st_mode)
    assert (str(path), 0) == running.address
    house.running.remove(running.listener)
    running.listener.stop(0)
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced_and_a_living_one_is_not(house, tmp_path):
    """A killed server leaves its socket behind; a living one keeps it."""
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    house.start(unix_socket=str(path))

    with pytest.raises(ConfigurationError, match="another program listens there already"):
        house.start(unix_socket=str(path))

    assert "hello" == curl("--unix-socket", str(path), "http://a/door")


def test_a_taken_port_stops_the_start(house):
    """With a sentence that names the listener and the address."""
    port = house.start().address[1]

    with pytest.raises(
        ConfigurationError,
        match=rf"listeners.test cannot listen at 127.0.0.1 port {port}: another program",
    ):
        house.start(port=port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_somebody_else_stops_the_start(house, host):
    """Neither an address nor a name that is not ours."""
    with pytest.raises(ConfigurationError, match=r"listeners.test cannot listen at"):
        house.start(host=host)


def test_more_connections_than_descriptors_stop_the_start(house):
    """Rather than a server that cannot open its database under load."""
    with pytest.raises(ConfigurationError, match="LimitNOFILE"):
        house.start(Limits(connections=2**40))


def test_client_certificates_need_tls(house):
    """A plain line cannot ask for one."""
    with pytest.raises(ConfigurationError, match=r"listeners.test.client-certificates needs"):
        house.start(client_certificates="optional")


def settings(**more):
    """Return the settings of a plain listener."""
    return WebListenerSettings("public", "127.0.0.1", 0, ("crl", "est"), **more)


CRL = Service("crl", Security.PLAIN, [])
EST = Service("est", Security.TLS, [Route("/est", object())])


def test_a_listener_serves_what_it_names():
    """And nothing else."""
    other = Service("acme", Security.TLS, [])

    assert [CRL, EST] == services_of(settings(tls=NO_TLS), [EST, other, CRL])


def test_an_unknown_service_stops_the_start():
    """With a suggestion."""
    with pytest.raises(ConfigurationError, match="'crl', which is no service; did you mean 'crls'"):
        services_of(settings(), [Service("crls", Security.PLAIN, []), EST])


def test_a_service_that_needs_tls_is_not_served_without():
    """Unless a proxy ends TLS."""
    with pytest.raises(ConfigurationError, match=r"listeners.public has no TLS.*'est'"):
        services_of(settings(), [CRL, EST])

    assert [CRL, EST] == services_of(settings(unix_socket="/run/x"), [CRL, EST])


def test_a_connection_is_kept_alive(house):
    """RFC 9112 section 9.3."""
    running = house.start()
    with running.connect() as connection:
        for _ in range(3):
            connection.sendall(GET)
            assert connection.recv(10_000).endswith(b"hello")
        connection.sendall(LAST)
        assert b"Connection: close" in running.read_all(connection)

    assert 4 == len(running.door.requests)


def test_a_large_answer_reaches_a_client_that_reads_late(house):
    """No worker waits for it: others are answered in the meantime."""
    running = house.start(Limits(workers=1))
    running.door.answer = bytes(range(256)) * 100_000
    with running.connect() as late:
        late.sendall(LAST)
        assert running.door.entered.wait(60)
        running.door.answer = b"quick"
        assert running.send(LAST).endswith(b"quick")

        answer = running.read_all(late)

    assert answer.endswith(bytes(range(256)) * 100_000)


@pytest.mark.parametrize("size", [256 * 1024, 256 * 1024 + 1])
def test_a_large_answer_keeps_its_length_and_its_connection(house, size):
    """Whichever way it is sent."""
    running = house.start()
    running.door.answer = bytes(size)

    answer = running.send(GET + LAST.replace(b"GET", b"HEAD"))

    assert 2 == answer.count(b"HTTP/1.1 200 OK")
    assert 2 == answer.count(f"Content-Length: {size}\r\n".encode())
    assert size == answer.count(b"\0")


def test_head_of_a_streamed_answer_has_no_body(house):
    """Nor the end of a chunked one."""
    running = house.start()
    running.door.on_head = running.door.on_put

    put = running.send(LAST.replace(b"GET", b"PUT"))
    head = running.send(LAST.replace(b"GET", b"HEAD"))

    assert b"one" in put
    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(b"\r\n\r\n")


def test_the_server_tells_little_of_itself(house):
    """No version, no names of libraries."""
    answer = house.start().send(LAST)

    assert b"\r\nServer: pikaserver\r\n" in answer
    assert b"waitress" not in answer.lower()


def test_a_raw_path_stays_available(house):
    """OCSP's GET needs %2F and // as they came (RFC 6960 appendix A)."""
    running = house.start()

    running.send(LAST.replace(b"/door", b"/door/MFEw%2FTzBN//a%2Bb="))

    assert [("GET", "/door/MFEw%2FTzBN//a%2Bb=")] == running.door.requests


def test_stop_lets_a_running_request_end_and_takes_no_other(house):
    """The idle go at once; the door is closed for newcomers."""
    running = house.start()
    house.running.remove(running.listener)
    stopping = threading.Thread(target=running.listener.stop, args=(60,))
    with running.connect() as idle, running.connect() as busy:
        idle.sendall(GET)
        assert idle.recv(10_000).endswith(b"hello")
        running.door.entered.clear()
        running.door.gate.clear()
        busy.sendall(GET)
        assert running.door.entered.wait(60)

        stopping.start()
        assert b"" == running.read_all(idle)
        with pytest.raises(ConnectionRefusedError):
            running.connect()
        running.door.gate.set()
        answer = running.read_all(busy)
    stopping.join(60)

    assert answer.endswith(b"hello")
    assert b"Connection: close" in answer
    assert not stopping.is_alive()


def test_stop_does_not_wait_longer_than_it_was_told(house):
    """A request that never ends is cut off."""
    running = house.start()
    running.door.gate.clear()
    with running.connect() as busy:
        busy.sendall(GET)
        assert running.door.entered.wait(60)

        house.running.remove(running.listener)
        running.listener.stop(0.1)

        assert b"" == running.read_all(busy)
    running.door.gate.set()


def test_stop_may_be_called_twice(house):
    """Whoever cleans up need not know what was cleaned up before."""
    running = house.start()

    running.listener.stop(0)
    running.listener.stop(0)

    assert "the listener does not run" == running.listener.health_checks()[0].check().detail


def test_a_listener_reads_as_much_as_its_most_patient_service():
    """The others refuse earlier, in their own words."""
    patient = Service("scep", Security.PLAIN, [], body_limit_octets=256 * 1024)

    assert 256 * 1024 == Limits().serving([CRL, patient]).body_octets


def test_a_listener_that_was_not_started_has_no_address():
    """A mistake of ours, said plainly."""
    listener = WebListener(settings(), Limits(), entropy=system_entropy, clock=system_clock)

    with pytest.raises(RuntimeError, match="'public' was not started"):
        assert listener.address
