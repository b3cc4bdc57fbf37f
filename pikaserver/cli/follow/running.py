"""From options to a follower that runs in this process until it is stopped."""

import importlib
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509

from pikaserver.api.errors import ConfigurationError
from pikaserver.asn1.certificate import read_certificate
from pikaserver.asn1.chains import read_certificates
from pikaserver.cli import exit_codes
from pikaserver.cli.files import read_file
from pikaserver.cli.follow.choices import AccessOptions, Destination
from pikaserver.cli.follow.fetching import Access
from pikaserver.cli.follow.following import Follower, Reader, Waiting, is_polled
from pikaserver.cli.follow.places import Place
from pikaserver.cli.stopping import stopped_by_signals
from pikaserver.clock import system_clock, system_entropy
from pikaserver.logs import configure


def follow_all(
    files: Mapping[Path, Sequence[str]],
    destination: Destination,
    options: AccessOptions,
    times: tuple[timedelta, timedelta],
    *,
    once: bool,
) -> int:
    """Follow until a signal, or look once; return the exit code.

    Raises:
        ConfigurationError: a file of the options cannot be used.
    """
    configure("text", "info", sys.stderr)
    every, timeout = times
    issuers = _issuers(options.issuer)
    access = Access(
        ca_file=options.ca_file,
        client_certificate=options.client_certificate,
        client_key=options.client_key,
        user=options.user,
        password_file=options.password_file,
        timeout_seconds=timeout.total_seconds(),
    )
    access.context()
    follower = Follower(
        places=[
            Place(path, urls, destination.pem or len(urls) > 1, issuers)
            for path, urls in files.items()
        ],
        reader=_reader(destination),
        access=access,
        every=every,
        clock=system_clock,
        entropy=system_entropy,
        subscribe=_subscriber(files),
    )
    if once:
        follower.once()
        return _outcome(follower)
    with stopped_by_signals(follower.stop):
        follower.run()
    return exit_codes.DONE


def _outcome(follower: Follower) -> int:
    """Say whether whoever reads the files can work with them."""
    if follower.refused:
        return exit_codes.REFUSED
    ends = [place.holds_until for place in follower.places]
    if all(end is not None and end >= follower.clock() for end in ends):
        return exit_codes.DONE
    return exit_codes.UNAVAILABLE if follower.unreachable else exit_codes.UNHEALTHY


def _issuers(files: Sequence[Path]) -> list[x509.Certificate]:
    return [read_certificate(der) for file in files for der in read_certificates(read_file(file))]


def _reader(destination: Destination) -> Reader:
    number = None if destination.signal is None else signal.Signals[f"SIG{destination.signal}"]
    return Reader(number, destination.pid_file, destination.touch)


def _subscriber(
    files: Mapping[Path, Sequence[str]],
) -> Callable[[str, Access, Callable[[bytes], None]], Waiting] | None:
    if all(is_polled(url) for urls in files.values() for url in urls):
        return None
    try:
        subscribing = importlib.import_module("pikaserver.cli.follow.subscribing")
    except ModuleNotFoundError as error:
        raise ConfigurationError("MQTT needs paho-mqtt: install pikaserver[mqtt]") from error
    subscription: Callable[[str, Access, Callable[[bytes], None]], Waiting]
    subscription = subscribing.Subscription
    return subscription
