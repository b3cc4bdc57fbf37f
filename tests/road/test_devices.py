"""Devices are known from their first contact on, whatever door they came by."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from pikaserver.api.certificates import CertificateQuery, CertificateStatus, RevocationReason
from pikaserver.api.devices import DeviceQuery, DeviceState
from pikaserver.api.errors import Conflict, NotFound, RequestRejected
from pikaserver.api.issuance import EnrollmentRequest, Issued, Pending, Requester, RequestState
from pikaserver.asn1 import der
from pikaserver.authority.templates.starters import starter
from pikaserver.testing.servers import make_server
from pikaserver.testing.throw_away import throw_away_key

OPERATOR = Requester("cli:test", "operator")
RETIRED = RevocationReason.CESSATION_OF_OPERATION


def wish(make_csr, name, *, door="cli", template="device", model=None, names=()):
    csr = make_csr(name, names=names)
    return EnrollmentRequest(csr, OPERATOR, template, door, model=model)


def test_two_doors_meet_one_device(server, make_csr, clock):
    """By its common name, in any case; the make that it told stays with it."""
    first = server.enroll(wish(make_csr, "plc-1", door="est", model="curl/8"))
    clock.advance(timedelta(days=1))
    second = server.enroll(wish(make_csr, "PLC-1", door="scep"))

    device = server.devices.named("Plc-1")

    assert ("plc-1", None, "curl/8") == (device.name, device.serial_number, device.model)
    assert ("est", "scep") == device.doors
    assert clock() == device.last_contact
    assert clock() - timedelta(days=1) == device.first_contact
    held = server.certificates.find(CertificateQuery(device=device.id))
    assert [second.record.id, first.record.id] == [one.id for one in held]


def test_the_serial_number_goes_before_the_common_name(server, make_csr):
    """Names of devices change; the number on the plate does not."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "plc-2"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, "SN-4711"),
        ]
    )
    asked = wish(make_csr, "plc-2")
    server.enroll(replace(asked, csr=replace(asked.csr, subject=subject)))

    device = server.devices.named("sn-4711")

    assert ("SN-4711", "SN-4711") == (device.name, device.serial_number)
    with pytest.raises(NotFound, match="there is no device 'plc-2'"):
        server.devices.named("plc-2")


def test_a_module_of_hardware_names_itself(server, make_csr):
    """RFC 4108 section 5: what a template does not certify is read all the same, and shown."""
    module = der.sequence(der.oid("1.3.6.1.4.1.32473.7"), der.octet_string(b"0815"))
    name = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4"), module)
    asked = wish(make_csr, "plc-3")
    csr = replace(asked.csr, names=(name,))

    from pikaserver.authority.contacts import contact_of  # noqa: PLC0415 - used here alone

    template = server.templates.get("device")
    contact = contact_of(replace(asked, csr=csr), template, csr.subject, ())

    assert ("plc-3", "0815", "1.3.6.1.4.1.32473.7") == (
        contact.name,
        contact.serial_number,
        contact.model,
    )


def test_what_is_no_device_has_no_record(server, make_csr):
    """Servers, authorities and the server's own services."""
    server.enroll(
        wish(make_csr, "www.example.test", template="web", names=[x509.DNSName("www.example.test")])
    )

    with pytest.raises(NotFound):
        server.devices.named("www.example.test")


def test_who_waits_for_approval_is_known_already(server, make_csr):
    """The first contact is the request, not the certificate."""
    document = starter("device").replace("approval = false", "approval = true")
    server.templates.save("patient", document, "test")
    pending = server.enroll(wish(make_csr, "plc-4", template="patient", door="est"))

    device = server.devices.named("plc-4")

    assert isinstance(pending, Pending)
    assert (("est",), DeviceState.ACTIVE) == (device.doors, device.state)
    server.requests.decide(pending.request_id, "test", approve=True)
    issued = server.enrollment.issue_approved(pending.request_id)
    held = server.certificates.find(CertificateQuery(device=device.id))
    assert [issued.record.id] == [one.id for one in held]


def test_a_refused_request_leaves_no_record(server, make_csr):
    """Nobody fills the list by asking in vain."""
    with pytest.raises(RequestRejected):
        server.enroll(wish(make_csr, "plc-5", names=[x509.RFC822Name("a@example.test")]))

    with pytest.raises(NotFound):
        server.devices.named("plc-5")


