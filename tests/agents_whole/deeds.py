"""What operators do again and again."""


def new_key(label, key_type="ec-p256", agent="vault-a"):
    """Return the options for a key of an agent that is to be made."""
    return ("--key", f"agent:{agent}/{label}", "--key-type", key_type)


def approved(house, host, *words):
    """Run a command again and again, and approve at the agent's host what it waits for."""
    for _ in range(5):
        answer = house.try_(*words)
        if 8 != answer.code:
            assert 0 == answer.code, answer.errors
            return answer
        for one in host.json("approvals"):
            if not one["approved_by"]:
                host("approve", one["id"], "--yes")
    raise AssertionError(answer.errors)


def leaf(house, judge, authority):
    """Issue a certificate for a server; return its name, its serial and its PEM."""
    if f"web-{authority}" not in [one["name"] for one in house.json("template", "list")]:
        house(
            "template", "create", f"web-{authority}", "--starter", "web", "--authority", authority
        )
    name, out = f"{authority}.example.com", judge.folder / "issued.pem"
    wish = ("--template", f"web-{authority}", "--dns", name, "--key-out", f"{out}.key")
    serial = house.json("cert", "issue", *wish, "--out", out)["serial"]
    first, end, _ = out.read_text().partition("-----END CERTIFICATE-----\n")
    (judge.folder / "issued.pem.key").unlink()
    return name, serial, first + end
