"""Server nodes of one database, each a process of its own, and agents that hold the same key."""

import shutil
import tomllib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import NullPool, create_engine, text

from pikaserver.first_start import FirstStart, set_up
from pikaserver.testing.servers import HOSTNAME, ServerProcess, free_port
from pikaserver.testing.signing_agents import SigningAgent

AUTHORITY = "vault"
TEMPLATE = "vault-device"
USES = 1_000_000


@dataclass
class Cluster:
    """Nodes 1 and 2, and an authority whose key only the agents have."""

    folder: Path
    nodes: list[ServerProcess]
    database: str
    agents: list[SigningAgent] = field(default_factory=list)

    @property
    def first(self):
        """The node beside which commands run."""
        return self.nodes[0]

    def add_agent(self, name, *options, key=None, lines_to=(0, 1), **how):
        """Enrol and start an agent, with this key (PKCS#8) under the label ``issuing``."""
        agent = SigningAgent(name, self.folder / name, **how)
        agent.enroll(self.first, *options)
        if key is not None:
            file = self.folder / "issuing.key"
            file.write_bytes(key)
            agent.command("keys", "import", "issuing", str(file), "--profile", "issuing")
        self.agents.append(agent)
        agent.start()
        agent.await_line(*(self.nodes[one] for one in lines_to))
        return agent

    def make_authority(self, reference="agent:vault-a/issuing", *options):
        """Make the authority over a key of the agents and a template for devices; return a code."""
        words = ("ca", "create", AUTHORITY, "--parent", "root", "--key", reference)
        self.first.command(*words, *options)
        return self.make_template()

    def make_template(self):
        """Make the template that issues under the agents' authority; return a code for it."""
        self.first.command(
            "template", "create", TEMPLATE, "--starter", "device", "--authority", AUTHORITY
        )
        return self.first.code(TEMPLATE, USES)

    def ask(self, statement, **values):
        """Return the rows of a question to the database."""
        engine = create_engine(self.database, poolclass=NullPool)
        with engine.connect() as connection:
            return list(connection.execute(text(statement), values))


@contextmanager
def cluster(folder, database, *, host="127.0.0.1", unreachable=(), **settings):
    """Run two nodes on one database until the block ends, agents included.

    ``host`` is where agents reach them, but for those whose number is ``unreachable``;
    ``settings`` are those of ``[plugins.agents]``.
    """
    made = Cluster(folder, _prepared(folder, database), database)
    for number, node in enumerate(made.nodes, 1):
        bind = {"bind": f"{host}:{free_port()}"}
        if number in unreachable:
            bind["address"] = f"{host}:{free_port()}"
        _write_settings(node, number, {**bind, **settings})
    with ExitStack() as running:
        for node in made.nodes:
            running.callback(node.stop)
            node.start()
        running.callback(lambda: [agent.kill() for agent in made.agents])
        yield made


def software_key():
    """Return a fresh P-256 key as PKCS#8."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _prepared(folder, database):
    """Set up the first node's folder and copy it for the other."""
    nodes = [
        ServerProcess(folder / f"node-{one}", free_port(), free_port(), set_up=True)
        for one in (1, 2)
    ]
    first = nodes[0]
    (first.data / "conf.d").mkdir(parents=True, mode=0o700)
    first.data.chmod(0o700)
    (first.data / "conf.d" / "database.toml").write_text(
        tomlkit.dumps({"database": {"url": database}})
    )
    set_up(FirstStart(first.data, hostname=HOSTNAME), {})
    shutil.copytree(first.data, nodes[1].data)
    return nodes


def _write_settings(node, number, agents):
    """Give a node its number and its ports."""
    file = node.data / "pikaserver.toml"
    document = tomllib.loads(file.read_text())
    document["server"]["node"] = number
    document["listeners"]["public"]["bind"] = f"127.0.0.1:{node.http_port}"
    document["listeners"]["devices"]["bind"] = f"127.0.0.1:{node.https_port}"
    document["plugins"]["agents"] = {key.replace("_", "-"): value for key, value in agents.items()}
    file.write_text(tomlkit.dumps(document))
