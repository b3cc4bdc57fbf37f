"""Settings of a whole server whose templates ask services elsewhere: Intune, and a webhook."""

import json

from tests.scep_challenges.intune_stand_in import APPLICATION, SECRET, TENANT


def flattened(prefix, table):
    """Yield settings as variables of the environment."""
    for key, value in table.items():
        name = f"{prefix}__{key.upper().replace('-', '_')}"
        if isinstance(value, dict):
            yield from flattened(name, value)
        else:
            yield name, json.dumps(value) if isinstance(value, list) else str(value)


def environment_of(rules, folder, places, tls_file):
    """Return the environment: rules of templates, and where the services are."""
    intune, webhook = places
    for name, text in (("intune", SECRET), ("webhook", "between us")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    here = f"https://127.0.0.1:{intune.server_port}/"
    elsewhere = {"ca-file": str(tls_file), "timeout-seconds": 60}
    tables = {
        "INTUNE": {
            "contoso": {
                "tenant": TENANT,
                "application-id": APPLICATION,
                "secret-file": str(folder / "intune"),
                "login-url": here,
                "graph-url": here,
                **elsewhere,
            }
        },
        "WEBHOOKS": {
            "inventory": {
                "url": f"https://127.0.0.1:{webhook.server_port}/",
                "secret-file": str(folder / "webhook"),
                **elsewhere,
            }
        },
        "TEMPLATES": rules,
    }
    environment = dict(flattened("PIKASERVER__PLUGINS__SCEP__CHALLENGES", tables))
    environment["PIKASERVER__PLUGINS__ENABLED"] = '["crl", "est", "scep"]'
    return environment
