"""The policy file: faults in one sentence, keys, profiles and approvers."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hsm_agent.policy.bindings import Binding
from hsm_agent.policy.policy import PolicyFault, read_policy
from hsm_agent.policy.rules import KeyRules
from hsm_agent.policy.tables import described
from hsm_agent.structures.kinds import KINDS
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.made_structures import rules

SPKI = hashlib.sha256(made.CA_SPKI).hexdigest()
SSH = made.CA_KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
SK_SSH = (
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAOhB7/zzhC+HXDdGOdL"
    "wJln5PYwm6UNXx3chmQSVTG4AAAABHNzaDo= a@b"
)
WEAK = (
    rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is to be refused
    .public_key()
    .public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    .decode()
)
ED25519 = base64.b64encode(bytes(range(32))).decode()
PASSKEY = base64.b64encode(made.LEAF_SPKI).decode()
PROFILE = '[profiles.issuing]\nkinds = ["cert"]\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x", "the policy is no TOML: "),
        ("", "version has to be 1"),
        ("version = 2", "line 1: version has to be 1"),
        (
            "version = 1\n\nprofile = 1",
            "line 3: profile is not known here; did you mean 'profiles'?",
        ),
        ("version = 1\nkeys = 1", "line 2: keys has to be a table"),
        ("version = 1\nprofiles.issuing = 1", "[profiles]: issuing has to be a table"),
        ("version = 1\n[profiles.a]", "line 2, [profiles.a]: kinds has to name what may be signed"),
        (
            rules(["cert"], "[profiles.issuing.cert]\nmax-validty = '1d'"),
            "line 5, [profiles.issuing.cert]: max-validty is not a rule here; did you mean",
        ),
        (
            rules(["cert"], "algorithm = []"),
            "algorithm is not a rule here; did you mean 'algorithms'?",
        ),
        (rules(["cert"], "algorithms = ['rsa']"), "'rsa', which is not a signature algorithm"),
        (rules(["cert", "raw"]), "'raw', which is never together with another kind"),
        (rules(["certs"]), "'certs', which is not a kind; did you mean 'cert'?"),
        (rules(["cert", "cert"]), "kinds has 'cert' twice"),
        (rules(["cert"], "[profiles.issuing.crl]"), "crl has rules, and 'kinds' does not name it"),
        (rules(["cert"], "cert = 1"), "cert has to be a table"),
        (rules(["cert"], "window = 0"), "window has to be 1 or more"),
        (rules(["cert"], "window = true"), "window has to be a whole number"),
        (rules(["cert"], "per-day = -1"), "per-day has to be a whole number"),
        (rules(["cert"], "quiet-hours = ['5-7']"), "'5-7', which is no span like"),
        (rules(["cert"], "quiet-hours = ['05:00-05:00']"), "which is no span like"),
        (rules(["cert"], "time-zone = 'Mars'"), "'Mars', which this host does not know"),
        (rules(["cert"], "time-zone = '../etc'"), "does not know as a time zone"),
        (rules(["cert"], "algorithms = 'ed25519'"), "has to be a list of texts"),
        (rules(["cert"], "cert.max-validity = '1'"), "has to be a number with a unit"),
        (rules(["cert"], "cert.max-validity = 7"), "has to be a number with a unit"),
        (rules(["cert"], "cert.max-validity = '999999999y'"), "at most 100y"),
        (rules(["cert"], "cert.wildcards = 1"), "wildcards has to be true or false"),
        (
            rules(["cert"], "cert.dns = ['*.a.example']"),
            "no host name; subdomains are meant anyhow",
        ),
        (rules(["cert"], "cert.dns = ['a b']"), "'a b', which is no host name"),
        (rules(["cert"], "cert.email = ['@a.example']"), "neither a domain nor an address"),
        (rules(["cert"], "cert.ip = ['10.0.0.1/8']"), "which is no network"),
        (rules(["cert"], "cert.uri = ['https://a.example']"), "write the host alone"),
        (rules(["cert"], "cert.subjects = ['x']"), "no subject like 'CN=*,O=Example'"),
        (rules(["cert"], "cert.subject-keys = ['rsa-512']"), "which is not a type of key"),
        (rules(["cert"], "cert.subject-keys = ['ec-p257']"), "did you mean 'ec-p256'?"),
        (rules(["cert"], "cert.key-usage = ['digitalsignature']"), "mean 'digitalSignature'?"),
        (rules(["cert"], "cert.extended-key-usage = ['serverauth']"), "mean 'serverAuth'?"),
        (rules(["cert"], "cert.critical-extensions = ['*']"), "name each extension"),
        (rules(["cert"], "cert.approval = 'locl'"), "approval has to be 'none', 'local' or"),
        (rules(["cert"], "cert.approval = { need = 2 }"), "approval has to be 'none', 'local' or"),
        (rules(["cert"], "cert.approval = { need = 0, of = ['local'] }"), "has to be 1 or more"),
        (
            rules(["cert"], "cert.approval = { need = 2, of = ['local'] }"),
            "needs 2 approvals and names 1 approvers",
        ),
        (
            rules(["cert"], "cert.approval = { need = 1, of = ['locl'] }"),
            "names 'locl', who is no approver; did you mean 'local'?",
        ),
        (rules(["ca-cert"], "ca-cert.name-constraints = ['a']"), "write 'dns:example.com'"),
        (rules(["ca-cert"], "ca-cert.name-constraints = ['ip:a']"), "which is no network"),
        (rules(["tst"], "tst.imprints = ['md5']"), "'md5', which is not a hash"),
        (rules(["cms-attrs"], "cms-attrs.content-types = ['dat']"), "did you mean 'data'?"),
        ("version = 1\n[keys]\na = 1", "line 3, [keys]: a has to be a table"),
        ("version = 1\n[keys.a]\nkinds = ['csr']", "a has to be STORE/LABEL, or to have"),
        ('version = 1\n[keys."a/b"]\nspki = "5f"', 'line 3, [keys."a/b"]: spki has to be'),
        ('version = 1\n[keys."a/b"]\nprofile = "x"', "there is no [profiles.x]"),
        (f'version = 1\n{PROFILE}[keys."a/b"]\nprofile = "isuing"', "did you mean 'issuing'?"),
        (
            f'version = 1\n{PROFILE}[keys."a/b"]\nprofile = "issuing"\nkinds = ["crl"]',
            "kinds stands beside profile = 'issuing'; choose one",
        ),
        (
            (
                f'version = 1\n{PROFILE}[keys."a/b"]\nprofile = "issuing"\nspki = "sha256:{SPKI}"\n'
                f'[keys."a/c"]\nprofile = "issuing"\nspki = "sha256:{SPKI}"\n'
            ),
            'line 9, [keys."a/c"]: spki is that of another key in this file',
        ),
        ("version = 1\n[provision]\nprofile = ['a']", "did you mean 'profiles'?"),
        ("version = 1\n[provision]\nprofiles = ['a']", "there is no [profiles.a]"),
        ("version = 1\n[provision]\nkey-types = ['ec']", "which is not a type of key"),
        (
            "version = 1\n[provision]\napproval = { need = 1, of = ['a'] }",
            "line 3, [provision]: approval names 'a', who is no approver",
        ),
        ("version = 1\n[approvers.local]\nssh = 'x'", "local is the operator at this host"),
        ("version = 1\napprovers.a = 1", "a has to be a table"),
        ("version = 1\n[approvers.a]", "a has to have one of ssh, ed25519 and webauthn"),
        ("version = 1\n[approvers.a]\nkey = 'x'", "key is not a key of an approver"),
        ("version = 1\n[approvers.a]\nssh = 'x'", "ssh has to be a line of a .pub file"),
        ("version = 1\n[approvers.a]\nssh = 'ssh-ed25519 AAAA'", "ssh is no OpenSSH public key"),
        (f"version = 1\n[approvers.a]\nssh = '{WEAK}'", "RSA key of less than 2048 bits"),
        ("version = 1\n[approvers.a]\ned25519 = 'AAAA'", "has to be 32 octets in base64"),
        ("version = 1\n[approvers.a]\ned25519 = '%'", "ed25519 is no base64"),
        ("version = 1\n[approvers.a]\nwebauthn = 'AAAA'", "SubjectPublicKeyInfo in base64"),
        (f"version = 1\n[approvers.a]\nwebauthn = '{PASSKEY}'", "rp-id has to be a text"),
        (
            f"version = 1\n[approvers.a]\nwebauthn = '{PASSKEY}'\nrp-id = 'a'\norigins = 'b'",
            "origins has to be a list of texts",
        ),
        (
            f"version = 1\n[approvers.a]\ned25519 = '{ED25519}'\nrp-id = 'x'",
            "ed25519 stands alone",
        ),
        (
            (
                f"version = 1\n[approvers.a]\ned25519 = '{ED25519}'\n[approvers.b]\n"
                f"ed25519 = '{ED25519}'"
            ),
            "b has the key of a, who would count twice",
        ),
    ],
)
def test_a_fault_is_one_sentence_that_says_where(text, fault):
    """Line, table, key, and what would be right."""
    with pytest.raises(PolicyFault) as raised:
        read_policy(text.encode())

    assert fault in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "octets",
    [
        b"\xff",
        b"a = " + b"[" * 4000,
        b"a = " + b"[\n" * 100_000,
        b"x = " + b"1" * 5000,
        b"a" + b".a" * 100_000 + b" = 1",
        b"#\n" * (1 << 19) + b"#",
    ],
)
def test_octets_that_are_no_text_or_too_much_are_refused(octets):
    """Whoever can write the file can stop the agent, and not make it crash."""
    with pytest.raises(PolicyFault):
        read_policy(octets)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_reading_a_policy_never_crashes(octets):
    """It is a policy or a fault."""
    try:
        policy = read_policy(b"version = 1\n" + octets)
    except PolicyFault:
        return

    assert isinstance(policy.warnings(), tuple)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    st.sampled_from([(kind, key) for kind in KINDS for key in described(KeyRules().of(kind))]),
    VALUES,
)
def test_values_of_any_type_are_read_or_are_faults(which, value):
    """Each key of each kind, with whatever TOML can write."""
    kind, key = which
    try:
        read_policy(rules([kind], f"{kind}.{key} = {toml(value)}").encode())
    except PolicyFault:
        return


def toml(value):
    """Write a value as TOML does, roughly."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
    return "nan" if value is None else repr(value)


