"""Microsoft's side of Intune's SCEP validation, by what Microsoft has published.

The shapes are those that Microsoft's open client library (Intune-Resource-Access, CsrValidation)
sends and reads: tokens of Entra by client credentials, the endpoints of Intune's service
principal in Microsoft Graph, the actions of ScepRequestValidationFEService, and the orders to
revoke of PkiConnectorFEService.  Whatever is not of that shape is answered with 400.
"""

import base64
import json
import re
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from pikaserver.asn1.csr import read_csr
from tests.scep_challenges.tls_place import Quiet

TENANT = "contoso.onmicrosoft.com"
APPLICATION = "11111111-2222-3333-4444-555555555555"
SECRET = "client~secret.value"  # noqa: S105 - the stand-in's
ENDPOINTS = "/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class IntuneState:
    """What the tenant knows, and how the service behaves now."""

    def __init__(self):
        self.down = False
        self.places_down = False
        self.prefix = "/shard-1"
        self.generation = 1
        self.tokens_given = 0
        self.refuse = {}  # action -> code
        self.challenges = {"intune-blob"}
        self.validated = []
        self.successes = []
        self.failures = []
        self.orders = []
        self.results = []
        self.take_results = True
        self.log = []

    def expire_tokens(self):
        self.generation += 1


class Malformed(Exception):
    """The client does not speak as Microsoft's does."""


def _want(condition, what):
    if not condition:
        raise Malformed(what)


class IntuneHandler(Quiet):
    """One request; ``server.state`` is an `IntuneState`."""

    @property
    def state(self):
        return self.server.state

    def do_GET(self):  # noqa: N802 - as http.server calls it
        """Answer for Microsoft Graph."""
        self._answered(self._graph)

    def do_POST(self):  # noqa: N802 - as http.server calls it
        """Answer for Entra and for Intune."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlsplit(self.path).path
        if path == f"/{TENANT}/oauth2/v2.0/token":
            self._answered(lambda: self._token(body))
        else:
            self._answered(lambda: self._action(path, body))

    def _answered(self, deed):
        self.state.log.append(urlsplit(self.path).path)
        if self.state.down:
            self._send(503, {"error": {"code": "ServiceUnavailable"}})
            return
        try:
            status, answer = deed()
        except Malformed as problem:
            status, answer = 400, {"error": {"code": "BadRequest", "message": str(problem)}}
        self._send(status, answer)

    def _send(self, status, answer):
        octets = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; odata.metadata=minimal")
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def _token(self, body):
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if fields.get("client_id") != APPLICATION or fields.get("client_secret") != SECRET:
            return 401, {"error": "invalid_client", "error_description": "AADSTS7000215: wrong"}
        _want(fields.get("grant_type") == "client_credentials", "grant_type")
        _want(fields.get("scope", "").endswith("/.default"), "scope")
        self.state.tokens_given += 1
        resource = "intune" if "manage" in fields["scope"] else "graph"
        token = f"{resource}-{self.state.generation}"
        return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token}

    def _graph(self):
        _want(self.path == ENDPOINTS, "path")
        _want(_UUID.fullmatch(self.headers["client-request-id"]), "client-request-id")
        if self.headers["Authorization"] != f"Bearer graph-{self.state.generation}":
            return 401, {"error": {"code": "InvalidAuthenticationToken"}}
        if self.state.places_down:
            return 403, {"error": {"code": "Authorization_RequestDenied"}}
        here = f"https://127.0.0.1:{self.server.server_port}{self.state.prefix}"
        names = ("ScepRequestValidationFEService", "PkiConnectorFEService", "NACAPIService")
        return 200, {
            "value": [
                {"providerName": name, "capability": name, "uri": f"{here}/{name}"}
                for name in names
            ]
        }

    def _action(self, path, body):
        if not path.startswith(f"{self.state.prefix}/"):
            return 404, {"error": {"code": "NotFound"}}
        if self.headers["Authorization"] != f"Bearer intune-{self.state.generation}":
            return 401, {"error": {"code": "Unauthorized"}}
        _want(self.headers["Content-Type"].startswith("application/json"), "Content-Type")
        _want(_UUID.fullmatch(self.headers["client-request-id"]), "client-request-id")
        service, _, action = path.removeprefix(f"{self.state.prefix}/").partition("/")
        fields = json.loads(body)
        if service == "ScepRequestValidationFEService":
            _want(self.headers["api-version"] == "2018-02-20", "api-version")
            return 200, self._scep(action, fields)
        _want(self.headers["api-version"] == "5019-05-05", "api-version")
        return 200, self._revocations(action, fields)

    def _scep(self, action, fields):
        ((outer, inner),) = fields.items()
        _want(outer == ("request" if action.endswith("validateRequest") else "notification"), outer)
        _want(inner["transactionId"] and inner["callerInfo"], "transactionId, callerInfo")
        csr = read_csr(base64.b64decode(inner["certificateRequest"], validate=True))
        name = action.removeprefix("ScepActions/")
        code = self.state.refuse.get(name) or getattr(self, f"_{name}")(inner, csr)
        return {
            "@odata.context": "https://manage.microsoft.com/$metadata#scepActions",
            "code": code,
            "errorDescription": "" if code == "Success" else "it was not so",
        }

    def _validateRequest(self, fields, csr):  # noqa: N802 - Microsoft's name
        self.state.validated.append(fields["transactionId"])
        known = csr.challenge_password in self.state.challenges
        return "Success" if known else "ChallengeDecryptionError"

    def _successNotification(self, fields, csr):  # noqa: N802 - Microsoft's name
        _want(re.fullmatch(r"[0-9A-F]{40}", fields["certificateThumbprint"]), "thumbprint")
        _want(re.fullmatch(r"[0-9A-F]+", fields["certificateSerialNumber"]), "serial")
        datetime.fromisoformat(fields["certificateExpirationDateUtc"])
        _want("CN=" in fields["issuingCertificateAuthority"], "issuer")
        self.state.successes.append(fields)
        return "Success"

    def _failureNotification(self, fields, csr):  # noqa: N802 - Microsoft's name
        _want(0 <= fields["hResult"] < 1 << 32, "hResult")
        _want(0 < len(fields["errorDescription"]) <= 255, "errorDescription")
        self.state.failures.append(fields)
        return "Success"

    def _revocations(self, action, fields):
        name = action.removeprefix("CertificateAuthorityRequests/")
        if name == "downloadRevocationRequests":
            wish = fields["downloadParameters"]
            _want(1 <= wish["maxRequests"] <= 500, "maxRequests")
            return {"value": self.state.orders[: wish["maxRequests"]]}
        _want(name == "uploadRevocationResults", name)
        for result in fields["results"]:
            _want(result["succeeded"] == (result["errorCode"] == 0), "errorCode")
        if self.state.take_results:
            self.state.results += fields["results"]
            done = {result["requestContext"] for result in fields["results"]}
            self.state.orders = [o for o in self.state.orders if o["requestContext"] not in done]
        return {"value": self.state.take_results}


BLOB = "intune-blob"
