"""What the command line shows of YubiKeys: which are plugged in, and what their slots hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from hsm_agent.stores.piv.attestation import UNREADABLE
from hsm_agent.stores.piv.connector import Connector, PcscConnector
from hsm_agent.stores.piv.finding import Finder
from hsm_agent.stores.piv.firmware import key_types, version_text
from hsm_agent.stores.piv.names import SLOTS
from hsm_agent.stores.piv.opening import USUAL_READER
from hsm_agent.stores.piv.store import PivStore
from hsm_agent.stores.store import StoredKey, StoreError


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot for people; all texts are empty where there is no key.

    ``certificate`` is the subject of what stands beside the key; ``attestation`` begins with
    ``verified``, ``unverified`` or ``none``; ``why`` says what stands in the way of signing.
    """

    slot: str
    key_type: str = ""
    origin: str = ""
    pin_policy: str = ""
    touch_policy: str = ""
    certificate: str = ""
    attestation: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class PluggedIn:
    """A YubiKey in a reader; where it cannot be asked, ``why`` says so and the rest is empty."""

    reader: str
    serial: str = ""
    firmware: str = ""
    form_factor: str = ""
    fips: bool = False
    key_types: tuple[str, ...] = ()
    factory: tuple[str, ...] = ()
    why: str = ""


def slots(store: PivStore) -> Sequence[Slot]:
    """Return every slot of a store's card, in the order of the card.

    Raises:
        StoreError: the card is not there.
    """
    keys = {key.label: key for key in store.keys()}
    certificates = store.certificates()
    return [
        _slot(keys[name], certificates.get(name, b"")) if name in keys else Slot(name)
        for name in SLOTS
    ]


def plugged_in(connector: Connector | None = None) -> Sequence[PluggedIn]:
    """Return every YubiKey that can be seen, so that a person finds its serial number.

    Raises:
        StoreError: pcscd does not answer.
    """
    connector = connector or PcscConnector(USUAL_READER, exclusive=False)
    finder = Finder(connector, None)
    return [_look(finder, reader) for reader in connector.readers()]


def _look(finder: Finder, reader: str) -> PluggedIn:
    try:
        card = finder.open(reader)
    except StoreError as error:
        return PluggedIn(reader, why=str(error))
    try:
        return PluggedIn(
            reader=reader,
            serial=str(card.serial),
            firmware=version_text(card.firmware),
            form_factor=card.form_factor,
            fips=card.fips,
            key_types=key_types(card.firmware),
            factory=card.factory_values(),
        )
    except StoreError as error:
        return PluggedIn(reader, serial=str(card.serial), why=str(error))
    finally:
        card.close()


def _slot(key: StoredKey, certificate: bytes) -> Slot:
    return Slot(
        slot=key.label,
        key_type=key.key_type,
        origin=key.details["origin"],
        pin_policy=key.details["pin-policy"],
        touch_policy=key.details["touch-policy"],
        certificate=_subject(certificate),
        attestation=key.details["attestation"],
        why=key.details.get("refused", "") or key.details.get("why", ""),
    )


def _subject(certificate: bytes) -> str:
    if not certificate:
        return ""
    try:
        return x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    except UNREADABLE:
        return "unreadable"
