"""Commands that enrol with a challenge, ready to be run."""

from shlex import quote

from pikaserver_scep.challenges.binding import WORDS, Binding

_FLAGS = {"dns": "-D", "ip": "-A", "email": "-E"}
_PLACEHOLDER = "device-1"


def strongswan(url: str, secret: str, bound: Binding) -> str:
    """Return the commands of strongSwan's pki: a key, the CA certificates, the certificate.

    Where the authority answers by itself, there is no ``ra.pem``.
    """
    names = "".join(f" --san {quote(text.partition(':')[2])}" for text in bound.name_texts)
    subject = quote(_subject(bound, general_first=True))
    return (
        "pki --gen --type rsa --size 3072 --outform pem > key.pem\n"
        f"pki --scepca --url {quote(url)} --caout ca.pem --raout ra.pem --outform pem\n"
        "RA=ra.pem; [ -e ra.pem ] || RA=ca-1.pem; [ -e $RA ] || RA=ca.pem\n"
        f"pki --scep --url {quote(url)} --in key.pem --dn {subject}{names}"
        f" --password {quote(secret)} --cacert-enc $RA --cacert-sig $RA"
        " $(printf -- '--cacert %s ' ca*.pem) --outform pem > cert.pem"
    )


def certmonger(url: str, secret: str, bound: Binding) -> str:
    """Return the commands of certmonger, which renews the certificate by itself later."""
    pairs = (text.partition(":") for text in bound.name_texts)
    names = "".join(f" {_FLAGS[kind]} {quote(text)}" for kind, _, text in pairs)
    return (
        f"getcert add-scep-ca -c pikaserver -u {quote(url)}\n"
        "getcert request -c pikaserver -k /etc/pki/tls/private/device.key"
        f" -f /etc/pki/tls/certs/device.crt -N {quote(_subject(bound))}{names} -L {quote(secret)}"
    )


def _subject(bound: Binding, *, general_first: bool = False) -> str:
    if bound.subject is not None and general_first:
        return ", ".join(one.rfc4514_string(WORDS) for one in bound.subject.rdns)
    if bound.subject is not None:
        return bound.subject_text or ""
    if bound.common_name is not None:
        return f"CN={bound.common_name}"
    texts = [text.partition(":")[2] for text in bound.name_texts]
    return f"CN={texts[0] if texts else _PLACEHOLDER}"