def test_a_retired_device_loses_all_and_gets_nothing_more(server, make_csr):
    """At every door, until it is taken back; nothing is signed and no serial is used up."""
    issued = [server.enroll(wish(make_csr, "plc-6")) for _ in range(2)]
    document = starter("device").replace("approval = false", "approval = true")
    server.templates.save("patient", document, "test")
    waiting = server.enroll(wish(make_csr, "plc-6", template="patient"))
    device = server.devices.named("plc-6")

    revoked = server.devices.retire(device, "test", RETIRED)

    assert {one.record.id for one in issued} == {one.id for one in revoked}
    assert {CertificateStatus.REVOKED} == {one.status for one in revoked}
    assert RequestState.DECLINED is server.requests.get(waiting.request_id).state
    before = server.certificates.find(CertificateQuery(limit=1))[0].id
    for template in ("device", "patient"):
        with pytest.raises(RequestRejected, match="the device 'PLC-6' is retired"):
            server.enroll(wish(make_csr, "PLC-6", template=template))
    assert before == server.certificates.find(CertificateQuery(limit=1))[0].id
    with pytest.raises(Conflict, match="is retired already"):
        server.devices.retire(device, "test", RETIRED)
    server.devices.take_back(device, "test")
    assert isinstance(server.enroll(wish(make_csr, "plc-6")), Issued)


def test_the_audit_trail_knows_who_retired_it(server, make_csr):
    """With the number of certificates that went."""
    server.enroll(wish(make_csr, "plc-7"))

    server.devices.retire(server.devices.named("plc-7"), "cli:ann", RETIRED)

    with server.database.reading() as connection:
        lines = connection.exec_driver_sql(
            "SELECT actor, fields FROM audit_record WHERE event = 'device.retired'"
        ).all()
    assert any(actor == "cli:ann" and '"plc-7"' in fields for actor, fields in lines)


def test_devices_are_found_by_what_is_known_of_them(server, make_csr, clock):
    """Name, make, door, state, silence; a page at a time."""
    for number in range(3):
        server.enroll(wish(make_csr, f"find-{number}", door="est", model="Acme X1"))
    clock.advance(timedelta(days=40))
    issued = server.enroll(wish(make_csr, "find-2", door="scep"))

    def found(**asked):
        return [one.name for one in server.devices.find(DeviceQuery(**asked))]

    assert ["find-2", "find-1", "find-0"] == found(text="FIND-")
    assert ["find-2", "find-1", "find-0"] == found(text="acme x")
    assert ["find-2"] == found(text="find-", door="scep")
    month = clock() - timedelta(days=30)
    assert ["find-1", "find-0"] == found(text="find-", silent_since=month)
    page = server.devices.find(DeviceQuery(text="find-", limit=1))
    assert ["find-1"] == found(text="find-", after=page[0].id, limit=1)
    assert [] == found(text="find-", state=DeviceState.RETIRED)
    assert [] == found(text="%")
    clock.advance(timedelta(days=1))
    server.devices.met(issued.record, "renewal")
    assert clock() == server.devices.named("find-2").last_contact
    server.devices.met(issued.record, "est")
    server.devices.met(issued.record, "renewal")
    server.devices.met(issued.record, "scep")
    assert ("est", "renewal", "scep") == server.devices.named("find-2").doors
    assert ["find-2"] == found(text="find-", door="renewal")


def test_services_of_the_server_are_no_devices(tmp_path):
    """Even where a template of old keeps records."""
    with make_server(tmp_path / "data") as made:
        document = starter("ocsp").replace("record = false", "record = true")
        made.templates.save("ocsp", document, "test")
        from pikaserver.api.services import ServiceUse  # noqa: PLC0415 - used here alone

        made.services.get(ServiceUse("ocsp", "OCSP", "issuing"))

        assert not made.devices.find(DeviceQuery())


def test_a_renewal_stays_with_its_device(server, make_csr):
    """Subject and names are the same."""
    key = throw_away_key(server.entropy)
    csr = make_csr("plc-8", names=[], key=key)
    first = server.enroll(EnrollmentRequest(csr, OPERATOR, "device", "cli"))
    holder = Requester("c", "certificate", certificate=first.record)
    asked = EnrollmentRequest(csr, holder, "device", "est", renews=first.record)

    second = server.enroll(asked)

    device = server.devices.named("plc-8")
    held = server.certificates.find(CertificateQuery(device=device.id))
    assert {first.record.id, second.record.id} == {one.id for one in held}
