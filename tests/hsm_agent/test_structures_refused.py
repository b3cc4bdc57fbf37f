"""What looks like a structure and is not strictly one is malformed, for every key."""

import pytest

from hsm_agent.structures.certificate import read_tbs_certificate
from hsm_agent.structures.classify import Malformed, Raw, classify
from hsm_agent.structures.crl import read_tbs_cert_list
from hsm_agent.structures.csr import read_request_info
from hsm_agent.structures.kinds import PROOF_LABEL
from hsm_agent.structures.ocsp import read_response_data
from hsm_agent.structures.signed_attributes import read_signed_attributes
from pikaserver.asn1 import der
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.made_structures import NOW
from tests.hsm_agent.structures_in_pieces import (
    CRITICAL,
    extension,
    indefinite,
    parts_of,
    put,
    rdn,
    text,
)

ALL = {
    "cert": made.leaf(),
    "ca-cert": made.ca(),
    "crl": made.crl(1, [5, 6]),
    "ocsp": made.answer(),
    "csr": made.csr(),
    "cms-attrs": made.scep(),
}
READERS = {
    "cert": read_tbs_certificate,
    "crl": read_tbs_cert_list,
    "ocsp": read_response_data,
    "csr": read_request_info,
    "cms-attrs": read_signed_attributes,
}
EMPTY = der.octet_string(der.sequence())


def long_length(octets):
    """Return the same with one octet of length more than needed."""
    start, end = der.content(octets, 0)
    size = (end - start).to_bytes(5, "big")
    return octets[:1] + b"\x85" + size + octets[start:]


def inner_indefinite(octets):
    """Return the same with one inner structure in BER."""
    parts = parts_of(octets)
    place = next(n for n, part in enumerate(parts) if part[0] in (0x30, 0xA2))
    return put(octets, place, indefinite(parts[place]))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    "spoil",
    [
        indefinite,
        long_length,
        lambda octets: octets + b"\0",
        lambda octets: octets[:-1],
        inner_indefinite,
    ],
    ids=["indefinite", "long-length", "trailing", "cut", "inner-indefinite"],
)
def test_ber_and_trailing_octets_are_refused(kind, spoil):
    """Even a key for raw octets gets none of it: readers exist that take BER."""
    octets = spoil(ALL[kind])

    with pytest.raises(Malformed):
        classify(octets)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("reader", READERS)
def test_no_structure_is_read_as_another(kind, reader):
    """Each is accepted by its own reader only."""
    expected = ALL[kind]

    if kind.removeprefix("ca-") == reader:
        assert kind == READERS[reader](expected).kind
    else:
        with pytest.raises(Malformed):
            READERS[reader](expected)


def with_extensions(*extensions, tbs=ALL["cert"]):
    """Return a TBSCertificate with these extensions alone."""
    return put(tbs, 7, der.context(3, der.sequence(*extensions)))


BASIC = "2.5.29.19"
KEY_USAGE = "2.5.29.15"
NAMES = "2.5.29.17"


