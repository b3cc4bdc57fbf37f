"""What is asked for, and by whom."""

from pikaserver.api.issuance import EnrollmentRequest, Requester

OPERATOR = Requester("cli:test", "operator")


def wish(csr, template="device", door="cli", requester=OPERATOR, **more):
    return EnrollmentRequest(csr=csr, requester=requester, template=template, door=door, **more)


def holding(server, user, **more):
    """Return who shows the code of this user."""
    code = server.codes.find(user)
    good_for = frozenset({code.template})
    return Requester(f"code:{user}", "code", templates=good_for, proof=code.proof, **more)