def bound(*tables):
    """Return a policy with two profiles and these keys."""
    return read_policy(
        "\n".join(["version = 1", PROFILE, '[profiles.other]\nkinds = ["crl"]', *tables]).encode()
    )


def test_a_key_that_nothing_names_has_no_rules():
    """Not even where a profile was remembered that is gone."""
    policy = bound('[keys."hsm/a"]\nprofile = "issuing"')

    assert policy.rules("hsm/b", made.CA_SPKI, None) is None
    assert policy.rules("hsm/b", made.CA_SPKI, "gone") is None


def test_a_key_is_found_by_name_or_was_made_under_a_profile():
    """What the file says of a key counts more than where it was born."""
    policy = bound('[keys."hsm/a"]\nprofile = "issuing"')

    assert "profiles.issuing" == policy.rules("hsm/a", made.CA_SPKI, None).name
    assert "profiles.issuing" == policy.rules("hsm/a", made.CA_SPKI, "other").name
    assert "profiles.other" == policy.rules("hsm/b", made.CA_SPKI, "other").name


def test_a_key_is_found_by_its_public_half_wherever_it_is():
    """And a foreign key in its place signs nothing, whatever it was made under."""
    policy = bound(f'[keys."hsm/a"]\nspki = "sha256:{SPKI}"\nkinds = ["csr"]')

    assert "keys.hsm/a" == policy.rules("elsewhere/b", made.CA_SPKI, "other").name
    assert policy.rules("hsm/a", made.LEAF_SPKI, "other") is None


