"""Which approver a proof is of; nothing but a signature over the statement counts."""

from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hsm_agent.approvals.faults import ProofRefused
from hsm_agent.approvals.ssh_signature import SshSignature
from hsm_agent.approvals.webauthn import Assertion
from hsm_agent.policy.policy import Approver

LOCAL = "local"
"""Kind and name of the approval that the operator gives on the agent's own host."""


def approver_of(
    approvers: Mapping[str, Approver], statement: bytes, kind: str, proof: bytes
) -> Approver:
    """Return the approver who made this proof over the statement.

    Raises:
        ProofRefused: nobody did; the text says what is wrong where only one can be meant.
    """
    verify = _KINDS.get(kind)
    if verify is None:
        raise ProofRefused(f"{kind!r} is no kind of proof: {', '.join(_KINDS)}")
    refused = ProofRefused(f"no approver of this policy proves with {kind!r}")
    for approver in approvers.values():
        if approver.kind == kind:
            try:
                verify(approver, statement, proof)
            except ProofRefused as error:
                refused = error
            else:
                return approver
    raise refused


def _verify_ssh(approver: Approver, statement: bytes, proof: bytes) -> None:
    signature = SshSignature.read(proof)
    if signature.key != approver.key:
        raise ProofRefused("the SSH key is of none of the approvers")
    signature.verify(statement)


def _verify_ed25519(approver: Approver, statement: bytes, proof: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(approver.key).verify(proof, statement)
    except (InvalidSignature, ValueError) as error:
        raise ProofRefused("the Ed25519 signature is of none of the approvers") from error


def _verify_webauthn(approver: Approver, statement: bytes, proof: bytes) -> None:
    Assertion.read(proof).verify(statement, approver.key, approver.rp_id, approver.origins)


_KINDS: Mapping[str, Callable[[Approver, bytes, bytes], None]] = {
    "ssh": _verify_ssh,
    "ed25519": _verify_ed25519,
    "webauthn": _verify_webauthn,
}
