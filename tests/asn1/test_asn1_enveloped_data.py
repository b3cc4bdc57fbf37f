"""Envelopes: what we seal others open, what others seal we open, and failures look alike."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import AlgorithmRefused, MalformedRequest
from pikaserver.api.signing import KeyTransport
from pikaserver.asn1 import der
from pikaserver.asn1.ber import definite
from pikaserver.asn1.content_ciphers import CONTENT_CIPHERS, without_padding
from pikaserver.asn1.elements import children
from pikaserver.asn1.enveloped_data import (
    LIMIT_OCTETS,
    DecryptionFailed,
    open_,
    read_envelope,
    seal,
)
from pikaserver.asn1.key_transport import OAEP, read_transport, transport_identifier
from pikaserver.asn1.recipients import (
    KeyAgreementRecipient,
    KeyTransportRecipient,
    PasswordRecipient,
    WrappedKeyRecipient,
)
from pikaserver.signing.software_signers import make_decrypter
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.damage import altered
from pikaserver.testing.requirements import require_program

CONTENT = der.sequence(der.octet_string(b"what is inside"), der.integer(4711))
START = datetime(2026, 1, 1, tzinfo=UTC)


class Holder:
    """Somebody with a key and a certificate over it; implements `DecryptionKey`."""

    def __init__(self, key, name="holder"):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = (
            x509.CertificateBuilder(subject, subject, key.public_key(), 4711)
            .not_valid_before(START)
            .not_valid_after(START + timedelta(days=10))
            .sign(key, hashes.SHA256())
        )
        self.key = key
        self.certificate = built.public_bytes(Encoding.DER)
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.decrypt = (
            make_decrypter(key, spki).decrypt if isinstance(key, rsa.RSAPrivateKey) else None
        )

    def write(self, folder):
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "key.pem").write_bytes(pem)
        certificate = der.write_pem("CERTIFICATE", self.certificate)
        (folder / "cert.pem").write_bytes(certificate)
        return ["-inkey", folder / "key.pem", "-recip", folder / "cert.pem"]


@pytest.fixture(scope="module")
def holder():
    return Holder(rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def envelope(holder):
    return seal(CONTENT, [KeyTransportRecipient(holder.certificate)], CountedEntropy())


@pytest.fixture(scope="module")
def openssl():
    return require_program("openssl", package="openssl")


def opened(envelope, *keys, read=bytes):
    return open_(read_envelope(envelope), keys, CountedEntropy("open"), read)


def read_inside(content):
    """Read what our contents are, as strictly as a request is read."""
    der.check(content)
    if content != CONTENT:
        raise MalformedRequest("something else")
    return content


@pytest.mark.parametrize("cipher", CONTENT_CIPHERS)
@pytest.mark.parametrize("transport", [KeyTransport(), OAEP, KeyTransport("sha1", "sha1")])
def test_what_we_seal_we_open(holder, cipher, transport):
    """Every cipher and every way to carry the key."""
    recipients = [KeyTransportRecipient(holder.certificate, transport)]
    envelope = seal(CONTENT, recipients, CountedEntropy(), cipher)

    assert CONTENT == opened(envelope, holder)


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-cbc", "3des"])
def test_openssl_opens_what_we_seal(holder, openssl, cipher, tmp_path):
    """By key transport."""
    envelope = seal(CONTENT, [KeyTransportRecipient(holder.certificate)], CountedEntropy(), cipher)

    assert CONTENT == decrypted(openssl, envelope, holder.write(tmp_path))


def test_openssl_opens_what_is_sealed_by_agreement(openssl, tmp_path):
    """ECDH as RFC 5753 says."""
    holder = Holder(ec.generate_private_key(ec.SECP384R1()))
    envelope = seal(CONTENT, [KeyAgreementRecipient(holder.certificate)], CountedEntropy())

    assert CONTENT == decrypted(openssl, envelope, holder.write(tmp_path))


@pytest.mark.parametrize("octets", [16, 24, 32])
def test_openssl_opens_what_is_sealed_with_a_shared_key(openssl, octets):
    """Wrapped by AES, found by its name."""
    key = bytes(range(octets))
    envelope = seal(CONTENT, [WrappedKeyRecipient(b"name", key)], CountedEntropy())
    words = ["-secretkey", key.hex(), "-secretkeyid", b"name".hex()]

    assert CONTENT == decrypted(openssl, envelope, words)


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-256-cbc"])
def test_openssl_opens_what_is_sealed_with_a_password(openssl, cipher):
    """RFC 3211, for keys that cannot encrypt."""
    envelope = seal(CONTENT, [PasswordRecipient("secret")], CountedEntropy(), cipher)

    assert CONTENT == decrypted(openssl, envelope, ["-pwri_password", "secret"])


@pytest.mark.parametrize(
    "words",
    [
        ["-aes128"],
        ["-aes256", "-keyid"],
        ["-des3"],
        ["-aes128", "-keyopt", "rsa_padding_mode:oaep"],
        ["-aes128", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"],
        ["-aes128", "-stream", "-indef"],
    ],
)
def test_we_open_what_openssl_seals(holder, openssl, words, tmp_path):
    """Named by issuer and serial or by key identifier, DER and BER in pieces."""
    holder = with_key_identifier(holder)
    holder.write(tmp_path)
    at = words.index("-keyopt") if "-keyopt" in words else len(words)
    command = [openssl, "cms", "-encrypt", "-binary", "-outform", "DER", *words[:at]]
    command += ["-recip", tmp_path / "cert.pem", *words[at:]]
    envelope = subprocess.run(command, input=CONTENT, capture_output=True, check=True).stdout

    assert CONTENT == opened(envelope, holder)


def with_key_identifier(holder):
    made = Holder.__new__(Holder)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "holder")])
    public_key = holder.key.public_key()
    built = (
        x509.CertificateBuilder(subject, subject, public_key, 4712)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=10))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(holder.key, hashes.SHA256())
    )
    made.key, made.decrypt = holder.key, holder.decrypt
    made.certificate = built.public_bytes(Encoding.DER)
    return made


def decrypted(openssl, envelope, words):
    command = [openssl, "cms", "-decrypt", "-binary", "-inform", "DER", *words]
    done = subprocess.run(command, input=envelope, capture_output=True, check=False)
    assert 0 == done.returncode, done.stderr.decode()
    return done.stdout


def test_all_failures_look_alike(holder):
    """Wrong keys, wrong padding, wrong content: one error, one text (RFC 3218)."""
    envelope = seal(CONTENT, [KeyTransportRecipient(holder.certificate)], CountedEntropy())
    read = read_envelope(envelope)
    other = KeyTransportRecipient(holder.certificate, OAEP)
    public_key = holder.key.public_key()
    texts = set()
    hurt = [
        replace(read, encrypted=altered(read.encrypted)),
        replace(read, encrypted=read.encrypted[:-16]),
        replace(read, iv=bytes(16)),
        replace(read, encrypted_key=bytes(256)),
        replace(read, encrypted_key=b"short"),
        replace(read, encrypted_key=b""),
        replace(read, transport=OAEP),
        replace(read, transport=other.transport, encrypted_key=b"\xff" * 256),
        replace(read, encrypted_key=encrypted(public_key, bytes(16))),
        replace(read, encrypted_key=encrypted(public_key, bytes(200))),
    ]

    for envelope in hurt:
        with pytest.raises(DecryptionFailed) as failure:
            open_(envelope, [holder], CountedEntropy("open"), read_inside)
        texts.add((str(failure.value), failure.value.__cause__))

    assert {("the content cannot be decrypted", None)} == texts


def encrypted(public_key, octets):
    return public_key.encrypt(octets, padding.PKCS1v15())


def test_the_content_is_read_whether_or_not_its_padding_is_sound(holder):
    """Otherwise the time would tell; sound content behind unsound padding is refused, too."""
    key, iv, cipher = bytes(16), bytes(16), CONTENT_CIPHERS["aes-128-cbc"]
    missing = -len(CONTENT) % 16 or 16
    unsound = CONTENT + bytes([missing + 16]) * missing
    envelope = replace(
        read_envelope(seal(CONTENT, [KeyTransportRecipient(holder.certificate)], CountedEntropy())),
        cipher=cipher,
        iv=iv,
        encrypted_key=encrypted(holder.key.public_key(), key),
        encrypted=cipher.raw_encrypt(key, iv, unsound),
    )
    seen = []

    with pytest.raises(DecryptionFailed):
        open_(envelope, [holder], CountedEntropy("open"), seen.append)

    assert [CONTENT] == seen


def test_what_is_for_somebody_else_is_not_tried(holder):
    """The recipient is named in clear, so that may be told."""
    other = Holder(holder.key, "other")
    envelope = seal(CONTENT, [KeyTransportRecipient(other.certificate)], CountedEntropy())

    with pytest.raises(MalformedRequest, match="another recipient"):
        opened(envelope, holder)


def test_two_recipients_are_refused(holder):
    """Whoever knows one content key must not learn about another (CVE-2019-1563)."""
    recipients = [KeyTransportRecipient(holder.certificate)] * 2

    with pytest.raises(MalformedRequest, match="one recipient, found 2"):
        read_envelope(seal(CONTENT, recipients, CountedEntropy()))


@pytest.mark.parametrize(
    ("cipher", "iv"),
    [
        ("2.16.840.1.101.3.4.1.46", der.sequence(der.octet_string(bytes(12)), der.integer(1))),
        ("2.16.840.1.101.3.4.1.2", der.octet_string(bytes(8))),
        ("2.16.840.1.101.3.4.1.2", der.null()),
        ("1.2.840.113549.3.2", der.octet_string(bytes(8))),
    ],
)
def test_other_ciphers_are_refused(holder, cipher, iv):
    """Among them GCM with a tag of one octet, which proves nothing."""
    good = seal(CONTENT, [KeyTransportRecipient(holder.certificate)], CountedEntropy())
    algorithm = der.sequence(der.oid(cipher), iv)
    blocks = der.context(0, bytes(16), constructed=False)
    content = der.sequence(der.oid("1.2.840.113549.1.7.1"), algorithm, blocks)

    with pytest.raises(AlgorithmRefused):
        read_envelope(enveloped(recipients_of(good), content))


def recipients_of(envelope):
    outer = list(children(envelope))[1]
    data = next(children(envelope, outer.at))
    infos = list(children(envelope, data.at))[1]
    return envelope[infos.at : infos.end]


def enveloped(infos, content):
    data = der.sequence(der.integer(0), infos, content)
    return der.sequence(der.oid("1.2.840.113549.1.7.3"), der.context(0, data))


@pytest.mark.parametrize(
    "transport",
    [
        KeyTransport(),
        OAEP,
        KeyTransport("sha1", "sha1"),
        KeyTransport("sha512", "sha1"),
        KeyTransport("sha384", "sha384"),
    ],
)
def test_ways_to_carry_a_key_are_read_as_they_are_written(transport):
    """Each hash by itself."""
    assert transport == read_transport(transport_identifier(transport))


def test_oaep_by_default_is_sha1():
    """RFC 8017 appendix A.2.1."""
    assert KeyTransport("sha1", "sha1") == read_transport(
        der.sequence(der.oid("1.2.840.113549.1.1.7"), der.sequence())
    )


@given(st.binary(max_size=300))
def test_no_octets_raise_anything_else(octets):
    """Whatever comes in: an envelope, or `MalformedRequest`."""
    for read in (read_envelope, lambda given: definite(given, limit_octets=LIMIT_OCTETS)):
        try:
            read(octets)
        except MalformedRequest:
            continue


@given(st.data())
def test_a_changed_envelope_by_rsa_is_read_or_refused(envelope, data):
    """Also with an empty structure where something should be."""
    octets = envelope
    spots = [at for at, octet in enumerate(octets) if octet in (0x30, 0x31, 0xA0)]
    at = data.draw(st.sampled_from(spots))
    changed = bytearray(octets)
    changed[at + 1] = data.draw(st.integers(0, 255))

    for candidate in (bytes(changed), emptied(octets, data.draw(st.integers(0, 12)))):
        try:
            read_envelope(candidate)
        except MalformedRequest:
            continue


def emptied(octets, number):
    """Return DER with its n-th constructed element left empty."""
    left = [number]

    def walk(element):
        if not element[0] & 0x20:
            return element
        left[0] -= 1
        if left[0] < 0:
            left[0] = 1 << 30
            return der.element(element[0])
        inner = [walk(element[one.at : one.end]) for one in children(element)]
        return der.element(element[0], *inner)

    return walk(octets)


@given(data=st.data())
def test_a_changed_envelope_is_opened_or_refused(holder, envelope, data):
    """One octet is enough to go wrong anywhere; what is opened is what was sealed."""
    octets = bytearray(envelope)
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))

    try:
        content = opened(bytes(octets), holder, read=read_inside)
    except MalformedRequest:
        return
    assert CONTENT == content


@given(st.binary(min_size=1, max_size=80), st.sampled_from([8, 16]))
def test_padding_comes_off_as_it_went_on(content, block):
    """RFC 5652 section 6.3, also where whole blocks are padded."""
    missing = block - len(content) % block

    assert (content, True) == without_padding(content + bytes([missing]) * missing, block)


@given(st.binary(max_size=60), st.integers(1, 30))
def test_ber_becomes_der(content, size):
    """Indefinite lengths, octet strings in pieces, lengths that are too long."""
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    inside = b"".join(b"\x04\x81" + bytes([len(piece)]) + piece for piece in pieces)
    ber = b"\x30\x80\x24\x80" + inside + b"\x00\x00\x02\x01\x05\x00\x00"

    expected = der.sequence(der.octet_string(content), der.integer(5))
    assert expected == definite(ber, limit_octets=LIMIT_OCTETS)
    assert expected == definite(expected, limit_octets=LIMIT_OCTETS)


@pytest.mark.parametrize(
    "octets",
    [
        b"\x30\x80" * 40,
        b"\x30\x80\x02\x01\x05",
        b"\x04\x80\x00\x00",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x00\x00",
        b"\x24\x03\x02\x01\x05",
        b"\x30\x80" + b"\x05\x00" * 5000 + b"\x00\x00",
    ],
)
def test_bad_ber_is_refused(octets):
    """Too deep, without an end, past the end, too many elements."""
    with pytest.raises(MalformedRequest):
        definite(octets, limit_octets=LIMIT_OCTETS)
