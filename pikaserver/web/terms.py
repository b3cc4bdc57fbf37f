"""On which terms a listener serves, and what it counts."""

from collections import Counter
from dataclasses import dataclass, field

from pikaserver.api.operations import Entropy
from pikaserver.web.forwarded import ProxyRules
from pikaserver.web.limits import Limits
from pikaserver.web.shortcuts import Shortcuts
from pikaserver.web.tls import TlsContexts


@dataclass(slots=True)
class Traffic:
    """What a listener counts."""

    accepted: int = 0
    refused: int = 0
    failed_handshakes: int = 0
    open: Counter[bool] = field(default_factory=Counter)
    """Open connections by whether they are only told to go."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a server serves; without ``contexts`` it speaks plain HTTP."""

    name: str
    limits: Limits
    rules: ProxyRules
    contexts: TlsContexts | None
    entropy: Entropy
    traffic: Traffic
    shortcuts: Shortcuts
