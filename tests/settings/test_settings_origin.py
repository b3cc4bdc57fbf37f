"""Every effective value with its place, and no secret in any of them."""

from pydantic import BaseModel, SecretStr

from pikaserver.secrecy import MASK
from pikaserver.settings.checking import check
from pikaserver.settings.loading import check_host
from pikaserver.settings.origin import effective_values
from pikaserver.settings.sources import DEFAULT, Kind, Layer, Origin, merge

FILE = Origin(Kind.FILE, "pikaserver.toml")
CANARY = "canary-0d5a"


class Section(BaseModel):
    """A plugin's settings with secrets declared, undeclared and absent."""

    declared: SecretStr = SecretStr("")
    smtp_password: str = ""
    api_token: str | None = None
    token_lifetime: int = 5
    servers: list[str] = []
    labels: frozenset[str] = frozenset()


def by_key(values):
    return {".".join(value.key): value for value in values}


def test_written_values_and_defaults_are_listed_with_their_place():
    """Each section, each listener; what a listener leaves to the host is listed there."""
    table = {
        "listeners": {
            "public": {"bind": "x:1", "serve": ["crl"], "limits": {"head-seconds": 3}},
        },
        "server": {"base-urls": {"crl": "http://pki.example"}},
    }
    sources = merge([Layer(table, FILE)])

    values = by_key(effective_values(check_host(sources), sources))

    assert (["crl"], FILE) == (
        values["listeners.public.serve"].value,
        values["listeners.public.serve"].origin,
    )
    assert ("http://pki.example", FILE) == (
        values["server.base-urls.crl"].value,
        values["server.base-urls.crl"].origin,
    )
    assert (3, FILE) == (
        values["listeners.public.limits.head-seconds"].value,
        values["listeners.public.limits.head-seconds"].origin,
    )
    assert (10, DEFAULT) == (
        values["limits.head-seconds"].value,
        values["limits.head-seconds"].origin,
    )
    assert "listeners.public.limits.workers" not in values


def test_no_secret_is_shown():
    """Declared secrets, fields that sound like one, passwords within URLs."""
    table = {
        "declared": CANARY,
        "smtp-password": CANARY,
        "servers": [f"amqp://user:{CANARY}@broker.example/x"],
        "labels": ["b", "a"],
    }
    sources = merge([Layer(table, FILE)])

    values = effective_values(check(sources, Section), sources)

    assert CANARY not in repr(values)
    shown = by_key(values)
    assert MASK == shown["declared"].value
    assert MASK == shown["smtp-password"].value
    assert shown["api-token"].value is None
    assert 5 == shown["token-lifetime"].value
    assert ["a", "b"] == shown["labels"].value
    assert [f"amqp://user:{MASK}@broker.example/x"] == shown["servers"].value


def test_the_databases_password_is_masked():
    """The URL stays readable without it, in listings and in reprs."""
    url = f"postgresql+psycopg://pki:{CANARY}@db.example/pki?password={CANARY}"
    sources = merge([Layer({"database": {"url": url}}, FILE)])
    host = check_host(sources)

    values = by_key(effective_values(host, sources))

    assert url == host.database.url
    assert CANARY not in repr(host)
    assert (
        f"postgresql+psycopg://pki:{MASK}@db.example/pki?password={MASK}"
        == values["database.url"].value
    )
