"""Publishers of CRLs, CA certificates and news: hooks."""

import importlib

from pydantic import BaseModel

from pikaserver.api.crls import DELTA_CRL
from pikaserver.api.errors import ConfigurationError
from pikaserver.api.hooks import hookimpl
from pikaserver.api.publishing import Publisher
from pikaserver.api.server import Server
from pikaserver_publish.files import FilePublisher
from pikaserver_publish.http_put import HttpPublisher
from pikaserver_publish.ldap import LdapPublisher
from pikaserver_publish.names import STATUS_PLACEHOLDERS, NameTemplate
from pikaserver_publish.s3 import S3Publisher
from pikaserver_publish.selection import Selection, read_selection
from pikaserver_publish.settings import (
    FileTarget,
    HttpTarget,
    Kind,
    LdapTarget,
    MqttTarget,
    PublishSettings,
    S3Target,
)


@hookimpl
def register_settings() -> type[BaseModel]:
    """See ``pikaserver.hookspecs``."""
    return PublishSettings


@hookimpl
def register_publishers(server: Server) -> list[Publisher]:
    """Offer a publisher for each target of the settings."""
    targets = server.settings(PublishSettings).targets
    return [_publisher(name, settings, server) for name, settings in targets.items()]


def _publisher(name: str, settings: Kind, server: Server) -> Publisher:
    try:
        return _made(name, settings, server)
    except ConfigurationError as error:
        raise ConfigurationError(f"plugins.publish.targets.{name}: {error}") from error


def _made(name: str, settings: Kind, server: Server) -> Publisher:
    # In a directory a delta has an attribute of its own, beside the full CRL.
    together = (DELTA_CRL,) if isinstance(settings, LdapTarget) else ()
    selection = read_selection(settings, server.authorities, together)
    match settings:
        case FileTarget():
            return FilePublisher(name, settings, selection)
        case HttpTarget():
            return HttpPublisher(name, settings, selection)
        case S3Target():
            return S3Publisher(name, settings, selection, server.clock)
        case LdapTarget():
            return LdapPublisher(name, settings, selection)
        case MqttTarget():
            return _mqtt_publisher(name, settings, selection)


def _mqtt_publisher(name: str, settings: MqttTarget, selection: Selection) -> Publisher:
    try:
        # The library is there only where somebody has a broker.
        mqtt = importlib.import_module("pikaserver_publish.mqtt")
    except ModuleNotFoundError as error:
        raise ConfigurationError("MQTT needs paho-mqtt: install pikaserver[mqtt]") from error
    status = settings.status and NameTemplate.read(settings.status, STATUS_PLACEHOLDERS)
    publisher: Publisher = mqtt.MqttPublisher(name, settings, selection, status or None)
    return publisher
