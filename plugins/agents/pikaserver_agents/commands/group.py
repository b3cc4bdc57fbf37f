"""``pikaserver agent``: all verbs."""

import click

from pikaserver_agents.commands.bundles import bundle, register
from pikaserver_agents.commands.enrolling import approve, enroll, rotate
from pikaserver_agents.commands.looking import compare, keys, list_agents, show, test
from pikaserver_agents.commands.node import node
from pikaserver_agents.commands.standing import allow, deny, drain, retire
from pikaserver_agents.commands.waiting import approvals, approve_signature


@click.group()
def agent() -> None:
    """Look after signing agents: programs that keep keys elsewhere, on tokens for instance.

    An agent dials this server and signs what its own policy allows.  Its keys are called
    agent:NAME/LABEL wherever a key is named.
    """


for command in (
    enroll,
    approve,
    rotate,
    register,
    list_agents,
    show,
    keys,
    test,
    drain,
    retire,
    allow,
    deny,
    approvals,
    approve_signature,
    compare,
    bundle,
    node,
):
    agent.add_command(command)
