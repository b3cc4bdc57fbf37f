"""Targets that are MQTT brokers: CRLs as retained messages, and news of CRLs and certificates."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from pikaserver.api.certificates import (
    AuthorityRecord,
    CertificateRecord,
    CertificateStatus,
    Generation,
)
from pikaserver.api.crls import CrlRecord
from pikaserver.api.publishing import Target
from pikaserver.asn1.serials import write_serial
from pikaserver_publish.contents import certificate_content, crl_content
from pikaserver_publish.mqtt_client import MqttSession, mqtt_session
from pikaserver_publish.names import NameTemplate
from pikaserver_publish.selection import Selection
from pikaserver_publish.settings import MqttTarget

JSON = "application/json"
_WORDS = {CertificateStatus.REVOKED: "revoked", CertificateStatus.ON_HOLD: "held"}


class MqttPublisher:
    """Sends messages; whoever subscribes later gets the newest CRL at once."""

    def __init__(
        self, name: str, settings: MqttTarget, selection: Selection, status: NameTemplate | None
    ) -> None:
        self.name = name
        self._settings = settings
        self._selection = selection
        self._status = status

    @property
    def target(self) -> Target:
        """See ``pikaserver.api.publishing.TargetPublisher``."""
        settings = self._settings
        names = [name for name in (settings.crl, settings.certificate, settings.status) if name]
        return Target(
            place=f"{settings.host}:{settings.port} {' '.join(names)} ({settings.form})",
            wants=self._selection.wants,
            certificate=self._publish_certificate,
            wants_certificate=self._selection.wants_certificate,
            statuses=None if self._status is None else self._publish_statuses,
            probe=self._probe,
        )

    def publish(self, crl: CrlRecord) -> None:
        """See ``pikaserver.api.publishing.Publisher``.

        A message is one piece, so the CRL is in memory as a whole here.
        """
        if self._selection.crl is None:
            return
        topic = self._selection.crl.of_crl(crl.summary)
        content = crl_content(crl, self._settings.form)
        octets = content.octets()
        with mqtt_session(self._settings) as session:
            session.publish(topic, octets, content.content_type, retain=True)
            if self._status is not None:
                self._tell(session, crl.authority, crl_news(crl, topic, octets))

    def _publish_certificate(self, authority: AuthorityRecord, generation: Generation) -> None:
        if self._selection.certificate is None:
            return
        topic = self._selection.certificate.of_certificate(authority.name, generation.number)
        content = certificate_content(generation, topic)
        with mqtt_session(self._settings) as session:
            session.publish(topic, content.octets(), content.content_type, retain=True)

    def _publish_statuses(self, records: Sequence[CertificateRecord]) -> None:
        chosen = [one for one in records if self._selection.wants_status(one.authority)]
        if not chosen:
            return
        with mqtt_session(self._settings) as session:
            for record in chosen:
                self._tell(session, record.authority, status_news(record))

    def _tell(self, session: MqttSession, authority: str, news: Mapping[str, object]) -> None:
        if self._status is not None:
            topic = self._status.of_authority(authority)
            session.publish(topic, json.dumps(news).encode(), JSON, retain=False)

    def _probe(self) -> str:
        """Sign in; whether the topics are open to us only a message can tell."""
        with mqtt_session(self._settings):
            return f"signed in at {self._settings.host}:{self._settings.port}"


def crl_news(crl: CrlRecord, topic: str, octets: bytes) -> dict[str, object]:
    """Return what subscribers of the status topic hear of a new CRL."""
    return {
        "event": "crl",
        "authority": crl.authority,
        "generation": crl.generation,
        "scope": crl.scope,
        "number": crl.number,
        "this_update": _time(crl.this_update),
        "next_update": _time(crl.next_update),
        "topic": topic,
        "octets": len(octets),
        "sha256": hashlib.sha256(octets).hexdigest(),
    }


def status_news(record: CertificateRecord) -> dict[str, object]:
    """Return what subscribers of the status topic hear of a certificate: how it is by now."""
    news: dict[str, object] = {
        "event": _WORDS.get(record.status, "released"),
        "authority": record.authority,
        "generation": record.generation,
        "serial": write_serial(record.serial),
        "subject": record.subject,
    }
    if record.revocation is not None:
        news["revoked_at"] = _time(record.revocation.at)
        news["reason"] = record.revocation.reason.rfc_name
    return news


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
