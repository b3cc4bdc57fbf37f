"""Name constraints (RFC 5280 section 4.2.1.10) that a CA certificate below has to carry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from cryptography import x509

from hsm_agent.policy.faults import Refusal, WrongValue
from hsm_agent.policy.name_forms import below, host

_FORMS: Mapping[str, type[x509.GeneralName]] = {
    "dns": x509.DNSName,
    "email": x509.RFC822Name,
    "ip": x509.IPAddress,
    "uri": x509.UniformResourceIdentifier,
}


@dataclass(frozen=True, slots=True)
class Subtree:
    """Names of one form, ``dns``, ``email``, ``ip`` or ``uri``, within a host or a network."""

    form: str
    base: str | IPv4Network | IPv6Network

    def covers(self, permitted: object) -> bool:
        """Tell whether what a certificate permits lies within; a leading dot means below."""
        if isinstance(self.base, IPv4Network):
            return isinstance(permitted, IPv4Network) and permitted.subnet_of(self.base)
        if isinstance(self.base, IPv6Network):
            return isinstance(permitted, IPv6Network) and permitted.subnet_of(self.base)
        name = host(str(permitted).rpartition("@")[2].removeprefix("."))
        return name is not None and below(name, self.base)


def read_subtree(word: str) -> Subtree:
    """Read ``dns:example.com``, ``email:example.com``, ``ip:10.0.0.0/8`` or ``uri:example.com``.

    Raises:
        WrongValue: it is none of them.
    """
    form, _, base = word.partition(":")
    try:
        if form == "ip":
            return Subtree(form, ip_network(base))
    except ValueError as error:
        raise WrongValue(f"has {word!r}, which is no network: {error}") from None
    name = host(base)
    if form not in _FORMS or name is None:
        raise WrongValue(f"has {word!r}; write 'dns:example.com', or email:, ip: or uri:")
    return Subtree(form, name)


def check_name_constraints(
    wanted: Sequence[Subtree], found: x509.Extension[x509.ExtensionType] | None
) -> None:
    """Return when a certificate permits no more, in each form, than the policy wants it to.

    Raises:
        Refusal: it has no critical constraints, leaves a form open, or permits more.
    """
    if not wanted:
        return
    if found is None or not isinstance(found.value, x509.NameConstraints) or not found.critical:
        raise Refusal("the CA certificate has no critical name constraints")
    for form in {subtree.form for subtree in wanted}:
        permitted = [
            name.value
            for name in found.value.permitted_subtrees or ()
            if isinstance(name, _FORMS[form])
        ]
        if not permitted:
            raise Refusal(f"the name constraints leave {form} names open")
        bases = [subtree for subtree in wanted if subtree.form == form]
        for name in permitted:
            if not any(base.covers(name) for base in bases):
                raise Refusal(f"the name constraints permit {form}:{name}")
