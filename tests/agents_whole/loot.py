"""What a thief finds at a server that has worked honestly, and how he asks its agent."""

from dataclasses import dataclass, replace

from cryptography import x509

from hsm_agent.service.verification import verify
from hsm_agent.wire.messages import Signed
from tests.agents_whole.deeds import approved, leaf, new_key
from tests.agents_whole.judging import Judge
from tests.agents_whole.thief import DAY, Thief, present
from tests.hsm_agent import made_structures as made
from tests.hsm_agent.wire_server import LONG

SLOW = """
[profiles.slow]
kinds = ["cert", "crl"]
[profiles.slow.cert]
dns = ["example.com"]
extended-key-usage = ["serverAuth"]
per-hour = 3
"""
OPEN_CA = x509.BasicConstraints(ca=True, path_length=None)


@dataclass
class Loot:
    """What the thief found, and whom he asks."""

    thief: Thief
    host: object
    issued: int
    revoked: int

    def name(self, text):
        return x509.Name.from_rfc4514_string(text)

    def leaf(self, **changes):
        """Ask the issuing key for a leaf that is fine but for the changes."""
        return self.thief.sign("devices", self.thief.leaf("devices", **changes).tbs)

    def named(self, *names):
        return self.leaf(names=names)

    def dns(self, text):
        return self.named(x509.DNSName(text))

    def authority(self, label, **changes):
        """Ask a key for the certificate of an authority of the thief's own."""
        wish = self.thief.leaf(
            label, usage=made.CA_USAGE, constraints=OPEN_CA, names=(), purposes=None, **changes
        )
        return self.thief.sign(label, wish.tbs)

    def own_again(self, **changes):
        """Ask the root for another certificate over itself."""
        root = self.thief.authorities["top"]
        now = present()
        again = replace(
            self.thief.leaf("top"),
            subject=root.subject,
            public_key=root.public_key(),
            usage=made.CA_USAGE,
            constraints=OPEN_CA,
            names=(),
            purposes=None,
            key_identifier=None,
            not_before=now,
            not_after=now + 3000 * DAY,
        )
        return self.thief.sign("top", replace(again, **changes).tbs)

    def list(self, number, serials, **changes):
        """Ask for a CRL."""
        return self.thief.sign("devices", self.thief.crl("devices", number, serials, **changes))

    def next_list(self, serials, **changes):
        """Ask for a CRL whose number is fine."""
        return self.list(self.last_number() + 1, serials, **changes)

    def last_number(self):
        """Return the number of the newest CRL that the key signed."""
        lines = [line for line in self.host.journal("sign") if line["kind"] == "crl"]
        return max(int(line["crl-number"]) for line in lines if line["name"].endswith("/devices"))

    def wish(self):
        """Return a request that would be granted."""
        return self.thief.wish("devices", self.thief.leaf("devices").tbs)

    def fresh_line(self, dead=LONG):
        """Return a line on which nothing was said after the welcome, and no sign of life comes."""
        # The agent waits longer after each short line; begun anew, it does not.
        self.host.stop()
        self.host.begin()
        return self.thief.connect(alive=False, dead=dead)

    def attributes(self, *words, **others):
        return self.thief.sign("devices", made.attributes(*words), **others)

    def honest(self):
        """Tell whether the key signs what the policy allows, and so that it verifies."""
        tbs = self.thief.leaf("devices").tbs
        answer = self.thief.sign("devices", tbs)
        assert isinstance(answer, Signed), answer
        verify(self.thief.keys["devices"].public_key, "ecdsa-sha256", answer.signature, tbs)
        return True


def rob(house, folder):
    """Let an honest server work for a while; then a thief takes its place."""
    host = house.host("vault-a", "--allow-dns", "example.com")
    host.edit_policy("max-keys = 20", "max-keys = 3")
    host.edit_policy('profiles = ["issuing", "root", ', 'profiles = ["issuing", "root", "slow", ')
    policy = host.data / "policy.toml"
    policy.write_text(policy.read_text() + SLOW)
    house.start(host)
    house("ca", "create", "top", *new_key("top"))
    approved(house, host, "ca", "create", "devices", "--parent", "top", *new_key("devices"))
    house("ca", "create", "slow", "--parent", "root", *new_key("slow?profile=slow"))
    judge = Judge(folder)
    _, revoked, _ = leaf(house, judge, "devices")
    _, issued, _ = leaf(house, judge, "devices")
    house("cert", "revoke", revoked, "--yes")
    house("crl", "generate", "devices")
    thief = Thief(house, host, folder)
    thief.connect()
    return Loot(thief, host, int(issued, 16), int(revoked, 16))
