"""Which CRLs and certificates a target gets, by its settings and the names that it gives them."""

from dataclasses import dataclass

from pikaserver.api.certificates import Authorities, AuthorityRecord, Generation
from pikaserver.api.crls import DELTA_CRL, FULL_CRL, CrlSummary
from pikaserver.api.errors import ConfigurationError
from pikaserver_publish.names import CERTIFICATE_PLACEHOLDERS, CRL_PLACEHOLDERS, NameTemplate
from pikaserver_publish.settings import TargetSettings

SHARDS = "shards"


@dataclass(frozen=True, slots=True)
class Selection:
    """What goes to a target, and under which name.

    A name without ``{generation}`` is that of the current key; without ``{scope}`` or
    ``{part}`` it is that of the full CRL, for each of them would overwrite the others.
    """

    authorities: tuple[str, ...]
    scopes: tuple[str, ...]
    crl: NameTemplate | None
    certificate: NameTemplate | None
    facts: Authorities

    def wants(self, crl: CrlSummary) -> bool:
        """Tell whether a CRL goes to the target."""
        if self.crl is None or not self._of_ours(crl.authority):
            return False
        kind = crl.scope if crl.scope in (FULL_CRL, DELTA_CRL) else SHARDS
        return kind in self.scopes and (
            "generation" in self.crl.placeholders or self._is_current(crl)
        )

    def wants_certificate(self, authority: AuthorityRecord, generation: Generation) -> bool:
        """Tell whether an authority's certificate goes to the target."""
        return (
            self.certificate is not None
            and self._of_ours(authority.name)
            and (generation.current or "generation" in self.certificate.placeholders)
        )

    def wants_status(self, authority: str) -> bool:
        """Tell whether news of an authority's certificates go to the target."""
        return self._of_ours(authority)

    def _of_ours(self, authority: str) -> bool:
        return not self.authorities or authority in self.authorities

    def _is_current(self, crl: CrlSummary) -> bool:
        generations = self.facts.get(crl.authority).generations
        return any(one.current and one.number == crl.generation for one in generations)


def read_selection(
    settings: TargetSettings, facts: Authorities, together: tuple[str, ...] = ()
) -> Selection:
    """Check what a target's settings choose.

    Args:
        settings: the settings.
        facts: the authorities.
        together: scopes that do not overwrite the full CRL where all have one name.

    Raises:
        ConfigurationError: a template is wrong, or two things would overwrite each other.
    """
    crl = _template(settings.crl, CRL_PLACEHOLDERS, settings)
    certificate = _template(settings.certificate, CERTIFICATE_PLACEHOLDERS, settings)
    scopes = _scopes(settings, crl, (FULL_CRL, *together))
    return Selection(settings.authorities, scopes, crl, certificate, facts)


def _template(
    text: str | None, known: tuple[str, ...], settings: TargetSettings
) -> NameTemplate | None:
    if text is None:
        return None
    template = NameTemplate.read(text, known)
    if "authority" not in template.placeholders and len(settings.authorities) != 1:
        raise ConfigurationError(f"{text!r} has no {{authority}}, so authorities should name one")
    return template


def _scopes(
    settings: TargetSettings, crl: NameTemplate | None, together: tuple[str, ...]
) -> tuple[str, ...]:
    if crl is None or crl.placeholders & {"scope", "part"}:
        return settings.scopes or (FULL_CRL, DELTA_CRL, SHARDS)
    if settings.scopes is None:
        return together
    alone = len(settings.scopes) == 1 and SHARDS not in settings.scopes
    if not alone and not set(settings.scopes) <= set(together):
        raise ConfigurationError(f"{crl.text!r} has no {{part}}: CRLs would overwrite each other")
    return settings.scopes
