"""The nouns of the command line: where each lives, so that help imports none of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Noun:
    """One word after ``pikaserver``; ``target`` is imported when it is used."""

    name: str
    target: str
    help: str


NOUNS = (
    Noun("up", "pikaserver.cli.up:up", "Set up what is not there yet, and serve."),
    Noun(
        "run",
        "pikaserver.cli.up:run",
        "Serve what is set up already; stop with Ctrl-C or SIGTERM.",
    ),
    Noun("init", "pikaserver.cli.up:init", "Set up an empty folder like 'up', and stop there."),
    Noun(
        "ca",
        "pikaserver.cli.ca.command:ca",
        "Make authorities (CAs), renew them, and set how they work.",
    ),
    Noun(
        "template",
        "pikaserver.cli.template.command:template",
        "Write, compare and try templates: the rules on who gets what.",
    ),
    Noun(
        "cert", "pikaserver.cli.cert.command:cert", "Issue, find, revoke and export certificates."
    ),
    Noun(
        "request",
        "pikaserver.cli.request:request",
        "Decide on requests whose template wants an approval.",
    ),
    Noun(
        "crl",
        "pikaserver.cli.crl:crl",
        "Sign and show CRLs: the lists of revoked certificates.",
    ),
    Noun(
        "publish",
        "pikaserver.cli.publish:publish",
        "See what publishers pushed and could not push; retry, and try them.",
    ),
    Noun(
        "code",
        "pikaserver.cli.code:code",
        "Hand out codes by which devices enrol, over EST for instance.",
    ),
    Noun(
        "device",
        "pikaserver.cli.device.command:device",
        "Find, retire and take back devices.",
    ),
    Noun("key", "pikaserver.cli.key:key", "List, make, import, export and remove keys."),
    Noun(
        "csr", "pikaserver.cli.csr:csr", "Make certificate requests (PKCS#10), and look into them."
    ),
    Noun(
        "report",
        "pikaserver.cli.report.command:report",
        "Report what quantum computers will break, and list all keys.",
    ),
    Noun("audit", "pikaserver.cli.audit:audit", "Check and read the audit trail."),
    Noun(
        "db", "pikaserver.cli.db:db", "Look after the database: its schema, its health, its copies."
    ),
    Noun(
        "doctor",
        "pikaserver.cli.doctor.command:doctor",
        "Examine settings, files, database, keys and certificates.",
    ),
    Noun("version", "pikaserver.cli.version:version", "Print the versions of what runs here."),
    Noun("plugins", "pikaserver.cli.plugins:plugins", "List the plugins, installed and enabled."),
    Noun("config", "pikaserver.cli.config:config", "Show and check the host's settings."),
)
