"""CRLs over MQTT: the retained message of a topic, and each newer one as it comes."""

import logging
import ssl
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pikaserver.api.errors import ConfigurationError
from pikaserver.cli.follow.fetching import Access

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEP_ALIVE_SECONDS = 30
_AT_LEAST_ONCE = 1

_log = logging.getLogger(__name__)


class Subscription:
    """One topic of one broker; ``take`` gets each message, in a thread of its own."""

    def __init__(self, url: str, access: Access, take: Callable[[bytes], None]) -> None:
        parts = urlsplit(url)
        self._url = url
        self._take = take
        self._topic = unquote(parts.path.removeprefix("/"))
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.connect_timeout = access.timeout_seconds
        if parts.scheme == "mqtts":
            context = access.context()
            self._client.tls_set_context(context)
            self._client.on_pre_connect = lambda *_: self._renew(access, context)
        if access.user is not None:
            self._client.username_pw_set(access.user, access.password())
        self._client.reconnect_delay_set(1, 60)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    def start(self) -> None:
        """Connect, now or as soon as the broker is there; return at once."""
        self._client.connect_async(self._host, self._port, _KEEP_ALIVE_SECONDS)
        self._client.loop_start()

    def stop(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()

    def _renew(self, access: Access, context: ssl.SSLContext) -> None:
        """Take our certificate from its file again before each connection."""
        try:
            access.show_certificate(context)
        except ConfigurationError as error:
            _log.warning("certificate not renewed", extra={"error": str(error)})

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            _log.warning("broker refuses us", extra={"url": self._url, "error": str(reason)})
            return
        client.subscribe(self._topic, _AT_LEAST_ONCE)
        _log.info("subscribed", extra={"url": self._url})

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            _log.warning("connection lost", extra={"url": self._url, "error": str(reason)})

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._take(bytes(message.payload))
