"""How a key is replaced by a post-quantum one: one sentence for whoever has to do it."""

from pikaserver.api.templates import Template
from pikaserver.asn1.algorithms import KEY_TYPES
from pikaserver.asn1.composite import COMPOSITES
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES

_BY_THEMSELVES = ("est", "acme", "scep", "api")


def authority_renewal(name: str, *, current: bool, root: bool) -> str:
    """Return what an operator types for an authority."""
    if not current:
        return "nothing to do: it signs no certificates any more, and goes with the last of them"
    told = f"'pikaserver ca rekey {name} --key-type ml-dsa-65'"
    return f"{told}; then distribute the new root" if root else told


def holder_renewal(template: Template | None, *, service: bool, authority: str) -> str:
    """Return how the holder of a certificate comes to a new one."""
    if service:
        return (
            f"'pikaserver ca set {authority}' with another key type for the service; else it"
            " follows its authority's"
        )
    if template is None:
        return "its template is gone: issue it anew"
    doors = [door for door in _BY_THEMSELVES if door in template.doors]
    if template.renewal.allowed and doors:
        how = f"its holder renews it by {', '.join(doors)}"
    else:
        how = "somebody issues it anew"
    if not any(_resists(kind) for kind in template.key_types):
        how += f"; first let template {template.name!r} take ml-dsa keys: key.types"
    return how


def _resists(key_type: str) -> bool:
    known = KEY_TYPES.get(key_type) or KEM_KEY_TYPES.get(key_type) or COMPOSITES.get(key_type)
    return known is not None and known.category > 0
