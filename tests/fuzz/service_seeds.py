"""Good CRLs, time-stamps and requests for them: what mutation starts from."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pikaserver.api.certificates import RevocationReason
from pikaserver.asn1 import der
from pikaserver.asn1.crl import CrlHead, crl_pieces, entry, in_memory
from pikaserver.asn1.digests import DIGEST_OIDS, digest
from pikaserver.asn1.signed_data import DATA, Signed, signed_attributes, signed_data
from pikaserver.asn1.signing_certificates import signing_certificate_v2
from pikaserver.asn1.time_stamp_responses import granted, refused
from pikaserver.asn1.time_stamps import Failure, write_imprint, write_request
from pikaserver.asn1.tst_info import TST_INFO, Accuracy, TstInfo, tst_info
from pikaserver.testing.clock import CountedEntropy
from pikaserver.testing.fake_services import FakeServiceKey
from pikaserver.testing.throw_away import (
    ThrowAwayAuthority,
    distinguished_name,
    spki,
    throw_away_key,
)

CONTENT = b"what is stamped"
_AT = datetime(2026, 5, 1, 12, 0, 0, 125_000, tzinfo=UTC)
_DAY = timedelta(days=1)
_AUTHENTICODE = "1.3.6.1.4.1.311.3.2.1"


@cache
def authority() -> ThrowAwayAuthority:
    """Return the root of all."""
    return ThrowAwayAuthority("Root", _AT, CountedEntropy("fuzz"))


@cache
def unit() -> FakeServiceKey:
    """Return the key of a time-stamp unit."""
    key = throw_away_key(CountedEntropy("unit"))
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    certificate = authority().certify(
        spki(key), distinguished_name("Unit"), _AT - _DAY, _AT + _DAY, extensions=[(usage, True)]
    )
    return FakeServiceKey(certificate, (authority().certificate,), key)


@cache
def requests() -> list[bytes]:
    """Return queries with each hash, with and without what is optional."""
    return [
        write_request(name, digest(name, CONTENT), policy=policy, nonce=nonce, certificate_wanted=w)
        for name, policy, nonce, w in zip(
            DIGEST_OIDS,
            ("1.2.3.4", None, None, "1.3.6.1.4.1.32473.1.1", None, None, None),
            (1, 2**63, -1, 0, 2**200, 7, 8),
            (True, False, True, True, False, True, False),
            strict=True,
        )
    ]


@cache
def infos() -> list[bytes]:
    """Return TSTInfos, one with everything."""
    imprint = write_imprint("sha256", digest("sha256", CONTENT))
    name = distinguished_name("Unit").public_bytes()
    short = TstInfo("1.2.3.4", imprint, 1, _AT)
    full = replace(short, accuracy=Accuracy(1, 2, 3), ordering=True, nonce=2**127, authority=name)
    return [tst_info(short), tst_info(full)]


def _token(info: bytes, content_type: str, *others: bytes, certificates: bool = True) -> bytes:
    key = unit()
    attributes = signed_attributes(content_type, digest("sha256", info), *others)
    signed = Signed(key.certificate, key.algorithm, attributes, key.sign(attributes))
    return signed_data(content_type, info, signed, (key.certificate,) if certificates else ())


@cache
def tokens() -> list[bytes]:
    """Return SignedData over TSTInfos and over plain data."""
    bound = signing_certificate_v2(unit().certificate)
    return [
        *(_token(info, TST_INFO, bound) for info in infos()),
        _token(infos()[0], TST_INFO, bound, certificates=False),
        _token(CONTENT, DATA),
    ]


@cache
def responses() -> list[bytes]:
    """Return what an authority answers."""
    return [*map(granted, tokens()), refused(Failure.BAD_ALG, "not accepted: ä")]


@cache
def authenticode() -> list[bytes]:
    """Return requests of Authenticode in DER."""
    inner = der.sequence(der.oid(DATA), der.context(0, der.octet_string(bytes(256))))
    return [
        der.sequence(der.oid(_AUTHENTICODE), inner),
        der.sequence(der.oid(_AUTHENTICODE), der.set_of(der.null()), inner),
    ]


def authenticode_text() -> list[bytes]:
    """Return the same as they are sent."""
    return [form(one) for one in authenticode() for form in (base64.b64encode, base64.encodebytes)]


@cache
def crls() -> list[bytes]:
    """Return a full CRL with entries for all reasons, an empty one, a delta, and a part."""
    name = x509.UniformResourceIdentifier("http://example.com/a.crl")
    part = x509.IssuingDistributionPoint(
        full_name=[name],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    freshest = x509.FreshestCRL([x509.DistributionPoint([name], None, None, None)])
    entries = [
        entry(2**140 + reason.value, _AT, reason, _AT - _DAY if reason.value % 2 else None)
        for reason in RevocationReason
    ]
    return [
        _crl(entries, freshest=freshest, expired_since=_AT),
        _crl([]),
        _crl(entries[:2], delta_base=3),
        _crl(entries[2:], distribution_point=part),
        authority().revoke(5, _AT, _AT + _DAY, []),
    ]


def _crl(entries: list[bytes], **extensions: object) -> bytes:
    head = CrlHead(
        issuer=distinguished_name("Root").public_bytes(),
        algorithm="ecdsa-sha256",
        this_update=_AT,
        next_update=_AT + _DAY,
        number=4,
        key_identifier=bytes(20),
        **extensions,
    )
    return b"".join(crl_pieces(head, in_memory(entries), b"no signature"))
