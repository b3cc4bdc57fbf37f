"""What reports read of a server, and their rows."""

from datetime import datetime

from pikaserver.authority.readiness.assets import Asset, Assets, Exposure
from pikaserver.authority.readiness.report import Line
from pikaserver.cli.output import Record
from pikaserver.ground import items
from pikaserver.server import PkiServer


def gathered(server: PkiServer) -> Assets:
    """Return what yields everything that has a key here."""
    inventories = items(server.plugins.key_inventories(server.for_plugins))
    return Assets(server.authorities, server.certificates, server.templates, inventories)


def line_row(line: Line) -> Record:
    """Return the columns of a line."""
    return {
        "kind": line.kind,
        "name": line.name,
        "key_type": line.key_type,
        "signed_with": line.signed_with,
        "exposure": line.exposure,
        "count": line.count,
        "beyond": line.beyond,
        "last": line.last,
        "renewal": line.renewal,
    }


def each_row(asset: Asset, horizon: datetime) -> Record:
    """Return the columns of a single key."""
    beyond = asset.not_after is None or asset.not_after > horizon
    return {
        "kind": asset.kind,
        "name": asset.name,
        "label": asset.label,
        "key_type": asset.key_type,
        "signed_with": asset.signed_with,
        "exposure": asset.exposure,
        "beyond": beyond and asset.exposure is not Exposure.NONE,
        "not_after": asset.not_after,
        "renewal": asset.renewal,
    }
