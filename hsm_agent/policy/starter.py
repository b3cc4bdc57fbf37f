"""The policy that a new agent begins with, written for the person who will edit it."""

from collections.abc import Sequence

from hsm_agent.policy.name_forms import ANY

_HEAD = """\
# What the agent "{name}" signs, whatever the server asks for.
#
# The server can neither read nor change this file; it learns its hash.  Whatever is not allowed
# here is refused, and every refusal is in the journal.  A key that no table names, and that was
# not made under a profile below, signs nothing.
#
# After an edit:  hsm-agent policy check FILE  tells what is wrong, and what is wide open; then
# send the agent SIGHUP.  All keys and their meaning: docs/reference/agent-policy.md.
version = 1


# ---- keys that the server may have made here -------------------------------------------------
[provision]
profiles = ["issuing", "root", "service"]    # under which of the rules below they may be born
max-keys = 20                     # how many keys in all
approval = "none"                 # "local": each one waits for  hsm-agent approve  at this host


# ---- an authority that issues to people, servers and devices ---------------------------------
[profiles.issuing]
kinds = ["cert", "crl", "ocsp", "csr", "cms-attrs", "proof"]    # no certificates of authorities
# algorithms = ["ecdsa-sha256"]   # without it: all that fit the key
# per-hour = 500                  # how many signatures of all kinds; also per-minute, per-day
# quiet-hours = ["22:00-05:00"]   # no certificates then; CRLs and OCSP answers go on
# time-zone = "Europe/Zurich"     # of the quiet hours; without it: UTC

[profiles.issuing.cert]
max-validity = "825d"             # from now; those for time-stamping are often longer
max-backdate = "48h"              # how far back a certificate may begin
{names}
key-usage = ["digitalSignature", "nonRepudiation", "keyEncipherment", "keyAgreement"]
# A certificate for logging in to Windows (msSmartcardLogon) or for every purpose
# (anyExtendedKeyUsage) has to be allowed here by that name.
extended-key-usage = [
  "serverAuth", "clientAuth", "emailProtection", "codeSigning", "timeStamping", "OCSPSigning",
  "eapOverLAN", "ipsecIKE", "documentSigning", "msDocumentSigning", "cmcRA",
]
# per-day = 2000                  # how many certificates

[profiles.issuing.crl]
max-next-update = "10d"
never-drop = true                 # a revoked certificate stays on the list until it has expired

[profiles.issuing.ocsp]
max-validity = "7d"

[profiles.issuing.csr]            # the key asks for a certificate of its own
approval = "none"

[profiles.issuing.cms-attrs]
content-types = ["scep"]          # answers of SCEP, and no other signed messages


# ---- a root: signs the authorities below it, and its own lists -------------------------------
[profiles.root]
kinds = ["self-signed", "ca-cert", "crl", "ocsp", "csr", "proof"]

[profiles.root.self-signed]       # the first one of a new key gives nobody anything, and needs
max-validity = "7305d"            # no approval; every further one does
approval = "local"

[profiles.root.ca-cert]
max-validity = "3653d"
# max-path-length = 0             # none below the authorities that it signs
# subjects = ["CN=* CA,O=Example"]
# name-constraints = ["dns:example.com", "ip:10.0.0.0/8"]   # what their certificates must carry
approval = "local"                # hsm-agent approve  at this host, or some of the people below:
# approval = {{ need = 2, of = ["alice", "bob", "carol"] }}

[profiles.root.crl]
max-next-update = "366d"
never-drop = true

[profiles.root.ocsp]
max-validity = "31d"

[profiles.root.csr]
approval = "none"


# ---- services of the server: OCSP responders, time-stamp units, answers of SCEP --------------
[profiles.service]
kinds = ["ocsp", "tst", "cms-attrs", "csr", "proof"]    # no certificates, no CRLs

[profiles.service.ocsp]
max-validity = "7d"

[profiles.service.tst]
tolerance = "1m"                  # how far their time may be from this host's
policies = ["*"]                  # which policies of time-stamps, as OIDs

[profiles.service.cms-attrs]
content-types = ["scep"]          # "data" for time-stamps in the legacy form of Authenticode, too

[profiles.service.csr]
approval = "none"


# ---- people who approve from afar, each with a key of his own --------------------------------
# [approvers.alice]
# ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA... alice@example.com"
# [approvers.bob]
# webauthn = "MFkwEwYHKoZIzj0C..."   # SubjectPublicKeyInfo in base64
# rp-id = "pki.example.com"
# [approvers.carol]
# ed25519 = "uh5n4Cq..."             # 32 octets in base64


# ---- single keys, by name and, better, by their public half ----------------------------------
# [keys."hsm/issuing-1"]
# spki = "sha256:5f0e..."            # hsm-agent keys  tells it
# profile = "issuing"                # or rules of its own, written as those above
"""

_OPEN = """\
# NOBODY HAS SAID YET WHICH NAMES THIS AUTHORITY IS FOR.  Write them here: then a stolen server
# gets no certificate for any other name.  "example.com" means it and all below it."""
_SAID = """\
# "example.com" means it and all below it; what is not listed is refused, and an empty list
# refuses all names of its kind."""
_KINDS = (
    ("dns", "hosts"),
    ("email", "domains or addresses"),
    ("ip", "networks or addresses"),
    ("uri", "hosts, or schemes like urn:"),
    ("upn", "domains or users of Active Directory"),
)


def starter(
    name: str,
    *,
    dns: Sequence[str] = (),
    email: Sequence[str] = (),
    ip: Sequence[str] = (),
    uri: Sequence[str] = (),
    upn: Sequence[str] = (),
) -> str:
    """Return the first policy of the agent of this name.

    Without any name that is allowed every name is, and ``Policy.warnings`` says so; with one,
    only those given are.  They are written as they are: `read_policy` tells what is wrong.
    """
    given = dict(zip((kind for kind, _ in _KINDS), (dns, email, ip, uri, upn), strict=True))
    said = any(given.values())
    lines = [_SAID if said else _OPEN]
    for kind, what in _KINDS:
        entries = ", ".join(map(_quoted, given[kind] if said else (ANY,)))
        lines.append(f"{f'{kind} = [{entries}]':<33} # {what}")
    return _HEAD.format(name=_printable(name), names="\n".join(lines))


def _quoted(text: str) -> str:
    r"""Return a basic string of TOML; what it cannot hold is escaped."""
    escaped = "".join(
        char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in text
    )
    return f'"{escaped}"'


def _printable(name: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in name)
