"""Signatures through an agent against what its token does alone, and how fast another takes over.

Server and agent are processes of their own with a TLS line between them, policy, journal and
verification as in production.  Then whole EST enrolments with such a key against a software key.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import load
from agent_asking import Figures, asking
from agent_failover import HEAD as FAILOVER_HEAD
from agent_failover import failovers
from agent_houses import AUTHORITY, House, house, house_with_card, house_with_standby
from agent_keys import Limit, softhsm, softhsm_is_missing, software
from measuring import (
    arguments,
    children,
    cpu_seconds,
    percentile,
    print_facts,
    print_table,
    ratio,
)
from wishes import enrollment, make_csrs

from pikaserver.testing.servers import HOSTNAME

HEAD = (
    "key", "in flight", "signatures/s", "alone/s", "of it", "p50 ms", "p99 ms", "alone ms",
    "added ms", "server CPU ms", "agent CPU ms", "token CPU ms", "alone CPU ms", "added CPU ms",
)  # fmt: skip
EST_HEAD = ("key", "clients", "certificates/s", "of software", "p50 ms", "p99 ms", "server CPU ms")
IN_FLIGHT = (1, 16, 32)
WARM_UP_SECONDS = 0.5
CSRS = 2000


def main() -> None:
    """Measure every key that can be had here."""
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=16, help="clients of the EST part")
    options = parser.parse_args()
    rows: list[Sequence[object]] = []
    est: list[Sequence[object]] = []
    # Sockets lie in there, and their paths must be short.
    with tempfile.TemporaryDirectory(dir=".", prefix="b") as name:
        folder = Path(name).absolute()
        print_facts(__doc__, folder)
        for made in _houses(folder):
            rows += _signatures(made, options.seconds)
            if made.key.kind != "piv":
                est += _enrolments(made, options.clients, options.seconds, est)
        (folder / "two").mkdir()
        with house_with_standby(software(), folder / "two") as made:
            pauses = failovers(made)
    print_table(HEAD, rows)
    print_table(FAILOVER_HEAD, pauses)
    print_table(EST_HEAD, est)


def _houses(folder: Path) -> Iterator[House]:
    (folder / "files").mkdir()
    with house(software(), folder / "files") as made:
        yield made
    why = softhsm_is_missing()
    for key_type in () if why else ("rsa-2048", "ec-p256"):
        with house(softhsm(folder / key_type, key_type), folder / key_type) as made:
            yield made
    if why:
        print(f"not measured: SoftHSM: {why}")
    (folder / "card").mkdir()
    try:
        with house_with_card(folder / "card") as made:
            yield made
    except LookupError as error:
        print(f"not measured: virtual YubiKey: {error}")


def _signatures(made: House, seconds: float) -> list[Sequence[object]]:
    """Measure half of the limit before the agent and half of it after."""
    rows = []
    with asking(made) as measure:
        for clients in IN_FLIGHT:
            before = made.limit(seconds / 2)
            measure(clients, WARM_UP_SECONDS)
            agent, token = _agent_and_token(made)
            figures = measure(clients, seconds)
            agent_after, token_after = _agent_and_token(made)
            after = made.limit(seconds / 2)
            alone = Limit((before.rate + after.rate) / 2, (before.cpu + after.cpu) / 2)
            ours = [
                1000 * used / len(figures.latencies)
                for used in (agent_after - agent, token_after - token)
            ]
            added = figures.cpu * 1000 + sum(ours) - alone.cpu * 1000
            row = _row(made, clients, figures, alone.rate)
            rows.append([*row, *ours, alone.cpu * 1000, added])
    return rows


def _agent_and_token(made: House) -> tuple[float, float]:
    """Return the CPU seconds of the agent so far, and those of its PKCS#11 module's process."""
    tokens = children(made.agent.number)
    return cpu_seconds(made.agent.number), sum(cpu_seconds(one) for one in tokens)


def _row(made: House, clients: int, figures: Figures, alone: float) -> Sequence[object]:
    if figures.faults:
        print(f"{made.key.name}: {len(figures.faults)} faults, the first: {figures.faults[0]}")
    usual = percentile(figures.latencies, 0.5)
    return (
        made.key.name,
        clients,
        figures.rate,
        alone,
        ratio(figures.rate, alone),
        usual * 1000,
        percentile(figures.latencies, 0.99) * 1000,
        1000 / alone,
        (usual - 1 / alone) * 1000 if clients == 1 else "-",
        figures.cpu * 1000,
    )


def _enrolments(
    made: House, clients: int, seconds: float, before: Sequence[Sequence[object]]
) -> list[Sequence[object]]:
    """Enrol over EST with the agent's key, and the first time with the server's own one, too."""
    made.server.start()
    made.agent.await_line(made.server)
    csrs = make_csrs(CSRS)
    templates = {"device": "server's own P-256", AUTHORITY: made.key.name}
    rows = list(before)
    for template, name in templates.items():
        if template == AUTHORITY or not rows:
            user, code = made.server.code(template, 1_000_000)
            requests = [enrollment(csr, HOSTNAME, user, code, template) for csr in csrs]
            wish = load.Load(made.server.https_port, requests, clients, seconds)
            rows.append(_est_row(made, name, wish, rows))
    made.server.stop()
    return rows[len(before) :]


def _est_row(
    made: House, name: str, wish: load.Load, before: Sequence[Sequence[object]]
) -> Sequence[object]:
    process = made.server.process
    if process is None:
        raise RuntimeError("the server does not run")
    load.run(replace(wish, seconds=WARM_UP_SECONDS))
    used = cpu_seconds(process.pid)
    outcome = load.run(wish)
    cpu = (cpu_seconds(process.pid) - used) / max(1, outcome.answers)
    others = {status: count for status, count in outcome.statuses.items() if status != 200}  # noqa: PLR2004 - OK
    if others or outcome.broken:
        print(f"{name}: other answers {others}, {outcome.broken} broken lines")
    first = before[0][2] if before else outcome.rate
    return (
        name,
        wish.clients,
        outcome.rate,
        ratio(outcome.rate, first) if isinstance(first, float) else "-",
        percentile(outcome.latencies, 0.5) * 1000,
        percentile(outcome.latencies, 0.99) * 1000,
        cpu * 1000,
    )


if __name__ == "__main__":
    main()
