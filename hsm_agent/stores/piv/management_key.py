"""The management key: without it nobody makes keys or writes certificates.

It lies in a file of this host, or on the card itself behind the PIN, as ykman keeps it too: the
object "printed information" holds 88{89 key}, and 80{81 flags} in 5FFF00 tells that it is there.
"""

from collections.abc import Callable
from pathlib import Path

from yubikit.core import Tlv
from yubikit.core.smartcard import SW
from yubikit.piv import MANAGEMENT_KEY_TYPE, OBJECT_ID

from hsm_agent.faults import AgentFault
from hsm_agent.private_files import make_private_folder, read_private, write_private
from hsm_agent.stores.piv.card import Card, Refusal
from hsm_agent.stores.store import PinNeeded, TokenFault

AES_SINCE = (5, 4, 0)
_ADMIN_DATA = 0x5FFF00
_ADMIN, _FLAGS, _SALT = 0x80, 0x81, 0x82
_PROTECTED, _KEY = 0x88, 0x89
_KEY_IS_STORED = 0x02
_OCTETS = (16, 24, 32)


def read_key_file(path: Path) -> bytes:
    """Read a management key: hexadecimal digits, in a file for its owner alone.

    Raises:
        PinNeeded: there is none.
    """
    try:
        key = bytes.fromhex(read_private(path).decode("ascii"))
    except (AgentFault, OSError, ValueError) as error:
        raise PinNeeded(f"no management key: {error}") from error
    if len(key) not in _OCTETS:
        raise PinNeeded(f"{path} holds no management key: 32, 48 or 64 hexadecimal digits")
    return key


def write_key_file(path: Path, key: bytes) -> None:
    """Write a management key where `read_key_file` finds it.

    Raises:
        TokenFault: it cannot be written.
    """
    try:
        make_private_folder(path.parent)
        write_private(path, key.hex().encode() + b"\n")
    except OSError as error:
        raise TokenFault(f"{path} cannot be written: {error.strerror}") from error


def best_type(card: Card) -> MANAGEMENT_KEY_TYPE:
    """Return the strongest kind of management key that a card takes."""
    return MANAGEMENT_KEY_TYPE.AES256 if card.firmware >= AES_SINCE else MANAGEMENT_KEY_TYPE.TDES


def is_on_card(card: Card) -> bool:
    """Tell whether the card says that it holds its management key behind the PIN."""
    return bool(_flags(_admin_data(card)) & _KEY_IS_STORED)


def read_from_card(card: Card, prove_pin: Callable[[Card], None]) -> bytes:
    """Read the management key from the card itself.

    Raises:
        PinNeeded: it is not there, or the PIN cannot be proven.
        StoreError: the card is gone or refuses.
    """
    prove_pin(card)
    try:
        with card.asked("show its management key") as session:
            told = Tlv.unpack(_PROTECTED, session.get_object(OBJECT_ID.PRINTED))
            key = Tlv.parse_dict(told).get(_KEY, b"")
    except Refusal as refusal:
        if refusal.status != SW.FILE_NOT_FOUND:
            raise
        key = b""
    if not key:
        raise PinNeeded("the card does not hold its management key: set management-key-file")
    return key


def put_on_card(card: Card, key: bytes) -> None:
    """Keep a management key on the card, behind the PIN; both must have been proven.

    The key is there before the flag says so, and before it is in use.
    """
    told = _admin_data(card)
    with card.asked("keep its management key") as session:
        session.put_object(OBJECT_ID.PRINTED, Tlv(_PROTECTED, Tlv(_KEY, key)))
        session.put_object(_ADMIN_DATA, _admin_octets(told, _flags(told) | _KEY_IS_STORED))


def take_off_card(card: Card) -> None:
    """Forget a management key that was kept on the card; the new one must have been proven."""
    told = _admin_data(card)
    if _flags(told) & _KEY_IS_STORED:
        with card.asked("forget its management key") as session:
            session.put_object(_ADMIN_DATA, _admin_octets(told, _flags(told) & ~_KEY_IS_STORED))
            session.put_object(OBJECT_ID.PRINTED)


def _admin_data(card: Card) -> dict[int, bytes]:
    try:
        with card.asked("tell where its management key is") as session:
            octets = session.get_object(_ADMIN_DATA)
            return Tlv.parse_dict(Tlv.unpack(_ADMIN, octets)) if octets else {}
    except Refusal as refusal:
        if refusal.status != SW.FILE_NOT_FOUND:
            raise
        return {}


def _admin_octets(told: dict[int, bytes], flags: int) -> bytes:
    """Write ykman's object; a salt told how the old key came from the PIN, which is over."""
    rest = b"".join(Tlv(tag, told[tag]) for tag in told if tag not in {_FLAGS, _SALT})
    return Tlv(_ADMIN, Tlv(_FLAGS, bytes([flags])) + rest)


def _flags(told: dict[int, bytes]) -> int:
    return int.from_bytes(told.get(_FLAGS, b""), "big")
