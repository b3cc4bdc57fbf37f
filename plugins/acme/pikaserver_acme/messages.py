"""The objects of ACME as JSON (RFC 8555 section 7.1)."""

from collections.abc import Mapping, Sequence

from pikaserver_acme.finalizing import shown as shown_order
from pikaserver_acme.jose.keys import stored_key
from pikaserver_acme.moments import written
from pikaserver_acme.places import Places
from pikaserver_acme.policies.rules import PolicyRules
from pikaserver_acme.proving import shown as shown_authorization
from pikaserver_acme.records import (
    Account,
    Authorization,
    Challenge,
    Order,
    Policy,
    Renewal,
    Status,
)

Document = dict[str, object]

RESOURCES: Mapping[str, str] = {
    "newNonce": "new-nonce",
    "newAccount": "new-account",
    "newOrder": "new-order",
    "newAuthz": "new-authz",
    "revokeCert": "revoke-cert",
    "keyChange": "key-change",
    "renewalInfo": "renewal-info",
}
"""What the directory names, and the last word of each URL."""


def directory(policy: Policy, places: Places, *, with_pairs: bool) -> Document:
    """Return the directory of a policy (section 7.1.1)."""
    found: Document = {name: places.named(path) for name, path in RESOURCES.items()}
    found["meta"] = _meta(policy.rules) | pairs(offered=with_pairs)
    return found


def pairs(*, offered: bool) -> Document:
    """Return how a directory or an order says that finalize takes a ``relatedCsr``."""
    return {"relatedCsrAllowed": True} if offered else {}


def _meta(rules: PolicyRules) -> Document:
    meta: Document = {"externalAccountRequired": rules.eab == "required"}
    if rules.terms_of_service is not None:
        meta["termsOfService"] = rules.terms_of_service
    if rules.website is not None:
        meta["website"] = rules.website
    if rules.caa_identities:
        meta["caaIdentities"] = list(rules.caa_identities)
    if rules.profiles:
        meta["profiles"] = {name: one.description or name for name, one in rules.profiles.items()}
    if rules.subdomains:
        meta["subdomainAuthAllowed"] = True
    if rules.auto_renewal.allowed:
        meta["auto-renewal"] = {
            "min-lifetime": rules.auto_renewal.least_lifetime_seconds,
            "max-duration": rules.auto_renewal.longest_duration_seconds,
            "allow-certificate-get": rules.auto_renewal.get_without_account,
        }
    return meta


def account(found: Account, places: Places) -> Document:
    """Return an account (section 7.1.2)."""
    document: Document = {
        "status": found.status.value,
        "contact": list(found.contacts),
        "orders": places.orders(found.id),
        "key": stored_key(found.key).document(),
        "createdAt": written(found.created_at),
    }
    if found.terms_agreed_at is not None:
        document["termsOfServiceAgreed"] = True
    return document


def order(
    found: Order, places: Places, authorizations: Sequence[int], renewal: Renewal | None, now: int
) -> Document:
    """Return an order (section 7.1.3)."""
    status = shown_order(found, now)
    document: Document = {
        "status": status.value,
        "expires": written(found.expires_at),
        "identifiers": [one.document() for one in found.identifiers],
        "authorizations": [places.authorization(one) for one in authorizations],
        "finalize": f"{places.order(found.id)}/finalize",
    }
    optional: Document = {
        "notAfter": None if found.not_after is None else written(found.not_after),
        "profile": found.profile,
        "replaces": found.replaces,
        "error": None if found.error is None else dict(found.error),
    }
    document |= {name: value for name, value in optional.items() if value is not None}
    if renewal is not None:
        document["auto-renewal"] = auto_renewal(renewal)
    if status is Status.VALID:
        if renewal is None:
            document["certificate"] = places.certificate(found.id)
        else:
            document["star-certificate"] = places.star(renewal.token)
    return document


def auto_renewal(renewal: Renewal) -> Document:
    """Return what was asked for (RFC 8739 section 3.1.1)."""
    return {
        "start-date": written(renewal.start_at),
        "end-date": written(renewal.end_at),
        "lifetime": renewal.lifetime_seconds,
        "lifetime-adjust": renewal.adjust_seconds,
        "allow-certificate-get": renewal.allow_get,
    }


def authorization(
    found: Authorization,
    challenges: Sequence[Document],
    now: int,
) -> Document:
    """Return an authorization (section 7.1.4); of one that was proved, the challenge that did."""
    document: Document = {
        "identifier": found.identifier.document(),
        "status": shown_authorization(found, now).value,
        "expires": written(found.expires_at),
        "challenges": list(challenges),
    }
    if found.wildcard:
        document["wildcard"] = True
    if found.subdomains:
        document["subdomainAuthAllowed"] = True
    return document


def challenge(
    found: Challenge, places: Places, attempts: Sequence[Mapping[str, object]], rules: PolicyRules
) -> Document:
    """Return a challenge (section 8); ``attempts`` is ours: what was tried, line by line."""
    document: Document = {
        "type": found.type,
        "url": places.challenge(found.id),
        "status": found.status.value,
    }
    if found.type == "dns-persist-01":
        # Its record holds the account, not a token.
        document["issuer-domain-names"] = list(rules.caa_identities)
    else:
        document["token"] = found.token
    if found.validated_at is not None:
        document["validated"] = written(found.validated_at)
    if found.error is not None:
        document["error"] = dict(found.error)
    if attempts:
        document["attempts"] = [
            {"number": one["number"], "at": _at(one["at"]), "line": one["line"]} for one in attempts
        ]
    return document


def _at(value: object) -> str:
    return written(int(str(value)))
