"""The worker's hold on its token: one session, found again after the token was away."""

import time
from collections.abc import Iterable, Iterator, Mapping

import pkcs11
from pkcs11 import Attribute, Mechanism, MechanismFlag, PKCS11Error, Session, Slot, Token, TokenFlag
from pkcs11._pkcs11 import lib as Library  # noqa: N812  # a class, in small letters there
from pkcs11.attributes import ATTRIBUTE_TYPES, AttributeMapper
from pkcs11.exceptions import UserAlreadyLoggedIn

from hsm_agent.stores.pkcs11.pipe import flag, number, text
from hsm_agent.stores.pkcs11.refused import (
    ABSENT,
    LOGIN,
    PIN_LOCKED,
    PIN_LOW,
    WHY_LOCKED,
    WHY_LOW,
    Refused,
)
from hsm_agent.wire.encoding import Value

PUBLIC_KEY_INFO: Attribute = 0x129  # type: ignore[assignment]  # no member of its enumeration
"""CKA_PUBLIC_KEY_INFO, which python-pkcs11 does not know."""

_LEAST_PAUSE_SECONDS = 0.5
"""Between two starts of a module whose token is absent; ten times as long as a start takes."""
_SEEN = {
    *(Mechanism.RSA_PKCS_KEY_PAIR_GEN, Mechanism.RSA_PKCS, Mechanism.RSA_PKCS_PSS),
    *(Mechanism.SHA256_RSA_PKCS, Mechanism.SHA384_RSA_PKCS, Mechanism.SHA512_RSA_PKCS),
    *(Mechanism.SHA256_RSA_PKCS_PSS, Mechanism.SHA384_RSA_PKCS_PSS),
    *(Mechanism.SHA512_RSA_PKCS_PSS, Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA),
    *(Mechanism.ECDSA_SHA256, Mechanism.ECDSA_SHA384, Mechanism.ECDSA_SHA512),
    *(Mechanism.EC_EDWARDS_KEY_PAIR_GEN, Mechanism.EDDSA),
    *(Mechanism.ML_DSA_KEY_PAIR_GEN, Mechanism.ML_DSA),
}
_LOW = TokenFlag.USER_PIN_COUNT_LOW | TokenFlag.USER_PIN_FINAL_TRY


def attribute_mapper() -> AttributeMapper:
    """Return how attributes are read; what a strange token may hold in them raises nothing."""
    mapper = AttributeMapper()
    as_number = ATTRIBUTE_TYPES[Attribute.VALUE_LEN]
    mapper.register_handler(Attribute.LABEL, _label_octets, bytes)
    mapper.register_handler(Attribute.KEY_TYPE, *as_number)
    mapper.attribute_types[PUBLIC_KEY_INFO] = (bytes, bytes)
    return mapper


