"""The signer backend of scheme ``agent``: keys that live beside a signing agent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hsm_agent.wire.messages import Context, Done, Generate, PutCertificate, Refused
from pikaserver.api.errors import (
    KeyUnavailable,
    NotAllowed,
    NotFound,
    PikaserverError,
    RequestRejected,
    Unavailable,
)
from pikaserver.api.operations import Secrets
from pikaserver.api.signing import KeyDescription, KeyReference, KeyRole, Signer
from pikaserver_agents.asker import Asker
from pikaserver_agents.authority_uses import AuthorityUses
from pikaserver_agents.chains import verifiable
from pikaserver_agents.directory import Directory
from pikaserver_agents.dispatch import Dispatcher, Wanted
from pikaserver_agents.inventory import Inventories
from pikaserver_agents.ledger import Ledger
from pikaserver_agents.moments import NowMs
from pikaserver_agents.node_seal import NodeSeal
from pikaserver_agents.references import (
    SCHEME,
    AgentReference,
    FoundKey,
    read_reference,
    resolve,
)
from pikaserver_agents.refusing import APPROVAL_NEEDED, as_error
from pikaserver_agents.storage.agents import AgentState
from pikaserver_agents.storage.approvals import ApprovalRow
from pikaserver_agents.structures import ATTRIBUTES, purpose_of, sha256
from pikaserver_agents.whereabouts import Whereabouts

PROFILES = {
    KeyRole.ROOT: "root",
    KeyRole.AUTHORITY: "issuing",
    KeyRole.SERVICE: "service",
}
"""Names of an agent's first policy; a reference may name another one."""
"""Under which rules of an agent's policy keys are made unless the reference says otherwise."""
GENERATE_SECONDS = 120.0
"""How long the making of a key may take: large RSA keys on small cards."""
PUT_SECONDS = 20.0
GENERATION = "key"
"""The purpose of an approval for a key that is to be made."""
_ACTIVE = (AgentState.ENROLLED, AgentState.DRAINING, AgentState.OFFLINE)


