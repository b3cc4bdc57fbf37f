"""Which names hold secrets, how a text is freed of them, and how memory keeps them."""

import re
import resource
from functools import lru_cache

MASK = "********"

_SECRET_WORDS = frozenset(
    {"challenge", "passphrase", "password", "pin", "pkcs8", "secret", "token"},
)
_WORDS = re.compile(r"[a-z0-9]+")
# SQLAlchemy takes any character in a password; rather too much is masked than too little.  The
# bound keeps a text full of half URLs, which anybody can have logged, from taking seconds.
_URL_PASSWORD = re.compile(r"(?<=://)([^/?#\s:@]*):(\S{0,256})@")
_QUERY_PASSWORD = re.compile(r"(?i)([?&](?:password|sslpassword)=)[^&#\s]*")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL
)


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Tell whether a field or setting of this name holds a secret: its last word decides.

    So ``challenge-password`` does, and neither ``token-lifetime`` nor ``pin-file``.
    """
    words = _WORDS.findall(name.lower())
    return bool(words) and words[-1] in _SECRET_WORDS


def without_secrets(text: str) -> str:
    """Mask passwords within URLs, and private keys in PEM."""
    # Every line of the log comes through here, and most texts have nothing of all this.
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
    if "=" in text:
        text = _QUERY_PASSWORD.sub(rf"\1{MASK}", text)
    if "-----BEGIN" in text:
        text = _PRIVATE_KEY.sub(rf"-----BEGIN \1-----{MASK}", text)
    return text


def forbid_core_dumps() -> None:
    """Let no core dump of this process hold keys and passphrases."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
