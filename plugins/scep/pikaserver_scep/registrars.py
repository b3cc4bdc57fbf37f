"""The keys with which SCEP is spoken for an authority: its own, or a registration authority's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pikaserver.api.certificates import Authorities, Generation
from pikaserver.api.errors import Conflict, MalformedRequest, NotFound, RequestRejected
from pikaserver.api.services import DecryptionKey, ServiceKey, ServiceKeys, ServiceUse
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS
from pikaserver.asn1.enveloped_data import Envelope
from pikaserver_scep.settings import ScepSettings

TITLE = "SCEP"


@dataclass(frozen=True, slots=True)
class Registrar:
    """Who answers for one key of an authority.

    ``certificates`` are those that clients need, the one that they encrypt to among them;
    the issuer and those above follow from ``signer.chain``.  Of a registrar that is the
    authority itself, ``own`` is true.
    """

    authority: str
    generation: Generation
    signer: ServiceKey
    certificates: tuple[bytes, ...]
    keys: Sequence[DecryptionKey]
    own: bool

    def opens(self, envelope: Envelope) -> bool:
        """Tell whether one of its keys is the recipient."""
        return any(envelope.is_for(key.certificate) for key in self.keys)


class Registrars:
    """Finds, and has made where need be, the keys of all authorities."""

    def __init__(
        self, services: ServiceKeys, authorities: Authorities, settings: ScepSettings
    ) -> None:
        self._services = services
        self._authorities = authorities
        self._settings = settings

    def current(self, authority: str) -> Registrar:
        """Return who answers for the current key of an authority.

        Raises:
            NotFound: no such authority, or it has no key yet.
            PikaserverError: no key can be had now.
        """
        for generation in self._authorities.get(authority).generations:
            if generation.current:
                return self.of(authority, generation)
        raise NotFound(f"the authority {authority!r} has no certificate yet")

    def for_envelope(self, authority: str, envelope: Envelope) -> Registrar:
        """Return who can open an envelope: clients may know an earlier key of the authority.

        Raises:
            MalformedRequest: it is for somebody else.
        """
        for registrar in self._all(authority):
            if registrar.opens(envelope):
                return registrar
        raise MalformedRequest("encrypted for another recipient")

    def of(self, authority: str, generation: Generation) -> Registrar:
        """Return who answers for one key of an authority.

        Raises:
            Conflict: the settings want its own key, which cannot do that.
        """
        wanted = self._settings.of(authority).signer
        if wanted != "ra":
            try:
                return self._own(authority, generation)
            except (Conflict, RequestRejected):
                if wanted == "own":
                    raise
        return self._registration_authority(authority, generation)

    def _all(self, authority: str) -> Iterator[Registrar]:
        for generation in self._authorities.get(authority).generations:
            if generation.prepared:
                continue  # it answers nobody before it takes over
            try:
                yield self.of(authority, generation)
            except (Conflict, NotFound, RequestRejected):
                if generation.current:
                    raise
                continue  # an earlier key that is gone or revoked, or never spoke SCEP

    def _own(self, authority: str, generation: Generation) -> Registrar:
        if SIGNATURE_ALGORITHMS[generation.algorithm].family != "rsa":
            raise Conflict(f"the key of authority {authority!r} is not RSA with PKCS#1 v1.5")
        key = self._services.authority_decryption_key(authority, generation.number)
        signer = self._services.authority_key(authority, generation.number)
        return Registrar(authority, generation, signer, (signer.certificate,), (key,), own=True)

    def _registration_authority(self, authority: str, generation: Generation) -> Registrar:
        number = generation.number
        signing = encryption = ServiceUse("scep", TITLE, authority, number)
        if self._settings.of(authority).separate_keys:
            signing = replace(signing, unit="signing", key_usage=("digitalSignature",))
            encryption = replace(encryption, unit="encryption", key_usage=("keyEncipherment",))
        if not generation.current and not self._services.decryption_keys(encryption):
            raise NotFound("an earlier key of the authority had no registration authority")
        signer, other = self._services.get(signing), self._services.get(encryption)
        return Registrar(
            authority,
            generation,
            signer,
            tuple(dict.fromkeys((signer.certificate, other.certificate))),
            self._services.decryption_keys(encryption),
            own=False,
        )
