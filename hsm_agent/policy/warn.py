"""What a policy allows and an operator probably does not want, in sentences."""

from collections.abc import Iterator

from hsm_agent.policy.name_forms import ANY
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.vocabulary import PURPOSES
from hsm_agent.structures.kinds import CA_CERT, CERT, CRL, RAW, SELF_SIGNED

_WHOLE = 0


def warnings_of(rules: KeyRules) -> Iterator[str]:
    """Yield one sentence for each permission of these rules that is wide open."""
    if RAW in rules.kinds:
        yield f"{rules.name}: signs whatever it is given (raw), digests included"
    if CERT in rules.kinds:
        yield from _leaves(rules)
    for kind, what in (
        (CA_CERT, "CA certificates"),
        (SELF_SIGNED, "further self-signed certificates"),
    ):
        if kind in rules.kinds and rules.approval(kind) is None:
            yield f"{rules.name}: {what} need no approval"
    if CRL in rules.kinds and not rules.crl.never_drop:
        yield f"{rules.name}: a revoked certificate can be taken off the CRL (never-drop)"


def _leaves(rules: KeyRules) -> Iterator[str]:
    names, contents = rules.cert.names, rules.cert.contents
    open_kinds = [
        name
        for name, is_open in (
            ("dns", names.dns.everything),
            ("email", names.email.everything),
            ("ip", any(network.prefixlen == _WHOLE for network in names.ip)),
            ("uri", names.uri.everything),
            ("upn", names.upn.everything),
            ("dirname", any(pattern.text == ANY for pattern in names.dirname)),
            ("other-names", ANY in names.other_names),
        )
        if is_open
    ]
    if open_kinds:
        told = ", ".join(open_kinds)
        yield f"{rules.name}: nothing restricts these names in certificates: {told}"
    if ANY in contents.extended_key_usage or (
        PURPOSES["anyExtendedKeyUsage"] in contents.extended_key_usage
    ):
        yield f"{rules.name}: certificates may serve any purpose (extended-key-usage)"
    if ANY in contents.extensions:
        yield f"{rules.name}: certificates may carry unknown extensions"
    limits = (*_numbers(rules.rates), *_numbers(rules.cert.gate.rates))
    if not any(limits):
        yield f"{rules.name}: nothing limits how many certificates are signed (per-hour, per-day)"


def _numbers(rates: object) -> tuple[int | None, ...]:
    return tuple(getattr(rates, name) for name in ("per_minute", "per_hour", "per_day"))
