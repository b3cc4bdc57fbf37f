"""Options for the names that somebody wants in a certificate."""

from dataclasses import dataclass

import click

from pikaserver.cli.options import Decorator, bundle


@dataclass(frozen=True, slots=True)
class WishedNames:
    """A subject and alternative names, as they were typed."""

    subject: str | None
    dns: tuple[str, ...]
    ip: tuple[str, ...]
    email: tuple[str, ...]
    uri: tuple[str, ...]
    upn: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not (self.subject or self.by_kind)

    @property
    def by_kind(self) -> tuple[tuple[str, str], ...]:
        """The alternative names with their kinds, in the order of the options."""
        kinds = (
            ("dns", self.dns),
            ("ip", self.ip),
            ("email", self.email),
            ("uri", self.uri),
            ("upn", self.upn),
        )
        return tuple((kind, text) for kind, texts in kinds for text in texts)


def _names(kind: str, example: str, what: str) -> Decorator[None]:
    return click.option(f"--{kind}", multiple=True, metavar=example, help=f"{what}  Repeatable.")


name_options = bundle(
    "names",
    WishedNames,
    click.option("--subject", metavar="NAME", help="The subject, like 'CN=Example,O=Acme,C=CH'."),
    _names("dns", "www.example.com", "A DNS name."),
    _names("ip", "192.0.2.1", "An IP address."),
    _names("email", "anna@example.com", "An e-mail address."),
    _names("uri", "urn:example:1", "A URI."),
    _names("upn", "anna@example.com", "A user principal name, as Windows uses it."),
)
