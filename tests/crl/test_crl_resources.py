"""CRLs, CA certificates and chains over HTTP."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from cryptography import x509

from pikaserver.api.certificates import Revocation, RevocationReason
from pikaserver.api.crls import CrlRecord
from pikaserver.asn1.cms import read_certificates_only
from pikaserver.asn1.der import read_pem
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.fake_server import FakeServer
from pikaserver_crl import plugin

CRL_TYPE = "application/pkix-crl"
PEM_TYPE = "application/x-pem-file"
PROBLEM = "application/problem+json"


def current(server, name="issuing"):
    return server.authorities.keys[name][0]


def test_a_crl_is_served_in_der(client, server, record):
    """RFC 2585 section 4.2: its type; the octets are those that were signed."""
    server.revoke(record, Revocation(server.clock(), RevocationReason.SUPERSEDED), "test")
    server.crls.issue("issuing")

    answer = client.get("/crl/issuing.crl")

    assert (200, CRL_TYPE) == (answer.status_code, answer.headers["content-type"])
    crl = x509.load_der_x509_crl(answer.content)
    assert crl.get_revoked_certificate_by_serial_number(record.serial) is not None


@pytest.mark.parametrize("name", ["issuing.crl.pem", "issuing.pem", "issuing.g1.crl.pem"])
def test_a_crl_is_served_in_pem(client, name):
    """For servers whose settings want text."""
    answer = client.get(f"/crl/{name}")

    assert PEM_TYPE == answer.headers["content-type"]
    assert [client.get("/crl/issuing.crl").content] == read_pem(answer.content, "X509 CRL")


def test_a_large_one_is_sent_piece_by_piece(server):
    """A thousand slow clients of a large CRL must not take a thousand times its memory."""
    newest = server.crls.latest("issuing")
    pieces = [b"x" * 100_000] * 50
    content = SimpleNamespace(size=5_000_000, pieces=lambda: iter(pieces))
    server.crls.latest = lambda *_: CrlRecord(newest.summary, content)
    client = ServiceClient(*plugin.register_services(server), tls=False)

    der, pem = client.get("/crl/issuing.crl"), client.get("/crl/issuing.pem")

    assert b"".join(pieces) == der.content
    assert [der.content] == read_pem(pem.content, "X509 CRL")
    assert len(pem.content) == int(pem.headers["content-length"])


def test_each_key_has_its_own_crl(client, server):
    """Certificates name the CRL of the key that signed them, whichever is current."""
    old = client.get("/crl/issuing.g1.crl")
    server.authorities.add("issuing", "root")
    server.crls.issue_due()

    new, current_one = client.get("/crl/issuing.g2.crl"), client.get("/crl/issuing.crl")

    assert new.content == current_one.content
    assert old.headers["etag"] != new.headers["etag"]
    assert 200 == client.get("/crl/issuing.g1.crl").status_code


def test_a_crl_may_be_kept_for_a_minute(client):
    """Promise P4: a revocation is seen within a minute, caches or not."""
    answer = client.get("/crl/issuing.crl")

    assert {"public", "max-age=60"} == set(answer.headers["cache-control"].split(", "))
    assert "Fri, 02 Jan 2026 12:00:00 GMT" == answer.headers["last-modified"]
    assert '"issuing.g1.1"' == answer.headers["etag"]


def test_a_crl_is_kept_no_longer_than_until_the_next_one(client, server):
    """Thirty seconds before its next update, and after it."""
    server.clock.advance(timedelta(hours=23, minutes=59, seconds=30))
    near = client.get("/crl/issuing.crl")
    server.clock.advance(timedelta(minutes=1))
    late = client.get("/crl/issuing.crl")

    assert ["public, max-age=30", "public, max-age=0"] == [
        answer.headers["cache-control"] for answer in (near, late)
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": '"issuing.g1.1"'},
        {"If-None-Match": 'W/"issuing.g1.1", "other"'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": "Fri, 02 Jan 2026 12:00:00 GMT"},
        {"If-Modified-Since": "Sat, 03 Jan 2026 12:00:00 GMT"},
    ],
)
def test_whoever_has_it_is_told_so(client, headers):
    """RFC 9110 section 15.4.5: no octets, but the validators."""
    answer = client.get("/crl/issuing.crl", headers=headers)

    assert (304, b"") == (answer.status_code, answer.content)
    assert '"issuing.g1.1"' == answer.headers["etag"]
    assert "max-age" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": '"issuing.g1.2"'},
        {
            "If-None-Match": '"issuing.g1.1.pem"',
            "If-Modified-Since": "Sat, 03 Jan 2026 12:00:00 GMT",
        },
        {"If-Modified-Since": "Fri, 02 Jan 2026 11:59:59 GMT"},
        {"If-Modified-Since": "yesterday"},
        {"If-None-Match": "issuing"},
        {"If-None-Match": ""},
    ],
)
def test_whoever_has_another_one_gets_it(client, headers):
    """If-None-Match goes before the date, and an unreadable date is passed over."""
    assert 200 == client.get("/crl/issuing.crl", headers=headers).status_code


@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/crl/issuing.crl", CRL_TYPE), ("/ca/issuing.cer", "application/pkix-cert")],
)
def test_head_tells_the_length(client, path, content_type):
    """RFC 9110 section 9.3.2."""
    answer = client.send("HEAD", path)

    assert (200, b"") == (answer.status_code, answer.content)
    assert content_type == answer.headers["content-type"]
    assert str(len(client.get(path).content)) == answer.headers["content-length"]


@pytest.mark.parametrize(
    "path",
    [
        "/crl/nobody.crl",
        "/crl/issuing.g2.crl",
        "/crl/issuing.crt",
        "/crl/issuing",
        "/crl/.crl",
        "/ca/nobody.cer",
        "/ca/issuing.g2.cer",
        "/ca/issuing.crl",
        "/ca/issuing.p7b",
        "/crl/..%2F..%2Fetc%2Fpasswd.crl",
    ],
)
def test_what_is_not_there_is_a_problem(client, path):
    """RFC 9457."""
    answer = client.get(path)

    assert (404, PROBLEM) == (answer.status_code, answer.headers["content-type"])


@pytest.mark.parametrize("path", ["/ca/issuing.cer", "/ca/issuing.g1.cer"])
def test_a_ca_certificate_is_served_in_der(client, server, path):
    """RFC 2585 section 4.1."""
    answer = client.get(path)

    assert "application/pkix-cert" == answer.headers["content-type"]
    assert current(server).certificate == answer.content
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert 304 == again.status_code


def test_pem_holds_the_certificate_and_the_chain_all_above_it(client, server):
    """From the authority to the root."""
    alone, chain = client.get("/ca/issuing.pem"), client.get("/ca/issuing.chain.pem")

    issuing, root = current(server).certificate, current(server, "root").certificate
    assert [issuing] == read_pem(alone.content, "CERTIFICATE")
    assert [issuing, root] == read_pem(chain.content, "CERTIFICATE")
    assert PEM_TYPE == alone.headers["content-type"] == chain.headers["content-type"]


def test_p7c_holds_all_that_the_keys_ever_got(client, server):
    """RFC 5280 section 4.2.2.1: certificates issued to the authority, not the chain."""
    old = current(server)
    new = server.authorities.add("issuing", "root")
    server.authorities.others = {("issuing", 1): (current(server, "root").certificate,)}

    every, one = client.get("/ca/issuing.p7c"), client.get("/ca/issuing.g2.p7c")

    assert "application/pkcs7-mime; smime-type=certs-only" == every.headers["content-type"]
    expected = {old.certificate, new.certificate, current(server, "root").certificate}
    assert expected == set(read_certificates_only(every.content))
    assert [new.certificate] == read_certificates_only(one.content)


def test_the_short_paths_give_the_issuing_authority(client):
    """Scripts of operators rely on them; both in PEM."""
    chain, crl = client.get("/downloads/chain"), client.get("/downloads/crl")

    assert client.get("/ca/issuing.chain.pem").content == chain.content
    assert client.get("/crl/issuing.pem").content == crl.content


def test_the_default_authority_is_a_setting():
    """Where there are several, the operator says which one is meant."""
    settings = plugin.CrlSettings.model_validate({"default-authority": "root", "max-age": 5})
    other = FakeServer([settings])
    other.crls.issue_due()
    client = ServiceClient(*plugin.register_services(other), tls=False)

    assert [current(other, "root").certificate] == read_pem(
        client.get("/downloads/chain").content, "CERTIFICATE"
    )
    assert client.get("/crl/root.pem").content == client.get("/downloads/crl").content
    assert "public, max-age=5" == client.get("/downloads/crl").headers["cache-control"]


def test_without_issuing_the_newest_below_another_one_is_meant(client, server):
    """A root signs nobody's certificate when there is something below it."""
    keys = server.authorities.keys
    keys["plant"] = keys.pop("issuing")
    server.authorities.add("another-root")

    chain = read_pem(client.get("/downloads/chain").content, "CERTIFICATE")

    assert current(server, "plant").certificate == chain[0]


def test_a_lone_root_is_meant_itself(client, server):
    """A hierarchy of one level."""
    del server.authorities.keys["issuing"]

    chain = read_pem(client.get("/downloads/chain").content, "CERTIFICATE")

    assert [current(server, "root").certificate] == chain


@pytest.mark.parametrize("path", ["/downloads/chain", "/downloads/crl"])
def test_without_any_authority_there_is_nothing_to_download(client, server, path):
    """A server before its first ceremony."""
    server.authorities.keys.clear()

    assert 404 == client.get(path).status_code


@pytest.mark.parametrize("path", ["/crl/issuing.crl", "/ca/issuing.cer", "/expired"])
def test_nothing_can_be_posted_here(client, path):
    """RFC 9110 section 15.5.6."""
    answer = client.send("POST", path)

    assert 405 == answer.status_code
    assert "GET" in answer.headers["allow"]
