"""``/api/v1/openapi.json``: OpenAPI 3.1, made from the models that bodies and answers are."""

import falcon
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from pikaserver_rest.documents import ProblemDocument
from pikaserver_rest.formats import Format
from pikaserver_rest.operations import OPERATIONS, Operation, Parameter
from pikaserver_rest.problems import MEDIA_TYPE
from pikaserver_rest.wishes import JSON, PKCS10

VERSION = "1.0.0"
"""Of the description: the first number is the one in the path."""

_ABOUT = (
    "Certificates for programs: ask, renew, look up, revoke. Each problem's type is an address"
    " of this server that says what to do."
)
_SCHEMES = {
    "code": {
        "type": "http",
        "scheme": "basic",
        "description": "An enrolment code: its user, and the code as password.",
    },
    "certificate": {"type": "mutualTLS", "description": "A certificate of this server, in TLS."},
}
_MEANING = {
    200: "Here it is.",
    201: "The certificate is issued; Location is where it stays.",
    202: "A person decides; ask at Location after Retry-After.",
}

Json = dict[str, object]


class Description:
    """``GET /api/v1/openapi.json``."""

    def __init__(self) -> None:
        self._document = describe()

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer the description."""
        response.media = self._document


def describe() -> Json:
    """Return the description of all operations."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "pikaserver", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": _SCHEMES},
    }


def _schemas() -> Json:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ProblemDocument, "serialization")]
    for operation in OPERATIONS:
        wanted += [(model, "serialization") for _, model in operation.answers]
        if operation.body is not None:
            wanted.append((operation.body, "validation"))
    place = "#/components/schemas/{model}"
    _, found = models_json_schema([*dict.fromkeys(wanted)], by_alias=True, ref_template=place)
    schemas: Json = found["$defs"]
    return schemas


def _operation(operation: Operation) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [_parameter(one) for one in operation.parameters],
        "responses": _answers(operation),
        "security": [{name: []} for name in operation.security],
    }
    if operation.body is not None:
        content: Json = {JSON: {"schema": _reference(operation.body)}}
        if operation.bare:
            content[PKCS10] = {}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": {"type": parameter.kind},
    }


def _answers(operation: Operation) -> Json:
    answers: Json = {}
    for number, (status, model) in enumerate(operation.answers):
        content: Json = {JSON: {"schema": _reference(model)}}
        if operation.forms and number == 0:
            content |= {one.media_type: {} for one in Format if one is not Format.JSON}
        answers[str(status)] = {"description": _MEANING[status], "content": content}
    problem = {MEDIA_TYPE: {"schema": _reference(ProblemDocument)}}
    answers["default"] = {"description": "A problem (RFC 9457).", "content": problem}
    return answers


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
