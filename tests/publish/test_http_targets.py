"""PUT before nginx, and before servers in a bad mood."""

import time

import pytest

from pikaserver.api.errors import ConfigurationError, RequestRejected, Unavailable
from tests.publish.certificates import TinyPki
from tests.publish.programs import dav_server, moody_server


@pytest.fixture
def pki(tmp_path):
    return TinyPki(tmp_path)


@pytest.fixture
def dav(tmp_path, pki):
    """An nginx that takes files, for us alone."""
    with dav_server(tmp_path, pki) as url:
        yield url


@pytest.fixture
def moody():
    with moody_server() as server:
        yield server


def http(url, *lines, name="{authority}{part}.crl"):
    return "\n".join(['kind="http"', f'crl="{url}/{name}"', *lines])


def test_nginx_takes_a_crl_from_a_client_certificate(house, dav, pki, tmp_path):
    """And refuses one without; who it is, our CA file says."""
    certificate, key = pki.identity("publisher")
    tls = (f'ca-file="{pki.ca}"', f'client-certificate="{certificate}"', f'client-key="{key}"')
    crl = house.issue()

    house.publisher(http(f"{dav}/certificate", *tls)).publish(crl)

    assert crl.crl == (tmp_path / "www/certificate/issuing.crl").read_bytes()
    with pytest.raises(RequestRejected, match="403 Forbidden"):
        house.publisher(http(f"{dav}/certificate", tls[0])).publish(crl)


def test_nginx_takes_user_and_password_or_a_token(house, dav, pki, secret, tmp_path):
    """From files, which are read each time: a new password counts at once."""
    path, ca, crl = secret("wrong"), f'ca-file="{pki.ca}"', house.issue()
    basic = house.publisher(http(f"{dav}/basic", ca, 'user="ca"', f'password-file="{path}"'))
    bearer = house.publisher(http(f"{dav}/bearer", ca, f'token-file="{path}"', 'form="pem"'))
    for publisher in (basic, bearer):
        with pytest.raises(Unavailable, match="401 Unauthorized"):
            publisher.publish(crl)

    secret("sesame")
    basic.publish(crl)
    bearer.publish(crl)

    assert crl.crl == (tmp_path / "www/basic/issuing.crl").read_bytes()
    assert b"-----BEGIN X509 CRL" in (tmp_path / "www/bearer/issuing.crl").read_bytes()


def test_certificates_go_there_too(house, dav, pki, secret, tmp_path):
    """For caIssuers."""
    publisher = house.publisher(
        f'kind="http"\ncertificate="{dav}/bearer/{{authority}}.cer"\nca-file="{pki.ca}"\n'
        f'token-file="{secret("sesame")}"'
    )

    publisher.target.certificate(*house.certificate())

    there = (tmp_path / "www/bearer/issuing.cer").read_bytes()
    assert house.certificate()[1].certificate == there
    assert "answers 405 Not Allowed to OPTIONS" in publisher.target.probe()


def test_a_server_that_we_have_no_reason_to_trust_gets_nothing(house, dav, tmp_path):
    """Neither one of another CA, nor one of another name."""
    (tmp_path / "other").mkdir()
    other = TinyPki(tmp_path / "other")
    crl = house.issue()
    for ca in (other.ca, None):
        lines = () if ca is None else (f'ca-file="{ca}"',)
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            house.publisher(http(f"{dav}/basic", *lines)).publish(crl)


@pytest.mark.parametrize("missing", ["ca-file", "client-certificate"])
def test_files_that_are_not_there_are_told_by_name(house, dav, missing):
    """A wrong path is the operator's to mend, not the target's."""
    with pytest.raises(ConfigurationError, match="/nowhere cannot be used for TLS"):
        house.publisher(http(dav, f'{missing}="/nowhere"')).publish(house.issue())


def test_a_secret_that_everybody_may_read_is_refused(house, moody, secret):
    """Before it is sent anywhere."""
    path = secret("sesame")
    path.chmod(0o604)

    with pytest.raises(ConfigurationError, match="everybody may read the secret"):
        house.publisher(http(moody.url, f'token-file="{path}"')).publish(house.issue())

    assert [] == moody.requests


@pytest.mark.parametrize("octets", [b"", b"\n", b"two\nlines\n", b"\xff\xfe", b"x" * 20_000])
def test_a_file_without_one_line_of_text_is_no_secret(house, moody, secret, octets):
    """It would be a header of somebody's choice."""
    path = secret("x")
    path.write_bytes(octets)

    with pytest.raises(ConfigurationError, match=r"should hold one line|no text in UTF-8"):
        house.publisher(http(moody.url, f'token-file="{path}"')).publish(house.issue())


@pytest.mark.parametrize("mood", [500, 503, 429, 408, 401, "hang-up", "nonsense"])
def test_a_server_in_trouble_is_to_be_tried_later(house, moody, mood):
    """All of it is: nothing else goes there meanwhile."""
    moody.mood = mood

    with pytest.raises(Unavailable):
        house.publisher(http(moody.url)).publish(house.issue())


@pytest.mark.parametrize("mood", [301, 400, 403, 404, 409, 507 - 94, "refuse-early"])
def test_what_a_server_does_not_take_concerns_this_file_alone(house, moody, mood):
    """Its own words are told."""
    moody.mood = mood

    with pytest.raises(RequestRejected, match=r"PUT http://127.0.0.1:\d+/issuing.crl: 4|: 301"):
        house.publisher(http(moody.url)).publish(house.issue())


@pytest.mark.parametrize(("mood", "seconds"), [("silent", 0.3), ("trickle", 0.1)])
def test_no_server_holds_us_for_ever(house, moody, mood, seconds):
    """Neither one that says nothing, nor one that says something all the time."""
    moody.mood = mood
    begun = time.monotonic()

    with pytest.raises(Unavailable):
        house.publisher(http(moody.url, f"timeout-seconds={seconds}")).publish(house.issue())

    assert time.monotonic() - begun < 10


def test_nobody_at_home(house):
    """A refused connection, and a name that is none."""
    for url in ("http://127.0.0.1:9", "http://nothing.invalid"):
        with pytest.raises(Unavailable, match="cannot be reached"):
            house.publisher(http(url)).publish(house.issue())
