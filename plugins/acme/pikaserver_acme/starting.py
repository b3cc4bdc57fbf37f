"""The policy that a server has from its first start on."""

from pikaserver.api.errors import NotFound
from pikaserver_acme.office import Office
from pikaserver_acme.policies.rules import PolicyRules

FIRST_POLICY = "web"
TEMPLATE = "web"
ACTOR = "acme"


def make_first_policy(here: Office) -> None:
    """Make the policy ``web`` where there is none of that name and the template of that name.

    Every name may be asked for, and each has to be proved.  Who does not want it closes it.
    """
    if any(one.name == FIRST_POLICY for one in here.policies.all()):
        return
    try:
        here.server.templates.get(TEMPLATE)
    except NotFound:
        return
    rules = PolicyRules(template=TEMPLATE, description="Web servers that prove their names")
    here.policies.put(FIRST_POLICY, rules, ACTOR)