@dataclass(frozen=True, slots=True)
class AgentSigner:
    """A key of an agent, or of several; implements ``Signer`` and ``ContentSigner``."""

    dispatcher: Dispatcher = field(repr=False)
    key: FoundKey
    algorithm: str
    authority: str

    @property
    def public_key(self) -> bytes:
        """See ``pikaserver.api.signing.Signer``."""
        return self.key.public_key

    def sign(self, tbs: bytes) -> bytes:
        """See ``pikaserver.api.signing.Signer``."""
        return self._sign(tbs, b"", purpose_of(tbs))

    def sign_attributes(self, attributes: bytes, content: bytes) -> bytes:
        """See ``pikaserver.api.signing.ContentSigner``."""
        return self._sign(attributes, content, ATTRIBUTES)

    def _sign(self, tbs: bytes, content: bytes, purpose: str) -> bytes:
        return self.dispatcher.sign(
            Wanted(
                key=self.key,
                algorithm=self.algorithm,
                tbs=tbs,
                content=content,
                authority=self.authority,
                purpose=purpose,
                tbs_hash=sha256(tbs),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentBackend:
    """Implements ``SignerBackend``, and all of its further roles that concern agents."""

    directory: Directory
    uses: AuthorityUses
    dispatcher: Dispatcher
    asker: Asker
    inventories: Inventories
    ledger: Ledger
    whereabouts: Whereabouts
    now: NowMs
    seal: NodeSeal
    scheme: str = SCHEME

    def seal_with(self, secrets: Secrets) -> None:
        """See ``pikaserver.api.signing.KeySealer``; what is sealed is who this node is."""
        self.seal.seal_with(secrets)

    def keys(self) -> Iterator[KeyDescription]:
        """See ``pikaserver.api.signing.SignerBackend``; keys of retired agents are left out."""
        view = self.directory.view()
        for row in view.keys:
            if view.agents[row.agent].state in _ACTIVE:
                reference = KeyReference(SCHEME, f"{row.agent}/{row.told.name}")
                told = row.told
                yield KeyDescription(reference, told.key_type, told.public_key, False, told.state)  # noqa: FBT003 - it cannot be exported

    def find(self, reference: KeyReference) -> KeyDescription | None:
        """See ``pikaserver.api.signing.KeyFinder``."""
        found = self._resolve(reference)
        if found is None or not found.rows:
            return None
        told = found.rows[0].told
        return KeyDescription(reference, told.key_type, told.public_key, False, told.state)  # noqa: FBT003 - it cannot be exported

    def generate(self, reference: KeyReference, key_type: str, *, exportable: bool) -> bytes:
        """See ``pikaserver.api.signing.SignerBackend``; a person may have to approve it first."""
        if exportable:
            raise RequestRejected("keys of an agent never leave it")
        return self.generate_for(KeyRole.AUTHORITY, reference, key_type)

    def generate_for(self, role: KeyRole, reference: KeyReference, key_type: str) -> bytes:
        """See ``pikaserver.api.signing.RoleKeyMaker``."""
        asked = read_reference(reference)
        answer = self.asker.ask(
            asked.agent,
            lambda request_id, expires: Generate(
                id=request_id,
                name=self._new_name(asked),
                key_type=key_type,
                profile=asked.profile or PROFILES[role],
                expires=expires,
                context=Context(purpose=f"new key {reference}"),
            ),
            GENERATE_SECONDS,
        )
        if isinstance(answer, Refused):
            raise self._refused(asked.agent, answer)
        if not isinstance(answer, Done) or len(answer.keys) != 1:
            raise KeyUnavailable(f"agent {asked.agent} made a key and does not tell which")
        made = answer.keys[0]
        self.inventories.take_key(asked.agent, made)
        return made.public_key

    def open(self, reference: KeyReference, algorithm: str) -> Signer:
        """See ``pikaserver.api.signing.SignerBackend``."""
        found = self._resolve(reference)
        if found is None:
            agent = self.directory.view().agent(read_reference(reference).agent)
            raise NotFound(
                f"agent {agent.name} has no key {read_reference(reference).name!r};"
                f" 'pikaserver agent keys {agent.name}' lists those that it has"
            )
        self._check_algorithm(found, algorithm)
        authority = self._authority(found, reference)
        if not self.whereabouts.may_sign(found):
            raise KeyUnavailable(self.whereabouts.explain(found))
        return AgentSigner(self.dispatcher, found, algorithm, authority)

    def check_authority(self, reference: KeyReference, authority: str) -> None:
        """See ``pikaserver.api.signing.KeyGuard``."""
        found = self._resolve(reference)
        allowed = self.directory.view().allowed.get(found.spki_hash) if found else None
        if allowed is not None and authority not in allowed:
            raise NotAllowed(_kept_for(reference, authority, allowed))

    def keep_certificate(self, reference: KeyReference, certificates: Sequence[bytes]) -> None:
        """See ``pikaserver.api.signing.CertificateKeeper``; every agent with the key gets it."""
        found = self._resolve(reference)
        view = self.directory.view()
        missed = []
        for row in found.rows if found else ():
            if view.agents[row.agent].state not in _ACTIVE:
                continue
            try:
                self._put(row.agent, row.spki_hash, certificates)
            except PikaserverError as error:
                missed.append(str(error))
        self.uses.refresh()
        if missed:
            raise Unavailable("; ".join(missed))

    def _put(self, agent: str, spki_hash: bytes, certificates: Sequence[bytes]) -> None:
        answer = self.asker.ask(
            agent,
            lambda request_id, expires: PutCertificate(
                request_id, spki_hash, verifiable(certificates), expires
            ),
            PUT_SECONDS,
        )
        if isinstance(answer, Refused):
            raise as_error(agent, answer)

    def _resolve(self, reference: KeyReference) -> FoundKey | None:
        return resolve(self.directory.view(), self.uses.present(), reference)

    def _new_name(self, asked: AgentReference) -> str:
        """Return what a new key is called: with its store, where the agent has only one."""
        stores = [row.told for row in self.directory.view().stores if row.agent == asked.agent]
        if not asked.store and len(stores) == 1:
            return f"{stores[0].name}/{asked.label}"
        return asked.name

    def _refused(self, agent: str, refused: Refused) -> PikaserverError:
        if refused.code == APPROVAL_NEEDED and refused.approval:
            why = refused.why.decode(errors="replace")
            self.ledger.note_approval(
                ApprovalRow(refused.approval, agent, b"", GENERATION, why, self.now())
            )
        return as_error(agent, refused)

    def _check_algorithm(self, found: FoundKey, algorithm: str) -> None:
        offered = {one for row in found.rows for one in row.told.algorithms}
        if found.rows and algorithm not in offered:
            names = ", ".join(sorted(offered)) or "nothing"
            raise RequestRejected(
                f"the agent signs with key {found.rows[0].told.name} only {names}, not {algorithm}"
            )

    def _authority(self, found: FoundKey, reference: KeyReference) -> str:
        """Return the authority that uses the key, which has to be one that it is kept for."""
        used_by = [use.authority for use in self.uses.present().of(found.spki_hash)]
        allowed = self.directory.view().allowed.get(found.spki_hash)
        if allowed is not None and used_by and allowed.isdisjoint(used_by):
            raise RequestRejected(_kept_for(reference, used_by[0], allowed))
        return used_by[0] if used_by else ""


def _kept_for(reference: KeyReference, authority: str, allowed: frozenset[str]) -> str:
    names = ", ".join(sorted(allowed)) or "nobody"
    return (
        f"key {reference} is kept for {names}, not for {authority!r};"
        f" 'pikaserver agent allow {reference.name} --authority {authority}' changes that"
    )