def test_a_key_can_have_its_certificate_in_a_file():
    """Beside the policy; it is for whoever loads it."""
    (binding,) = bound('[keys."hsm/a"]\nprofile = "issuing"\ncertificate = "a.pem"').keys

    assert isinstance(binding, Binding)
    assert "a.pem" == binding.rules.certificate


def test_approvers_of_all_kinds_are_read():
    """The key blob of SSH, 32 octets of Ed25519, the public key of a passkey."""
    text = f"""version = 1
[approvers.a]
ssh = "{SSH} a@example.com"
[approvers.b]
ssh = "{SK_SSH}"
[approvers.c]
ed25519 = "{ED25519}"
[approvers.d]
webauthn = "{PASSKEY}"
rp-id = "pki.example.com"
"""
    a, b, c, d = read_policy(text.encode()).approvers.values()

    assert ("ssh", base64.b64decode(SSH.split()[1])) == (a.kind, a.key)
    assert ("ssh", True) == (b.kind, b.key.endswith(b"\0\0\0\4ssh:"))
    assert ("ed25519", bytes(range(32))) == (c.kind, c.key)
    assert ("webauthn", made.LEAF_SPKI) == (d.kind, d.key)
    assert ("pki.example.com", ("https://pki.example.com",)) == (d.rp_id, d.origins)
