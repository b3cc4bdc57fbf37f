"""What validation is asked, and what it answers.

::

    orders                                  validation
      |  challenge is "processing", committed    |
      |------------ begin(challenge_id) -------->|   returns at once
      |<----------- ask(challenge_id) -----------|   a Question, or None: nothing to do any more
      |                                          |   looks, in its own threads
      |<------ settle(challenge_id, Verdict) ----|   moves challenge, authorization and orders
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class VantagePoint:
    """A place from which the world is looked at.

    ``dns`` are resolvers as ``HOST:PORT``, empty for those of the system; ``source`` is the
    address of the interface that connections leave by, ``None`` for any.
    """

    name: str
    dns: tuple[str, ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a policy lets validation do.

    ``reachable`` are address ranges, as ``10.0.0.0/8``, that may be reached beyond the public
    ones; metadata addresses and the server's own ports never may.  ``reachable_directly`` are
    further ones, where the identifier itself may lead but no redirect.  Every vantage point but
    ``dissenting`` many must agree.  ``caa_identities`` are the domain names by which CAA
    records may call us; empty: CAA is not asked.  ``attestation_roots`` are certificates in
    PEM by the attestation's format, in place of those that come along.
    """

    http_port: int = 80
    https_port: int = 443
    tls_port: int = 443
    reachable: tuple[str, ...] = ()
    reachable_directly: tuple[str, ...] = ()
    vantage_points: tuple[VantagePoint, ...] = (VantagePoint("here"),)
    dissenting: int = 0
    caa_identities: tuple[str, ...] = ()
    redirects: int = 10
    timeout_seconds: int = 10
    attempts: int = 3
    retry_seconds: int = 5
    attestation_roots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question:
    """Does this account control this identifier?

    ``challenge_type`` is a word of the registry (``http-01``), ``identifier_type`` one of
    ``dns``, ``ip``, ``permanent-identifier``, ``hardware-module``; a wildcard's value stands
    without its asterisk.  ``response`` is what the client sent to begin: JSON octets, ``{}``
    for most types.  ``subdomains``: the answer counts for names below, too (RFC 9444).
    """

    challenge_id: int
    challenge_type: str
    identifier_type: str
    identifier_value: str
    wildcard: bool
    subdomains: bool
    token: str
    key_authorization: str
    account_url: str
    response: bytes
    limits: Limits


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it.

    ``error`` is ``None``, or the last word of an ACME error URN (``connection``, ``dns``,
    ``unauthorized``, ``tls``, ``caa``, ``badAttestationStatement`` ...) with a ``detail`` that
    tells the client what to do.  ``log`` are the lines of the last attempt, for both sides.
    ``facts`` is what an attestation proved, kept with the authorization.
    """

    error: str | None = None
    detail: str = ""
    log: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether the account controls the identifier."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class CaaQuestion:
    """May we issue for this name?  ``validated_by`` is a challenge type, ``None``: unknown."""

    name: str
    wildcard: bool
    validated_by: str | None
    account_url: str
    limits: Limits


class Challenges(Protocol):
    """The orders' side, which validation calls from its own threads."""

    def ask(self, challenge_id: int) -> Question | None:
        """Return the question of a challenge, or ``None`` when nobody waits for it any more."""
        ...

    def settle(self, challenge_id: int, verdict: Verdict) -> bool:
        """Take the verdict and keep its lines; ``False``: the challenge was settled already."""
        ...


class Validators(Protocol):
    """The validation's side."""

    @property
    def types(self) -> Sequence[str]:
        """The challenge types that can be validated here."""
        ...

    def begin(self, challenge_id: int) -> None:
        """Validate a challenge soon, in another thread; what is begun survives a restart.

        The challenge's state is ``processing`` in the database already.
        """
        ...

    def look_at_caa(self, asked: Sequence[CaaQuestion]) -> Verdict:
        """Look the CAA records up now, in the calling thread, within the time of the limits.

        Raises:
            Unavailable: as many callers as may are waiting for the DNS already.
        """
        ...
