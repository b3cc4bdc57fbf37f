"""Configuration profiles: signed, of Apple's shape, and good for a certificate."""

import hashlib
import plistlib
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import NotFound, RequestRejected
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.damage import altered
from pikaserver_scep.apple.links import ProfileLinks
from pikaserver_scep.apple.payloads import Acme, Described, Names, Scep, Writer, subject_lists
from pikaserver_scep.apple.profiles import Profiles, ProfileWish
from pikaserver_scep.challenges.one_time import OneTimeChallenges
from pikaserver_scep.settings import ScepSettings
from tests.apple.apple_schema import check_profile

SUBJECT = x509.Name.from_rfc4514_string("CN=iPad 7,2.5.4.5=F9FZ1,O=Example Ltd,C=CH")


@pytest.fixture
def make(pki_server):
    profiles = Profiles(pki_server.plugin, pki_server.plugin.settings(ScepSettings).profiles)

    def make_one(subject=SUBJECT, template="device", **more):
        return profiles.make(ProfileWish(template, subject, **more), "test")

    return make_one


@pytest.fixture
def opened(pki_server, openssl, tmp_path):
    """Verify a profile as openssl does, and return what is signed."""

    def verify(profile):
        (tmp_path / "signed.mobileconfig").write_bytes(profile.file)
        pem = pki_server.whole.authorities.key("root").certificate.public_bytes(Encoding.PEM)
        (tmp_path / "root.pem").write_bytes(pem)
        answer = subprocess.run(
            [
                *(openssl, "cms", "-verify", "-inform", "DER", "-in", "signed.mobileconfig"),
                *("-CAfile", "root.pem", "-purpose", "any", "-out", "profile.plist"),
                *("-attime", str(int(pki_server.clock().timestamp()) + 1)),
            ],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert 0 == answer.returncode, answer.stderr
        return plistlib.loads((tmp_path / "profile.plist").read_bytes())

    return verify


def test_openssl_verifies_the_signature_up_to_our_root(make, opened):
    """The property list inside is what was signed, and of the shape that Apple describes."""
    profile = opened(make())

    payloads = check_profile(profile)
    assert "Example Ltd" == profile["PayloadOrganization"]
    assert profile["PayloadIdentifier"].startswith("test.example.pki.device.")
    assert {"root", "pkcs1", "scep"} == set(payloads)


def test_a_changed_profile_is_not_verified(make, openssl, tmp_path):
    """One octet of the challenge, say."""
    made = make()
    at = made.file.index(b"Challenge</key>") + 40
    (tmp_path / "x").write_bytes(altered(made.file, at))

    command = [openssl, "cms", "-verify", "-inform", "DER", "-in", "x", "-noverify", "-out", "y"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)

    assert 0 != answer.returncode


def test_it_carries_the_authority_to_trust(pki_server, make, opened):
    """The root as a root, the issuing authority as what stands below."""
    payloads = check_profile(opened(make()))

    def der(name):
        return pki_server.whole.authorities.key(name).certificate.public_bytes(Encoding.DER)

    assert [der("root")] == [p["PayloadContent"] for p in payloads["root"]]
    assert [der("issuing")] == [p["PayloadContent"] for p in payloads["pkcs1"]]


def test_the_scep_payload_says_where_and_who(pki_server, make, opened):
    """Subject in Apple's spelling, the authority's fingerprint, names where there are some."""
    (payload,) = check_profile(opened(make(names=Names(dns="ipad-7.example"))))["scep"]

    content = payload["PayloadContent"]
    issuing = pki_server.whole.authorities.key("issuing").certificate.public_bytes(Encoding.DER)
    assert content["URL"].endswith("/scep/device")
    assert [[["C", "CH"]], [["O", "Example Ltd"]], [["2.5.4.5", "F9FZ1"]], [["CN", "iPad 7"]]] == (
        content["Subject"]
    )
    assert hashlib.sha1(issuing, usedforsecurity=False).digest() == content["CAFingerprint"]
    assert {"dNSName": "ipad-7.example"} == content["SubjectAltName"]
    assert ("RSA", 2048, 5) == (content["Key Type"], content["Keysize"], content["Key Usage"])


def test_a_device_enrols_with_what_is_in_the_profile(make, opened, pki, openssl, tmp_path):
    """URL, subject and challenge of the payload, by strongSwan; a second time it is refused."""
    made = make(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ipad-8")]))
    (payload,) = check_profile(opened(made))["scep"]
    content = payload["PayloadContent"]

    def run(*words):
        return subprocess.run(words, cwd=tmp_path, capture_output=True, check=False)

    ca = run(
        pki,
        "--scepca",
        "--url",
        content["URL"],
        "--caout",
        "ca",
        "--raout",
        "ra",
        "--outform",
        "pem",
    )
    assert 0 == ca.returncode, ca.stderr
    enrol = ()
    for key in ("first.pem", "second.pem"):
        bits = f"rsa_keygen_bits:{content['Keysize']}"
        run(openssl, "genpkey", "-algorithm", "RSA", "-pkeyopt", bits, "-out", key)
        enrol += (
            run(
                *(pki, "--scep", "--url", content["URL"], "--in", key, "--dn", "CN=ipad-8"),
                *("--password", content["Challenge"], "--outform", "pem"),
                *("--cacert-enc", "ra.pem", "--cacert-sig", "ra.pem", "--cacert", "ca-1.pem"),
            ),
        )
    first, second = enrol

    assert 0 == first.returncode, (first.stderr, list(tmp_path.iterdir()), ca.stderr)
    certificate = x509.load_pem_x509_certificate(first.stdout)
    assert "CN=ipad-8" == certificate.subject.rfc4514_string()
    assert 0 != second.returncode


def test_its_challenge_is_bound_to_the_name(pki_server, make):
    """Whoever gets hold of the profile can at most be that device."""
    made = make()

    (row,) = [r for r in OneTimeChallenges(pki_server.plugin).list() if r.id == made.challenge_id]
    assert ("iPad 7", 1, "device") == (row.bound.common_name, row.uses_left, row.template)


def test_a_device_may_enrol_by_acme_instead(make, opened):
    """With a key in its hardware that is attested; no challenge is made for it."""
    made = make(acme_directory="https://acme.example/directory", client_identifier="F9FZ1")

    (payload,) = check_profile(opened(made))["acme"]
    assert made.challenge_id is None
    assert ("https://acme.example/directory", "F9FZ1", True) == (
        payload["DirectoryURL"],
        payload["ClientIdentifier"],
        payload["Attest"],
    )
    assert ["1.3.6.1.5.5.7.3.2"] == payload["ExtendedKeyUsage"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"subject": x509.Name([])}, "common name"),
        ({"subject": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "\ufffe")])}, "printed"),
        ({"names": Names(dns="a\nb")}, "printed"),
        ({"key_bits": 1024}, "bits"),
    ],
)
def test_profiles_that_help_nobody_are_not_made(make, changes, why):
    """And no challenge is."""
    with pytest.raises(RequestRejected, match=why):
        make(**changes)
    with pytest.raises(NotFound):
        make(template="nothing")


