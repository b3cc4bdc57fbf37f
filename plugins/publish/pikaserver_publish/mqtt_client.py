"""One connection to an MQTT broker: messages sent, each of them acknowledged by the broker."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pikaserver.api.errors import RequestRejected, Unavailable
from pikaserver.api.outgoing import read_secret, tls_context
from pikaserver_publish.settings import MqttTarget

LARGEST_MESSAGE = 256 * 1024 * 1024 - 64 * 1024
"""What fits into a packet (MQTT 5 section 1.5.5), with a topic and properties beside it."""
_KEEP_ALIVE_SECONDS = 30
_AT_LEAST_ONCE = 1


class MqttSession:
    """A connection that is signed in."""

    def __init__(self, client: Client, settings: MqttTarget) -> None:
        self._client = client
        self._settings = settings
        self._changed = threading.Condition()
        self._connected: ReasonCode | None = None
        self._ended: str | None = None
        self._largest = LARGEST_MESSAGE
        self._acknowledged: dict[int, ReasonCode] = {}
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect

    def wait_until_connected(self) -> None:
        """Return when the broker took us.

        Raises:
            Unavailable: it did not, or not in time.
        """
        with self._changed:
            self._wait(lambda: self._connected is not None)
            if self._connected is not None and self._connected.is_failure:
                raise Unavailable(f"the broker refuses us: {self._connected}")

    def publish(self, topic: str, message: bytes, content_type: str, *, retain: bool) -> None:
        """Send a message; return when the broker has it.

        Raises:
            Unavailable: the line broke, or nothing came back in time.
            RequestRejected: the broker does not take this message.
        """
        if len(message) > self._largest:
            raise RequestRejected(f"the broker takes no message of {len(message)} octets")
        properties = None
        if self._settings.protocol == "5":
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho
            properties.ContentType = content_type
        sent = self._client.publish(topic, message, _AT_LEAST_ONCE, retain, properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise Unavailable(f"nothing could be sent to the broker: {sent.rc.name}")
        with self._changed:
            self._wait(lambda: sent.mid in self._acknowledged)
            answer = self._acknowledged.pop(sent.mid)
        if answer.is_failure:
            raise RequestRejected(f"the broker does not take {topic}: {answer}")

    def _wait(self, done: Callable[[], bool]) -> None:
        """Wait for something, or for the end of the connection."""
        patience = self._settings.timeout_seconds
        if not self._changed.wait_for(lambda: done() or self._ended is not None, patience):
            raise Unavailable("the broker does not answer")
        if not done():
            raise Unavailable(f"the broker ended the connection: {self._ended}")

    def _on_connect(
        self,
        _client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        largest = getattr(properties, "MaximumPacketSize", None)
        with self._changed:
            self._connected = reason
            if largest is not None:
                self._largest = min(LARGEST_MESSAGE, largest - 64 * 1024)
            self._changed.notify_all()

    def _on_publish(
        self,
        _client: Client,
        _userdata: object,
        mid: int,
        reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        with self._changed:
            self._acknowledged[mid] = reason
            self._changed.notify_all()

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._changed:
            self._ended = str(reason)
            self._changed.notify_all()


@contextmanager
def mqtt_session(settings: MqttTarget) -> Iterator[MqttSession]:
    """Give a session with the broker, and say goodbye at the end.

    Raises:
        Unavailable: nobody answers there, or not in MQTT, or the broker refuses us.
    """
    v5 = settings.protocol == "5"
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=settings.client_id or "",
        clean_session=None if v5 else True,
        protocol=MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    client.connect_timeout = settings.timeout_seconds
    lines: list[ssl.SSLSocket] = []
    if settings.tls:
        client.tls_set_context(_remembering(tls_context(settings.trust), lines))
    if settings.user is not None:
        password = settings.password_file and read_secret(settings.password_file)
        client.username_pw_set(settings.user, password)
    session = MqttSession(client, settings)
    try:
        client.connect(settings.host, settings.port, _KEEP_ALIVE_SECONDS)
    except OSError as error:
        for line in lines:
            line.close()
        place = f"{settings.host}:{settings.port}"
        raise Unavailable(f"{place} cannot be reached: {error}") from error
    client.loop_start()
    try:
        session.wait_until_connected()
        yield session
        client.disconnect()
    finally:
        client.loop_stop()


def _remembering(context: ssl.SSLContext, lines: list[ssl.SSLSocket]) -> ssl.SSLContext:
    """Let a context note the lines that it makes: paho forgets those whose handshake fails."""
    wrap = context.wrap_socket

    def wrapped(
        line: socket.socket, *, server_hostname: str, do_handshake_on_connect: bool
    ) -> ssl.SSLSocket:
        made = wrap(
            line,
            do_handshake_on_connect=do_handshake_on_connect,
            server_hostname=server_hostname,
        )
        lines.append(made)
        return made

    # As paho calls it, and for this context alone.
    context.wrap_socket = wrapped  # type: ignore[method-assign,assignment]  # see above
    return context
