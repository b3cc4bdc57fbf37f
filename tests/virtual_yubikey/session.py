"""What the PIV applet remembers until the next SELECT or power loss."""

from dataclasses import dataclass

from tests.virtual_yubikey.apdu import Refused, Status


@dataclass
class Session:
    """Who has shown what."""

    pin: bool = False
    pin_just_now: bool = False
    management: bool = False
    challenge: bytes = b""
    witness: bytes = b""

    def clear(self) -> None:
        """Forget everything."""
        self.pin = self.pin_just_now = self.management = False
        self.challenge = self.witness = b""

    def want_management(self) -> None:
        """Go on only for who has the management key.

        Raises:
            Refused: 6982.
        """
        if not self.management:
            raise Refused(Status.SECURITY_STATUS)

    def want_pin(self) -> None:
        """Go on only for who has the PIN.

        Raises:
            Refused: 6982.
        """
        if not self.pin:
            raise Refused(Status.SECURITY_STATUS)
