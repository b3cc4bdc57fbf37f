"""Documents as answers in JSON."""

import falcon

from pikaserver_rest.documents import Document


def answer(response: falcon.Response, document: Document) -> None:
    """Make a document the answer."""
    response.content_type = falcon.MEDIA_JSON
    # The line end is for people who read it in a terminal.
    response.data = f"{document.model_dump_json(by_alias=True)}\n".encode()