CERTIFICATES = {
    "version-1": der.sequence(*parts_of(ALL["cert"])[1:7]),
    "version-2": put(ALL["cert"], 0, der.context(0, der.integer(1))),
    "unique-identifier": put(ALL["cert"], 6, parts_of(ALL["cert"])[6], der.element(0x81, b"\0\1")),
    "serial-zero": put(ALL["cert"], 1, der.integer(0)),
    "serial-negative": put(ALL["cert"], 1, der.integer(-5)),
    "serial-21-octets": put(ALL["cert"], 1, der.integer(1 << 160)),
    "serial-padded": put(ALL["cert"], 1, b"\x02\x02\x00\x05"),
    "generalized-2026": put(
        ALL["cert"], 4, der.sequence(der.generalized_time(NOW), der.generalized_time(NOW))
    ),
    "ends-before-begin": put(ALL["cert"], 4, der.sequence(der.time(NOW), der.time(NOW - made.DAY))),
    "no-seconds": put(
        ALL["cert"], 4, der.sequence(der.element(0x17, b"2601010000Z"), der.time(NOW))
    ),
    "rdn-empty": put(ALL["cert"], 5, rdn()),
    "rdn-not-sorted": put(ALL["cert"], 5, rdn(text("2.5.4.10", b"z"), text("2.5.4.3", b"a"))),
    "common-name-65": put(ALL["cert"], 5, rdn(text("2.5.4.3", b"a" * 65))),
    "country-3": put(ALL["cert"], 5, rdn(text("2.5.4.6", b"abc", 0x13))),
    "name-no-utf8": put(ALL["cert"], 5, rdn(text("2.5.4.3", b"\xff"))),
    "common-name-65-wide": put(
        ALL["cert"], 5, rdn(text("2.5.4.3", ("\u00e4" * 33).encode("utf-16-be"), 0x1E))
    ),
    "name-integer": put(ALL["cert"], 5, rdn(text("2.5.4.3", b"a", 0x02))),
    "extensions-empty": with_extensions(),
    "extension-twice": with_extensions(*[extension(BASIC, der.sequence())] * 2),
    "critical-false": with_extensions(extension(BASIC, der.sequence(), b"\1\1\0")),
    "critical-01": with_extensions(extension(BASIC, der.sequence(), b"\1\1\1")),
    "ca-false-written": with_extensions(extension(BASIC, der.sequence(b"\1\1\0"))),
    "basic-trailing": with_extensions(extension(BASIC, der.sequence() + b"\0")),
    "basic-garbage": with_extensions(extension(BASIC, b"\xff")),
    "usage-padded": with_extensions(extension(KEY_USAGE, b"\3\2\0\x80")),
    "usage-empty-octets": with_extensions(extension(KEY_USAGE, b"\3\3\0\x80\0")),
    "names-x400": with_extensions(extension(NAMES, der.sequence(b"\xa3\2\5\0"))),
    "names-address-5": with_extensions(extension(NAMES, der.sequence(b"\x87\5aaaaa"))),
    "no-key": put(ALL["cert"], 6),
    "more-fields": put(ALL["cert"], 7, parts_of(ALL["cert"])[7], der.null()),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_a_certificate_that_is_not_strict_is_refused(case):
    """See each case's name; RFC 5280 section 4.1 and X.690."""
    with pytest.raises(Malformed):
        classify(CERTIFICATES[case])


CRL = ALL["crl"]
ENTRY = der.sequence(der.integer(5), der.time(NOW))


def entries(*encoded):
    """Return a TBSCertList with these entries."""
    return put(CRL, 5, der.sequence(*encoded))


def entry(*extensions, serial=5):
    """Return an entry with extensions."""
    return der.sequence(der.integer(serial), der.time(NOW), der.sequence(*extensions))


CRLS = {
    "generalized-2026": put(CRL, 3, der.generalized_time(NOW)),
    "time-garbage": put(CRL, 3, der.element(0x17, b"26112212000Z")),
    "version-1": der.sequence(*parts_of(CRL)[1:6]),
    "version-3": put(CRL, 0, der.integer(2)),
    "entries-empty": entries(),
    "serial-zero": entries(der.sequence(der.integer(0), der.time(NOW))),
    "serial-negative": entries(der.sequence(der.integer(-1), der.time(NOW))),
    "serial-21-octets": entries(der.sequence(der.integer(1 << 160), der.time(NOW))),
    "serial-200-octets": entries(der.sequence(der.integer(1 << 1600), der.time(NOW))),
    "entry-other-issuer": entries(ENTRY, entry(extension("2.5.29.29", der.sequence()))),
    "entry-critical": entries(ENTRY, entry(extension("2.5.29.21", b"\x0a\1\1", b"\1\1\xff"))),
    "two-entry-lists": put(CRL, 5, der.sequence(ENTRY), der.sequence(ENTRY)),
    "no-this-update": put(put(CRL, 4), 3),
    "extension-twice": put(
        CRL, 6, der.context(0, der.sequence(*[extension("2.5.29.20", der.integer(1))] * 2))
    ),
    "number-garbage": put(CRL, 6, der.context(0, der.sequence(extension("2.5.29.20", b"x")))),
}


@pytest.mark.parametrize("case", CRLS)
def test_a_crl_that_is_not_strict_is_refused(case):
    """RFC 5280 section 5.1; entries are looked into as far as they matter."""
    with pytest.raises(Malformed):
        classify(CRLS[case])


def test_octets_that_only_look_suspicious_do_not_spoil_a_crl():
    """The marks that are searched for may be a part of a serial, or of a reason."""
    serial = int.from_bytes(bytes.fromhex("0101ff0603551d1d"), "big")

    assert 2 == classify(made.crl(1, [serial, 5])).revoked


OCSP = ALL["ocsp"]
SINGLE = parts_of(parts_of(OCSP)[2])[0]
CERT_ID = parts_of(SINGLE)[0]


def single(*parts):
    """Return a ResponseData with one SingleResponse of these parts."""
    return put(OCSP, 2, der.sequence(der.sequence(*parts)))


ANSWERS = {
    "version-written": der.sequence(der.context(0, der.integer(0)), *parts_of(OCSP)),
    "no-answer": put(OCSP, 2, der.sequence()),
    "no-status": single(CERT_ID),
    "status-3": single(CERT_ID, b"\x83\0", *parts_of(SINGLE)[2:]),
    "key-hash-19": put(OCSP, 0, der.context(2, der.octet_string(bytes(19)))),
    "hash-length": single(put(CERT_ID, 1, der.octet_string(bytes(19))), *parts_of(SINGLE)[1:]),
    "hash-parameters": single(
        put(CERT_ID, 0, der.sequence(der.oid("1.3.14.3.2.26"), der.integer(1))),
        *parts_of(SINGLE)[1:],
    ),
    "hash-unknown": single(
        put(CERT_ID, 0, der.sequence(der.oid("1.2.840.113549.2.5"))), *parts_of(SINGLE)[1:]
    ),
    "fraction": put(OCSP, 1, der.element(0x18, b"20260101000000.5Z")),
    "extension-twice": put(
        OCSP, 2, parts_of(OCSP)[2], der.context(1, der.sequence(CRITICAL, CRITICAL))
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_ocsp_answer_that_is_not_strict_is_refused(case):
    """RFC 6960 section 4.2.1."""
    with pytest.raises(Malformed):
        classify(ANSWERS[case])


def test_critical_extensions_of_an_ocsp_answer_are_told():
    """Of the whole and of a single answer; the policy refuses them."""
    parts = parts_of(SINGLE)
    inner = der.sequence(der.sequence(*parts, der.context(1, der.sequence(CRITICAL))))
    outer = extension("1.2.3.5", b"", b"\1\1\xff")

    read = classify(put(OCSP, 2, inner, der.context(1, der.sequence(outer))))

    assert ("1.2.3.5", "1.2.3.4") == read.critical


@pytest.mark.parametrize("kind", [one for one in ALL if one != "cms-attrs"])
def test_a_content_goes_with_signed_attributes_only(kind):
    """There is nothing else that it could belong to."""
    with pytest.raises(Malformed, match="content"):
        classify(ALL[kind], made.tst_info())


def test_a_content_of_another_type_is_refused():
    """Its attributes say data: nobody would take it for a time-stamp, and nobody signs it."""
    with pytest.raises(Malformed, match="another type"):
        classify(made.attributes(made.DATA), made.tst_info())


@pytest.mark.parametrize("octets", [PROOF_LABEL, PROOF_LABEL + bytes(31), PROOF_LABEL + bytes(33)])
def test_the_label_of_a_proof_is_for_proofs_only(octets):
    """Nothing else can be hidden behind it."""
    with pytest.raises(Malformed, match="32 octets"):
        classify(octets)


def test_nothing_is_not_signed():
    """Not even raw."""
    with pytest.raises(Malformed):
        classify(b"")


@pytest.mark.parametrize(
    ("kind", "size"), [("cert", 65_536), ("csr", 65_536), ("cms-attrs", 65_536), ("ocsp", 1 << 20)]
)
def test_sizes_are_checked_first(kind, size):
    """A structure that is too large is not read at all."""
    octets = ALL[kind]
    start, end = der.content(octets, 0)

    with pytest.raises(Malformed, match="more than"):
        classify(der.element(octets[0], octets[start:end], bytes(size)))


def test_a_crl_of_more_than_16_mib_is_refused():
    """The frame holds no more; larger ones are sharded."""
    with pytest.raises(Malformed, match="more than"):
        read_tbs_cert_list(bytes((1 << 24) + 1))


def test_an_attribute_certificate_is_nothing_that_is_known():
    """RFC 5755: it begins with a version and a holder, and is raw."""
    octets = der.sequence(der.integer(1), der.sequence(), der.context(0, b""), der.sequence())

    assert Raw(octets) == classify(octets)
