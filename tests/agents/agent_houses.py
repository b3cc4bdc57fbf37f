"""A whole server with the listener for agents, and the agents made for it."""

import base64
import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pikaserver.api.signing import KeyReference
from pikaserver.authority.ca_certificates import CaContent
from pikaserver.authority.ceremony import AuthorityPlan
from pikaserver.authority.templates.starters import starter
from pikaserver.cli.main import run
from pikaserver.ground import items
from pikaserver.server import PkiServer
from pikaserver.testing.client import ServiceClient
from pikaserver.testing.fake_agent import FakeAgent
from pikaserver.testing.patience import until
from pikaserver.testing.throw_away import throw_away_request
from pikaserver_agents.office import Office


@dataclass
class House:
    """A whole server that runs, with commands beside it, and its agents."""

    server: PkiServer
    office: Office
    data: Path
    agents: list

    def code(self, name, *words):
        """Make a code as an operator does."""
        return self.json("agent", "enroll", name, *words)["code"]

    def agent(self, name="vault-a", *keys):
        """Return an agent that is enrolled, has these keys, and a line."""
        agent = FakeAgent(name)
        self.agents.append(agent)
        for key in keys:
            agent.desk.make_key(key)
        code = self.code(name)
        self.office.listener.works.keeper.look_again()
        agent.enroll(code)
        self.connect(agent)
        return agent

    def connect(self, agent):
        """Give an agent its line, and wait until it may be asked."""
        agent.connect()
        until(lambda: self.office.lines.get(agent.name), "the line")

    def run(self, *words):
        """Run a command; return its exit code and what it wrote, as text and for errors."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([*map(str, words), "--data", str(self.data)])
        return code, out.getvalue(), err.getvalue()

    def __call__(self, *words):
        """Run a command that does not fail, and return what it wrote."""
        code, out, err = self.run(*words)
        assert 0 == code, out + err
        return out

    def json(self, *words):
        """Run a command and return the JSON that it wrote."""
        return json.loads(self(*words, "-o", "json"))

    def plan(self, name, reference, *, root=False):
        """Return a plan for an authority with a key of an agent."""
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        return AuthorityPlan(
            name=name,
            content=CaContent(subject, path_length=1 if root else 0),
            key_type="ec-p256",
            key=KeyReference.parse(reference),
            algorithm="ecdsa-sha256",
        )

    def issuing(self, name="site", reference="agent:vault-a/site"):
        """Make an authority below the root, with a key of an agent, and a template for it."""
        record = self.server.ceremony.create_subordinate(
            self.plan(name, reference), "root", "tester"
        )
        self.server.templates.save(name, starter("device", issuing=name), "tester")
        return record

    def door(self, template):
        """Return a client of EST, and a code that is good for a template."""
        client = ServiceClient(*items(self.server.plugins.services(self.server.for_plugins)))
        made = self.server.codes.create(template, "test", uses=1000)
        return client, (made.user, made.code)

    def certify(self, template="site", common_name="plc-21"):
        """Issue a certificate and return it, or the answer that is none."""
        client, user = self.door(template)
        key = ec.generate_private_key(ec.SECP256R1())
        csr = throw_away_request(key, common_name)
        return client.send(
            "POST",
            f"/.well-known/est/{template}/simpleenroll",
            base64.b64encode(csr),
            headers={"Content-Type": "application/pkcs10"},
            user=user,
        )
