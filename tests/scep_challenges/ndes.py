"""An account of the NDES page, the page before it, and how a program finds the password."""

import re

from pikaserver.testing.client import ServiceClient
from pikaserver_scep.challenges.accounts import NdesAccounts
from pikaserver_scep.challenges.secrets import hashed
from pikaserver_scep.challenges.tables import ndes_account
from pikaserver_scep.plugin import register_services
from tests.scep_challenges.house import House

PAGE = "/scep/device/mscep_admin/"


USER = ("EXAMPLE\\mdm", "open sesame, please")


def fleet(page):
    """Find the password as Fleet does: UTF-16, then one expression."""
    return re.search(
        r"(?i)The enrollment challenge password is: <B> (?P<password>\S*)", page.decode("utf-16")
    )["password"]


def add_account(house):
    """Add the account of `USER`, whose password is hashed quickly, as one that we made."""
    NdesAccounts(house.server).create(USER[0], "test")
    kept = hashed(USER[1], house.server.entropy, chosen=False)
    with house.server.database.transaction() as connection:
        connection.execute(ndes_account.update().values(salt=kept.salt, hash=kept.hash))


def make_house(**ndes):
    house = House(ndes=ndes, templates={"device": {"methods": ["ndes", "one-time"]}, "laptop": {}})
    add_account(house)
    house.client = ServiceClient(*register_services(house.server))
    return house