class TokenSession:
    """Opens the one session, notices when it is dead, and tells what the token is.

    ``settings`` has the module's path, how to find the token (``token``, ``serial`` or
    ``slot``), whether to log in, and the ``number`` from which sessions are counted.
    """

    def __init__(self, settings: Mapping[str, Value]) -> None:
        self._settings = settings
        self._number = number(settings, "number")
        self._token: Token | None = None
        self._session: Session | None = None
        self._mechanisms: list[Mapping[str, Value]] = []
        self._restart_from = 0.0
        self._leaked = False

    def session(self) -> Session:
        """Return the session, opening it where that needs no PIN.

        Raises:
            Refused: the token is not there, or somebody has to log in first.
            PKCS11Error: as everywhere here, the module fails.
        """
        if self._session is None:
            token = self._found()
            if self._needs_login(token):
                raise Refused(LOGIN, "nobody is logged in to the token", self._number)
            self._session = self._open(token, None)
        return self._session

    def log_in(self, pin: str) -> None:
        """Try the PIN, unless the token says that few tries are left.

        Raises:
            Refused: the token is not there, or its count of wrong PINs forbids a try.
            PKCS11Error: the PIN was tried, perhaps.
        """
        self.drop()
        token = self._found()
        _check_tries(token)
        self._session = self._open(token, pin)

    def check_tries(self) -> None:
        """Refuse when the token says that a wrong PIN would now be dangerous.

        Raises:
            Refused: it does, or it is not there.
        """
        _check_tries(self._found())

    def look(self) -> Mapping[str, Value]:
        """Tell what the token is and whether it is there; nothing is unlocked.

        Raises:
            Refused: it is not there.
        """
        token = self._found()
        return {
            "token": token.label,
            "serial": token.serial.decode("ascii", "replace"),
            "model": token.model,
            "manufacturer": token.manufacturer_id,
            "firmware": ".".join(map(str, token.firmware_version)),
            "open": self._session is not None,
            "login": self._needs_login(token),
            "pin-low": bool(token.flags & _LOW),
            "pin-locked": bool(token.flags & TokenFlag.USER_PIN_LOCKED),
            "mechanisms": self._mechanisms,
        }

    def drop(self) -> None:
        """Forget the session; the next deed opens another one."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except PKCS11Error:
                # It may still be open, and logged in: only a new start of the module helps.
                self._token, self._leaked = None, True

    def _needs_login(self, token: Token) -> bool:
        return flag(self._settings, "login") and bool(token.flags & TokenFlag.LOGIN_REQUIRED)

    def _open(self, token: Token, pin: str | None) -> Session:
        self._number += 1
        try:
            return token.open(
                rw=not token.flags & TokenFlag.WRITE_PROTECTED,
                user_pin=pin,
                attribute_mapper=attribute_mapper(),
            )
        except UserAlreadyLoggedIn:
            self._token, self._leaked = None, True
            raise

    def _found(self) -> Token:
        """Return the token as it is now, with its present flags."""
        same = self._same()
        if same is None:
            self.drop()
            same = self._searched()
            self._mechanisms = list(_mechanisms(same))
        self._token = same
        return same

    def _same(self) -> Token | None:
        """Return the token that was there before, if it still is."""
        if self._token is None:
            return None
        try:
            token = self._token.slot.get_token()
        except PKCS11Error:
            return None
        before = self._token
        return token if (token.serial, token.label) == (before.serial, before.label) else None

    def _searched(self) -> Token:
        self._token = None
        try:
            library = pkcs11.lib(text(self._settings, "module"))
            found = [] if self._leaked else self._matching(library.get_slots(token_present=True))
            if self._leaked or (not found and time.monotonic() >= self._restart_from):
                self._restart(library)
                found = self._matching(library.get_slots(token_present=True))
        except PKCS11Error as error:
            why = str(error) or type(error).__name__
            raise Refused(ABSENT, f"the module cannot be used: {why}") from None
        if not found:
            raise Refused(ABSENT, "no token that matches the settings is there")
        if len(found) > 1:
            raise Refused(ABSENT, f"{len(found)} tokens match the settings: name one by its serial")
        return found[0]

    def _restart(self, library: Library) -> None:
        """Initialize the module anew: SoftHSM, for one, sees neither removal nor return before."""
        started = time.monotonic()
        library.reinitialize()
        ended = time.monotonic()
        self._leaked = False
        self._restart_from = ended + max(_LEAST_PAUSE_SECONDS, 10 * (ended - started))

    def _matching(self, slots: Iterable[Slot]) -> list[Token]:
        found = []
        for slot in slots:
            try:
                token = slot.get_token()
            except PKCS11Error:
                continue
            if self._matches(token) and token.flags & TokenFlag.TOKEN_INITIALIZED:
                found.append(token)
        return found

    def _matches(self, token: Token) -> bool:
        if label := text(self._settings, "token"):
            return token.label == label
        if serial := text(self._settings, "serial"):
            return token.serial == serial.encode()
        return token.slot.slot_id == number(self._settings, "slot")


def _label_octets(label: str | bytes) -> bytes:
    return label if isinstance(label, bytes) else label.encode()


def _check_tries(token: Token) -> None:
    if token.flags & TokenFlag.USER_PIN_LOCKED:
        raise Refused(PIN_LOCKED, WHY_LOCKED)
    if token.flags & _LOW:
        raise Refused(PIN_LOW, WHY_LOW)


def _mechanisms(token: Token) -> Iterator[Mapping[str, Value]]:
    """Yield the mechanisms that concern us, with what each of them is good for."""
    for mechanism in sorted(_SEEN & set(token.slot.get_mechanisms())):
        told = token.slot.get_mechanism_info(mechanism)
        yield {
            "mechanism": int(mechanism),
            "signs": bool(told.flags & MechanismFlag.SIGN),
            "generates": bool(told.flags & MechanismFlag.GENERATE_KEY_PAIR),
            "least": told.min_key_length or 0,
            "most": told.max_key_length or 0,
        }
