"""Requests as their callers make them: with a certificate, a code, or nothing."""

import base64

import falcon.testing

from pikaserver.api.web import CONNECTION_KEY, ClientConnection, TlsSession


def request(certificate=None, authorization=None, *, tls=True, address="192.0.2.1", fault=None):
    session = TlsSession("TLSv1.3", "any", certificate, {}, fault) if tls else None
    connection = ClientConnection("devices", address, session)
    headers = {} if authorization is None else {"Authorization": authorization}
    environ = falcon.testing.create_environ(headers=headers)
    return falcon.Request({**environ, CONNECTION_KEY: connection})


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
