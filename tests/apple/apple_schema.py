"""What Apple's device management documentation says of the payloads that we write.

Keys, types and which of them have to be there: pages "TopLevel", "CommonPayloadKeys",
"CertificateRoot", "CertificatePKCS1", "SCEP" and "ACMECertificate" of that documentation.
"""

import re

_UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")
_COMMON = {
    "PayloadType": (str, True),
    "PayloadVersion": (int, True),
    "PayloadIdentifier": (str, True),
    "PayloadUUID": (str, True),
    "PayloadDisplayName": (str, False),
    "PayloadDescription": (str, False),
    "PayloadOrganization": (str, False),
}
_TOP = {**_COMMON, "PayloadContent": (list, True), "PayloadRemovalDisallowed": (bool, False)}
_CERTIFICATE = {
    **_COMMON,
    "PayloadContent": (bytes, True),
    "PayloadCertificateFileName": (str, False),
}
_SCEP = {**_COMMON, "PayloadContent": (dict, True)}
_SCEP_CONTENT = {
    "URL": (str, True),
    "Name": (str, False),
    "Subject": (list, False),
    "Challenge": (str, False),
    "Keysize": (int, False),
    "Key Type": (str, False),
    "Key Usage": (int, False),
    "CAFingerprint": (bytes, False),
    "Retries": (int, False),
    "RetryDelay": (int, False),
    "SubjectAltName": (dict, False),
}
_ACME = {
    **_COMMON,
    "DirectoryURL": (str, True),
    "ClientIdentifier": (str, True),
    "KeyType": (str, True),
    "KeySize": (int, True),
    "HardwareBound": (bool, True),
    "Subject": (list, True),
    "SubjectAltName": (dict, False),
    "UsageFlags": (int, False),
    "ExtendedKeyUsage": (list, False),
    "Attest": (bool, False),
}
_NAMES = {"dNSName", "rfc822Name", "uniformResourceIdentifier", "ntPrincipalName"}
_PAYLOADS = {
    "com.apple.security.root": _CERTIFICATE,
    "com.apple.security.pkcs1": _CERTIFICATE,
    "com.apple.security.scep": _SCEP,
    "com.apple.security.acme": _ACME,
}


def check_profile(profile):
    """Fail where a profile is not of that shape; return its payloads by their types."""
    _check(profile, _TOP)
    assert ("Configuration", 1) == (profile["PayloadType"], profile["PayloadVersion"])
    payloads = profile["PayloadContent"]
    for payload in payloads:
        _check(payload, _PAYLOADS[payload["PayloadType"]])
        assert payload["PayloadIdentifier"].startswith(profile["PayloadIdentifier"] + ".")
    everyone = [profile, *payloads]
    assert len(everyone) == len({one["PayloadUUID"] for one in everyone})
    assert len(everyone) == len({one["PayloadIdentifier"] for one in everyone})
    found = {}
    for payload in payloads:
        found.setdefault(payload["PayloadType"].removeprefix("com.apple.security."), []).append(
            payload
        )
    for payload in found.get("scep", []):
        _check(payload["PayloadContent"], _SCEP_CONTENT)
        _check_subject(payload["PayloadContent"])
        assert payload["PayloadContent"]["Key Usage"] in (1, 4, 5)
    for payload in found.get("acme", []):
        _check_subject(payload)
        # Bound to the hardware: the Secure Enclave makes keys on these two curves only.
        assert ("ECSECPrimeRandom", True) == (payload["KeyType"], payload["HardwareBound"])
        assert payload["KeySize"] in (256, 384)
    return found


def _check(table, schema):
    assert set(table) <= set(schema), set(table) - set(schema)
    for key, (kind, required) in schema.items():
        assert key in table or not required, key
        # A bool is an int to Python, and not to a property list.
        assert key not in table or type(table[key]) is kind, (key, table[key])
    if "PayloadUUID" in table:
        assert _UUID.fullmatch(table["PayloadUUID"])


def _check_subject(content):
    for rdn in content["Subject"]:
        for short, value in rdn:
            assert re.fullmatch(r"C|L|ST|O|OU|CN|[0-2](\.\d+)+", short)
            assert isinstance(value, str)
    assert set(content.get("SubjectAltName", {})) <= _NAMES