def test_a_link_gives_the_profile_until_its_challenge_is_used(pki_server, make):
    """Mail scanners may follow it first; afterwards it leads nowhere."""
    made = make()
    link = ProfileLinks(pki_server.plugin).create(made, "test")
    path = link.removeprefix("https://pki.example.test")

    twice = [pki_server.client.get(path) for _ in range(2)]
    OneTimeChallenges(pki_server.plugin).withdraw(made.challenge_id, "test")
    after = pki_server.client.get(path)

    assert [made.file] * 2 == [answer.content for answer in twice]
    assert "application/x-apple-aspen-config" == twice[0].headers["content-type"]
    assert 'attachment; filename="iPad-7.mobileconfig"' == twice[0].headers["content-disposition"]
    assert (200, 404) == (twice[1].status_code, after.status_code)


def test_a_link_ends_in_time(pki_server, make):
    """With the lifetime of the profile; and nobody guesses one."""
    made = make(lifetime=timedelta(minutes=5), acme_directory="https://acme.example/directory")
    path = ProfileLinks(pki_server.plugin).create(made, "test").partition(".test")[2]
    before = pki_server.client.get(path)
    pki_server.clock.advance(timedelta(minutes=5))

    assert 200 == before.status_code
    assert 404 == pki_server.client.get(path).status_code
    assert 404 == pki_server.client.get("/profiles/aaaa").status_code


# Of the blanks, only the one of ASCII is printable.
TEXT = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=15)


@given(name=TEXT, challenge=TEXT, dns=st.one_of(st.none(), TEXT))
def test_whatever_the_names_the_property_list_holds_them(name, challenge, dns):
    """Nothing breaks out of the XML, and nothing is lost."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    writer = Writer(Described("org.example.x", name, name, name), CountedEntropy())
    scep = Scep("http://x/scep", "issuing", subject, Names(dns=dns), challenge, 2048, 5, None)
    acme = Acme("https://x/acme", challenge, subject, Names(email=dns))

    found = check_profile(plistlib.loads(writer.profile([writer.scep(scep), writer.acme(acme)])))

    assert challenge == found["scep"][0]["PayloadContent"]["Challenge"]
    assert subject_lists(subject) == found["acme"][0]["Subject"]
