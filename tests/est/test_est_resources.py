"""EST over HTTP, as its clients see it: what is told, who gets in, which errors there are."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from pikaserver.api.errors import (
    Conflict,
    KeyUnavailable,
    MalformedRequest,
    NotAllowed,
    RequestRejected,
    SignatureFaulty,
    TooManyRequests,
)
from pikaserver.asn1 import der
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.templates import make_template
from pikaserver_est import answers
from pikaserver_est.plugin import register_services
from tests.est.simple_client import BASE, PKCS10, body, certificates, enroll


def test_cacerts_needs_no_credential(est, server):
    """RFC 7030 section 4.1.2; issuing and root, in one line of base64."""
    answer = est.get(f"{BASE}/cacerts")

    assert 200 == answer.status_code
    assert "application/pkcs7-mime; smime-type=certs-only" == answer.headers["content-type"]
    assert "base64" == answer.headers["content-transfer-encoding"]
    assert str(len(answer.content)) == answer.headers["content-length"]
    assert b"\n" not in answer.content
    chain = {server.authorities.keys[name][0].certificate for name in ("issuing", "root")}
    assert chain == set(certificates(answer))


def test_libest_gets_lines(est):
    """The User-Agent decides over the form of the base64."""
    answer = est.get(f"{BASE}/cacerts", headers={"User-Agent": "libest 3.2.0p"})

    assert 2 == len(certificates(answer))
    assert all(len(line) <= 64 for line in answer.content.splitlines())


def test_head_is_get_without_its_body(est):
    """RFC 9110 section 9.3.2."""
    answer = est.send("HEAD", f"{BASE}/cacerts")

    assert (200, b"") == (answer.status_code, answer.content)
    assert est.get(f"{BASE}/cacerts").headers["content-length"] == answer.headers["content-length"]


def test_a_label_is_a_template(est, server):
    """RFC 7030 section 3.2.2: other rules and another authority behind another path."""
    server.authorities.add("other")
    server.templates.add(make_template("web", authority="other"))

    answer = est.get(f"{BASE}/web/cacerts")

    assert [server.authorities.keys["other"][0].certificate] == certificates(answer)


@pytest.mark.parametrize("operation", ["cacerts", "csrattrs"])
@pytest.mark.parametrize("changes", [{"enabled": False}, {"doors": frozenset({"scep"})}, None])
def test_a_template_that_est_does_not_serve_is_not_found(est, server, operation, changes):
    """Unknown, disabled, or kept for other doors: all the same from outside."""
    if changes is not None:
        server.templates.add(make_template("web", **changes))

    answer = est.get(f"{BASE}/web/{operation}")

    assert 404 == answer.status_code
    assert "text/plain; charset=utf-8" == answer.headers["content-type"]
    assert "'web'" in answer.text


def test_csrattrs_tells_what_the_template_wants(est):
    """RFC 7030 section 4.5: the curve and a common name, each alone and in a template."""
    answer = est.get(f"{BASE}/csrattrs")

    assert "application/csrattrs" == answer.headers["content-type"]
    octets = base64.b64decode(answer.text)
    single = base64.b64decode("MBUGByqGSM49AgExCgYIKoZIzj0DAQcGA1UEAw==")
    assert octets[2:].startswith(single)
    assert der.oid("1.2.840.113549.1.9.16.2.61") in octets


def test_csrattrs_without_wishes_is_no_content(est, server):
    """RFC 7030 section 4.5.2."""
    nothing = make_template(key_types=frozenset())
    server.templates.add(replace(nothing, subject=replace(nothing.subject, required=())))

    answer = est.get(f"{BASE}/csrattrs")

    assert (204, b"") == (answer.status_code, answer.content)


def test_a_code_buys_a_certificate(est, server, key):
    """RFC 7030 section 4.2.3: the answer holds the new certificate and no other."""
    answer = enroll(est, body(key))

    assert 200 == answer.status_code
    assert "application/pkcs7-mime; smime-type=certs-only" == answer.headers["content-type"]
    (certificate,) = certificates(answer)
    assert server.certificates.get(1).certificate == certificate
    wish = server.wishes[0]
    assert ("device", "est", None) == (wish.template, wish.door, wish.renews)
    assert "code:4711" == wish.requester.name


def test_a_spent_code_is_refused(est, server, key):
    """A counted code has its uses and no more."""
    answers = [enroll(est, body(key)) for _ in range(3)]

    assert [200, 200, 401] == [answer.status_code for answer in answers]
    assert "the enrolment code is spent\n" == answers[-1].text
    assert 2 == len(server.certificates.records)


@pytest.mark.parametrize("user", [None, ("4711", "wrong"), ("nobody", "sesame")])
def test_no_credential_or_a_wrong_one_is_challenged(est, server, key, user):
    """RFC 7030 section 3.2.3: 401 names the scheme; nothing reached the road."""
    answer = enroll(est, body(key), user=user)

    assert 401 == answer.status_code
    assert 'Basic realm="pikaserver", charset="UTF-8"' == answer.headers["www-authenticate"]
    assert answer.headers["content-type"].startswith("text/plain")
    assert not server.wishes


def test_a_code_for_another_template_is_not_allowed(est, server, key):
    """The code tells who asks, and the core that it is not enough here."""
    server.templates.add(make_template("web"))

    answer = enroll(est, body(key), path=f"{BASE}/web/simpleenroll")

    assert 403 == answer.status_code
    assert not server.certificates.records


def test_an_unknown_label_is_not_found_before_anybody_is_asked(est, key):
    """Nobody spends a guess on a path that is not there."""
    answer = enroll(est, body(key), path=f"{BASE}/nothing/simpleenroll", user=None)

    assert 404 == answer.status_code


def test_a_request_that_waits_is_asked_again_until_it_is_approved(est, server, key):
    """RFC 7030 section 4.2.3: 202 with Retry-After, then the certificate, one use spent."""
    server.templates.add(make_template(approval=True))
    octets = body(key)
    first, second = enroll(est, octets), enroll(est, octets)
    server.approve(1)

    third = enroll(est, octets)

    assert [202, 202, 200] == [answer.status_code for answer in (first, second, third)]
    assert "120" == first.headers["retry-after"]
    assert first.text.startswith("request 1 waits for approval")
    assert 1 == server.codes.find("4711").proof.uses_left


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (MalformedRequest("the CSR is odd"), 400, "the CSR is odd\n"),
        (RequestRejected("www.example.com is not ours"), 400, "www.example.com is not ours\n"),
        (NotAllowed("not you"), 403, "not you\n"),
        (Conflict("decided already"), 409, "decided already\n"),
        (TooManyRequests("slowly", 7), 429, "slowly\n"),
        (KeyUnavailable("the key is locked", 9), 503, "the key is locked\n"),
        (SignatureFaulty("secret"), 500, "something went wrong here; nothing was issued\n"),
        (RequestRejected("a\x1b[2Jb\nc"), 400, "a?[2Jb?c\n"),
    ],
)
def test_errors_are_sentences(est, server, key, error, status, text):
    """RFC 7030 section 4.2.3: 4xx or 5xx with a text for people, our own faults untold."""
    server.refuse_next(error)

    answer = enroll(est, body(key))

    assert (status, text) == (answer.status_code, answer.text)
    assert "text/plain; charset=utf-8" == answer.headers["content-type"]
    assert not server.certificates.records


@pytest.mark.parametrize("error", [TooManyRequests("slowly", 7), KeyUnavailable("locked", 7)])
def test_whoever_may_come_back_learns_when(est, server, key, error):
    """Retry-After in seconds."""
    server.refuse_next(error)

    assert "7" == enroll(est, body(key)).headers["retry-after"]


@pytest.mark.parametrize(
    "content_type",
    ["application/pkcs10", "Application/PKCS10", "application/pkcs10; charset=utf-8", None],
)
def test_the_content_type_is_read_kindly(est, key, content_type):
    """Parameters and capitals do not matter; where it is missing nobody lied."""
    headers = {} if content_type is None else {"Content-Type": content_type}

    assert 200 == enroll(est, body(key), headers=headers).status_code


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "application/pkcs7-mime", "nonsense"]
)
def test_another_content_type_is_refused(est, server, key, content_type):
    """The default of curl, for one; the answer says what is wanted."""
    answer = enroll(est, body(key), headers={"Content-Type": content_type})

    assert 415 == answer.status_code
    assert f"expected application/pkcs10, found {content_type}\n" == answer.text
    assert "application/pkcs10" == answer.headers["accept"]
    assert not server.wishes


@pytest.mark.parametrize("encoding", ["base64", "binary", "8bit"])
def test_the_transfer_encoding_of_content_is_ignored(est, key, encoding):
    """RFC 8951 section 3: whatever it says."""
    headers = {**PKCS10, "Content-Transfer-Encoding": encoding}

    assert 200 == enroll(est, body(key), headers=headers).status_code


def test_a_body_at_the_limit_is_read_and_one_beyond_is_not(est, key):
    """64 KiB, white space counted."""
    octets = body(key)

    at_limit = enroll(est, octets.ljust(65_536, b"\n"))
    beyond = enroll(est, octets.ljust(65_537, b"\n"))

    assert [200, 413] == [at_limit.status_code, beyond.status_code]
    assert beyond.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "cacerts"),
        ("POST", "csrattrs"),
        ("GET", "simpleenroll"),
        ("HEAD", "simpleenroll"),
        ("PUT", "simplereenroll"),
        ("DELETE", "device/cacerts"),
    ],
)
def test_another_method_is_told_which_ones_there_are(est, method, path):
    """RFC 9110 section 15.5.6."""
    answer = est.send(method, f"{BASE}/{path}")

    wanted = "GET" if path.endswith(("cacerts", "csrattrs")) else "POST"
    assert 405 == answer.status_code
    assert wanted in answer.headers["allow"].replace(" ", "").split(",")


def test_est_is_not_spoken_in_clear(server, key):
    """RFC 7030 section 3.3: a code on a plain line would be anybody's."""
    plain = ServiceClient(*register_services(server), tls=False)

    assert 403 == enroll(plain, body(key)).status_code
    assert 403 == plain.get(f"{BASE}/cacerts").status_code
    assert not server.wishes


def test_every_error_of_the_family_has_one_answer():
    """The table knows all that a door can meet; the rest is our fault."""
    assert len(answers.STATUS) == len(set(answers.STATUS))
    assert {400, 401, 403, 404, 409, 413, 415, 429, 503} == set(answers.STATUS.values())


def test_a_code_works_until_it_expires(est, server, key):
    """Afterwards it is a 401 like any other."""
    server.clock.advance(timedelta(days=2))

    assert 401 == enroll(est, body(key)).status_code
