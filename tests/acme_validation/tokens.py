"""What an order and its account say: a token, its key authorization, and where each stands."""

import base64
import hashlib

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"  # noqa: S105 - it is public, in a URL


KEY_AUTHORIZATION = f"{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"


ACCOUNT = "https://pki.example/acme/web/account/7"


PATH = f"/.well-known/acme-challenge/{TOKEN}"


DIGEST = (
    base64.urlsafe_b64encode(hashlib.sha256(KEY_AUTHORIZATION.encode()).digest())
    .rstrip(b"=")
    .decode()
)
