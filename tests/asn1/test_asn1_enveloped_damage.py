"""Enveloped data that others wrote or bent: opened or refused, and by one error alone."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.api.errors import AlgorithmRefused, MalformedRequest
from pikaserver.asn1 import der
from pikaserver.asn1.ber import definite
from pikaserver.asn1.content_ciphers import CONTENT_CIPHERS
from pikaserver.asn1.elements import children
from pikaserver.asn1.enveloped_data import (
    LIMIT_OCTETS,
    DecryptionFailed,
    open_,
    read_envelope,
    seal,
)
from pikaserver.asn1.key_transport import OAEP
from pikaserver.asn1.recipients import (
    KeyTransportRecipient,
)
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.damage import altered
from tests.asn1.envelopes import CONTENT, Holder, opened


@pytest.fixture(scope="module")
def holder():
    return Holder(rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def envelope(holder):
    return seal(CONTENT, [KeyTransportRecipient(holder.certificate)], CountedEntropy())


def read_inside(content):
    """Read what our contents are, as strictly as a request is read."""
    der.check(content)
    if content != CONTENT:
        raise MalformedRequest("something else")
    return content


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
