"""A client of EST that enrols and renews over HTTP."""

import base64

from pikaserver.asn1.cms import read_certificates_only
from pikaserver.testing.throw_away import throw_away_request

BASE = "/.well-known/est"


PKCS10 = {"Content-Type": "application/pkcs10"}


CODE = ("4711", "sesame")


def body(key, common_name="plc-21", *names):
    return base64.b64encode(throw_away_request(key, common_name, *names))


def enroll(est, octets, *, path=f"{BASE}/simpleenroll", headers=PKCS10, user=CODE, **who):
    return est.send("POST", path, octets, headers=headers, user=user, **who)


def reenroll(est, octets, certificate, path=f"{BASE}/simplereenroll"):
    return enroll(est, octets, path=path, user=None, certificate=certificate)


def certificates(answer):
    return read_certificates_only(base64.b64decode(answer.content))
