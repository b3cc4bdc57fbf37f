"""The challenges before a server in memory; `House.enroll` is what the operations do."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, NameOID

from pikaserver.api.errors import PikaserverError
from pikaserver.api.issuance import EnrollmentRequest
from pikaserver.api.templates import ScepRules
from pikaserver.asn1.csr import read_csr
from pikaserver.testing.fake_server import FakeServer
from pikaserver.testing.templates import make_template
from pikaserver_scep.challenges.building import challenges
from pikaserver_scep.challenges.method import ChallengeQuestion, Postponed
from pikaserver_scep.challenges.one_time import OneTimeChallenges, Wish
from pikaserver_scep.challenges.settings import ChallengeSettings
from pikaserver_scep.plugin import register_migrations
from pikaserver_scep.settings import ScepSettings


def make_csr(common_name="plc-21", password=None, *, names=()):
    """Return a CSR with a challenge password, if any."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if password is not None:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, password.encode())
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    key = ec.generate_private_key(ec.SECP256R1())
    return read_csr(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


class House:
    """A server in memory with the templates ``device`` and ``laptop``, both open to SCEP."""

    def __init__(self, **challenge_settings):
        self.settings = ChallengeSettings.model_validate(challenge_settings)
        self.server = FakeServer([ScepSettings(challenges=self.settings)])
        self.clock = self.server.clock
        for name in ("device", "laptop"):
            self.template(name)
        with self.server.database.transaction() as connection:
            register_migrations().metadata.create_all(connection)
        self.built = challenges(self.server, self.settings)
        self.desk = self.built.desk
        self.one_time = OneTimeChallenges(self.server)

    def template(self, name, **changes):
        """Add a template, or another version of it."""
        usual = {
            "doors": frozenset({"scep"}),
            "proofs": frozenset({"challenge"}),
            "scep": ScepRules(enabled=True),
        }
        self.server.templates.add(make_template(name, **{**usual, **changes}))

    def challenge(self, template="device", **wish):
        """Return a one-time challenge in clear."""
        return self.one_time.create(Wish(template, **wish), "test").challenge

    def question(self, csr, template="device", *, transaction="t-1", address="192.0.2.7"):
        found = self.server.templates.get(template)
        return ChallengeQuestion(found, csr, transaction, address)

    def ask(self, password, template="device", **more):
        """Return what the desk says to a fresh request with this password."""
        return self.desk.check(self.question(make_csr(password=password), template, **more))

    def enroll(self, question):
        """Do with a request as the operations do, and return the outcome."""
        verdict = self.desk.check(question)
        if isinstance(verdict, Postponed):
            return verdict
        request = EnrollmentRequest(
            csr=question.csr,
            requester=verdict.requester,
            template=question.template.name,
            door="scep",
            transaction=question.transaction,
            approval=verdict.approval,
        )
        try:
            outcome = self.server.enroll(request)
        except PikaserverError as error:
            self.desk.settled(question, error)
            raise
        self.desk.settled(question, outcome)
        return outcome

    def run_jobs(self, name="scep-intune-contoso"):
        """Let a job run."""
        for job in self.built.jobs:
            if job.name == name:
                job.run()
