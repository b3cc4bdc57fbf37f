"""The two small applets by which ykman recognises a YubiKey: management and OTP."""

from tests.virtual_yubikey.apdu import Command, Refused, Status
from tests.virtual_yubikey.applet import Applet
from tests.virtual_yubikey.attestation import Device
from tests.virtual_yubikey.tlv import tlv

MANAGEMENT_AID = bytes.fromhex("a000000527471117")
OTP_AID = bytes.fromhex("a000000527200101")
READ_CONFIG = 0x1D
ONLY_PIV = b"\x00\x10"


def management_applet(device: Device) -> Applet:
    """Tell what the device is and which applications it has: PIV alone."""

    def read_config(command: Command) -> bytes:
        if command.p1:
            raise Refused(Status.WRONG_P1P2)
        told = (
            tlv(0x01, ONLY_PIV)
            + tlv(0x02, device.serial.to_bytes(4, "big"))
            + tlv(0x03, ONLY_PIV)
            + tlv(0x04, bytes([device.form_factor | (0x80 if device.fips else 0)]))
            + tlv(0x05, bytes(device.version))
            + tlv(0x08, b"\0")
            + tlv(0x0A, b"\0")
        )
        return bytes([len(told)]) + told

    instructions = {READ_CONFIG: read_config} if device.version >= (4, 1, 0) else {}
    version = ".".join(map(str, device.version))
    return Applet(MANAGEMENT_AID, f"Virtual mgr - FW version {version}".encode(), instructions)


def otp_applet(device: Device) -> Applet:
    """Answer SELECT with version and an empty status; there is no OTP."""
    return Applet(OTP_AID, bytes(device.version) + bytes(3), {})
