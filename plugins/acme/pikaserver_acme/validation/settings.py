"""``[plugins.acme.validation]``, and what policies say of validation: checked texts."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pikaserver.api.errors import MalformedRequest
from pikaserver_acme.validation.addresses import read_networks
from pikaserver_acme.validation.attestation.anchors import Anchors
from pikaserver_acme.validation.resolver import server_address


def _hyphens(name: str) -> str:
    return name.replace("_", "-")


def _network(text: str) -> str:
    read_networks([text])
    return text


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _server(text: str) -> str:
    server_address(text)
    return text


def _roots(pem: str) -> str:
    try:
        if not Anchors([pem]).has_roots:
            raise ValueError("holds no self-signed certificate")
    except MalformedRequest as error:
        raise ValueError(str(error)) from None
    return pem


Network = Annotated[str, AfterValidator(_network)]
"""A range of addresses: ``10.0.0.0/8``."""
SourceAddress = Annotated[str, AfterValidator(_address)]
"""An address of this host's own."""
DnsServer = Annotated[str, AfterValidator(_server)]
"""A resolver: ``HOST:PORT``."""
RootCertificates = Annotated[str, AfterValidator(_roots)]
"""PEM: roots of attestations, and what may stand below them."""


class ValidationSettings(BaseModel):
    """How much is validated at a time, and where validation never goes."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_hyphens)

    workers: int = Field(default=32, ge=1, le=256)
    """So many challenges are validated at a time on this node."""
    waiting: int = Field(default=1000, ge=0, le=100_000)
    """So many more wait in memory; what is beyond waits in the database, for any node."""
    never_reach: tuple[Network, ...] = ()
    """Address ranges that no policy may open."""
