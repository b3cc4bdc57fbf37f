"""Profiles made and signed: with a fresh challenge inside, and the authority to trust."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.certificates import Generation
from pikaserver.api.errors import RequestRejected, Unavailable
from pikaserver.api.server import Server
from pikaserver.api.services import ServiceUse
from pikaserver.api.templates import Template
from pikaserver.asn1 import der
from pikaserver.asn1.digests import digest
from pikaserver.asn1.signed_data import (
    DATA,
    SIGNING_TIME,
    Signed,
    attribute,
    digest_of,
    signed_attributes,
    signed_data,
)
from pikaserver_scep.apple.payloads import (
    ENCRYPTION,
    SIGNING,
    Acme,
    Described,
    Names,
    Payload,
    Scep,
    Writer,
)
from pikaserver_scep.apple.settings import ProfileSettings
from pikaserver_scep.challenges.one_time import LIFETIME, OneTimeChallenges, Wish

SERVICE = "scep"
UNIT = "profiles"
KEY_BITS = (2048, 3072, 4096)


@dataclass(frozen=True, slots=True)
class ProfileWish:
    """For which device; with ``acme_directory`` it enrols there instead of by SCEP."""

    template: str
    subject: x509.Name
    names: Names = field(default_factory=Names)
    key_bits: int = 2048
    lifetime: timedelta = LIFETIME
    acme_directory: str | None = None
    client_identifier: str | None = None
    attest: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """A signed profile; ``challenge_id`` is the challenge inside."""

    file: bytes = field(repr=False)
    file_name: str
    challenge_id: int | None
    expires_at: datetime


class Profiles:
    """Makes them."""

    def __init__(self, server: Server, settings: ProfileSettings) -> None:
        self._server = server
        self._settings = settings
        self._challenges = OneTimeChallenges(server)

    def make(self, wish: ProfileWish, actor: str) -> Profile:
        """Return a profile with a challenge for one certificate.

        Raises:
            NotFound: no such template.
            RequestRejected: the subject names nobody, the keys are too short, or nobody
                reaches SCEP here.
            Unavailable: the authority has no certificate yet, or no key signs now.
        """
        template = self._server.templates.get(wish.template)
        name = _common_name(wish.subject)
        _check_texts(wish)
        generation = self._generation(template)
        identifier = hashlib.sha256(wish.subject.public_bytes()).hexdigest()[:12]
        described = Described(
            f"{self._settings.identifier}.{template.name}.{identifier}",
            f"{name} ({self._settings.organization})",
            self._settings.organization,
            f"Certificate of {name}, and the authority to trust",
        )
        writer = Writer(described, self._server.entropy)
        challenge_id: int | None = None
        if wish.acme_directory is None:
            payload, challenge_id = self._scep(writer, wish, template, generation, actor)
        else:
            payload = self._acme(writer, wish, template)
        chain = (generation.certificate, *generation.chain)
        plist = writer.profile([*writer.trust(chain), payload])
        expires_at = self._server.clock() + wish.lifetime
        return Profile(
            self._signed(plist, template.authority),
            f"{_file_name(name)}.mobileconfig",
            challenge_id,
            expires_at,
        )

    def _scep(
        self,
        writer: Writer,
        wish: ProfileWish,
        template: Template,
        generation: Generation,
        actor: str,
    ) -> tuple[Payload, int]:
        base = self._server.base_url(SERVICE)
        if base is None:
            raise RequestRejected("no listener serves scep: name it in a listener's 'serve'")
        if wish.key_bits not in KEY_BITS:
            raise RequestRejected(f"keys have {', '.join(map(str, KEY_BITS))} bits")
        # A bound challenge is good for this one name, so other names would be refused.
        bound = None if wish.names.written() else _common_name(wish.subject)
        made = self._challenges.create(
            Wish(template.name, common_name=bound, lifetime=wish.lifetime), actor
        )
        payload = writer.scep(
            Scep(
                url=f"{base}/scep/{template.name}",
                name=template.authority,
                subject=wish.subject,
                names=wish.names,
                challenge=made.challenge,
                key_bits=wish.key_bits,
                usage=_usage(template),
                fingerprint=self._fingerprint(generation.certificate),
                retries=self._settings.retries,
                retry_delay=self._settings.retry_delay_seconds,
            )
        )
        return payload, made.id

    def _acme(self, writer: Writer, wish: ProfileWish, template: Template) -> Payload:
        return writer.acme(
            Acme(
                directory=wish.acme_directory or "",
                client_identifier=wish.client_identifier or self._server.entropy(16).hex(),
                subject=wish.subject,
                names=wish.names,
                extended_key_usage=template.usage.extended_key_usage,
                attest=wish.attest,
            )
        )

    def _generation(self, template: Template) -> Generation:
        record = self._server.authorities.get(template.authority)
        for generation in record.generations:
            if generation.current:
                return generation
        raise Unavailable(f"authority {record.name!r} has no certificate yet")

    def _fingerprint(self, certificate: bytes) -> bytes | None:
        name = self._settings.ca_fingerprint
        if name == "none":
            return None
        return hashlib.new(name, certificate, usedforsecurity=False).digest()

    def _signed(self, plist: bytes, authority: str) -> bytes:
        use = ServiceUse(SERVICE, "profiles", authority, unit=UNIT, key_usage=("digitalSignature",))
        key = self._server.services.get(use)
        attributes = signed_attributes(
            DATA,
            digest(digest_of(key.algorithm), plist),
            attribute(SIGNING_TIME, der.time(self._server.clock())),
        )
        signature = key.sign(attributes, plist)
        signed = Signed(key.certificate, key.algorithm, attributes, signature)
        return signed_data(DATA, plist, signed, (key.certificate, *key.chain))


def _usage(template: Template) -> int:
    wanted = template.usage.key_usage
    usage = SIGNING if "digitalSignature" in wanted else 0
    usage |= ENCRYPTION if "keyEncipherment" in wanted else 0
    return usage or SIGNING


def _common_name(subject: x509.Name) -> str:
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names:
        raise RequestRejected("the subject of a profile needs a common name (CN)")
    return str(names[0].value)


def _check_texts(wish: ProfileWish) -> None:
    """Refuse what XML cannot hold, or nobody could read on a device."""
    texts = [str(attribute.value) for attribute in wish.subject]
    texts += [
        *wish.names.written().values(),
        wish.acme_directory or "",
        wish.client_identifier or "",
    ]
    for text in texts:
        if not text.isprintable():
            raise RequestRejected(f"{text!a} holds characters that cannot be printed")


def _file_name(name: str) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    return kept.strip("-.")[:60] or "device"
