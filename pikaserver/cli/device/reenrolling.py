"""What ``pikaserver device reenroll`` does: an order to renew, and a code."""

from collections.abc import Sequence
from datetime import timedelta

from cryptography.x509.oid import NameOID

from pikaserver.api.certificates import CertificateRecord, CertificateStatus
from pikaserver.api.errors import RequestRejected
from pikaserver.asn1.certificate import read_certificate
from pikaserver.cli.device.records import certificates_of, device_row, one_device
from pikaserver.cli.output import Record
from pikaserver.server import PkiServer

_WHY = "the operator wants the device to enrol again"


def reenrolled(
    server: PkiServer,
    name: str,
    actor: str,
    template: str | None,
    within: timedelta,
    lifetime: timedelta,
) -> Record:
    """Take a device back, order its certificates to be renewed, and make a code for it.

    Raises:
        NotFound: no such device or template.
        RequestRejected: it holds nothing, and no template was named.
    """
    device = one_device(server, name)
    held = certificates_of(server, device)
    template = template or next((one.template for one in held if one.template), None)
    if template is None:
        raise RequestRejected(f"{device.name} never had a certificate: name --template")
    proofs = server.templates.get(template).proofs
    server.devices.take_back(device, actor)
    valid = [one for one in held if one.status is CertificateStatus.VALID]
    for record in valid:
        server.renewals.order(record, within, _WHY, actor)
    row = {**device_row(server.devices.get(device.id)), "to_be_renewed": len(valid)}
    if "code" not in proofs:
        return {**row, "template": template, "user": None, "code": None}
    bound = _common_name(held) or device.name
    new = server.codes.create(template, actor, lifetime=lifetime, common_name=bound)
    return {**row, "template": template, "user": new.user, "code": new.code, "common_name": bound}


def _common_name(held: Sequence[CertificateRecord]) -> str | None:
    for record in held:
        if record.certificate is not None:
            subject = read_certificate(record.certificate).subject
            found = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            return str(found[0].value) if found else None
    return None
