"""What to type into clients, with a directory and, where it is wanted, an external account."""

from collections.abc import Mapping

_CERTBOT = "REQUESTS_CA_BUNDLE=root.pem certbot certonly --server {url} --standalone"
_ACME_SH = "acme.sh --issue --server {url} --ca-bundle root.pem --standalone"
_LEGO = (
    "LEGO_CA_CERTIFICATES=root.pem lego --server {url} --email you@example.com --accept-tos --http"
)

CLIENTS = (
    ("certbot", f"{_CERTBOT} -d www.example.com"),
    ("acme.sh", f"{_ACME_SH} -d www.example.com"),
    ("lego", f"{_LEGO} --domains www.example.com run"),
    ("Caddy", "acme_ca {url}  # and acme_ca_root /path/root.pem, in the global options"),
)
"""Ready commands without an external account; ``{url}`` is the directory's."""

_CERT_MANAGER = """\
kubectl create secret generic pikaserver-eab -n cert-manager --from-literal=hmac={hmac}
kubectl apply -f - <<'EOF'
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata:
  name: pikaserver
spec:
  acme:
    server: {url}
    caBundle: BASE64-OF-ROOT-PEM
    privateKeySecretRef:
      name: pikaserver-account
    externalAccountBinding:
      keyID: {kid}
      keySecretRef:
        name: pikaserver-eab
        key: hmac
    solvers:
      - http01:
          ingress:
            ingressClassName: nginx
EOF"""

_BOUND: Mapping[str, str] = {
    "certbot": "REQUESTS_CA_BUNDLE=root.pem certbot certonly --server {url} --standalone"
    " --eab-kid {kid} --eab-hmac-key {hmac} -d www.example.com",
    "acme.sh": "acme.sh --register-account --server {url} --ca-bundle root.pem"
    " --eab-kid {kid} --eab-hmac-key {hmac}",
    "lego": "LEGO_CA_CERTIFICATES=root.pem lego --server {url} --email you@example.com"
    " --accept-tos --eab --kid {kid} --hmac {hmac} --http --domains www.example.com run",
    "Caddy": "acme_ca {url}\nacme_ca_root /path/root.pem\nacme_eab {{\n"
    "    key_id {kid}\n    mac_key {hmac}\n}}",
    "Traefik": "certificatesResolvers:\n  pikaserver:\n    acme:\n      caServer: {url}\n"
    "      caCertificates: [/path/root.pem]\n      storage: acme.json\n"
    "      eab:\n        kid: {kid}\n        hmacEncoded: {hmac}\n"
    "      httpChallenge:\n        entryPoint: web",
    "cert-manager": _CERT_MANAGER,
    "win-acme": "wacs.exe --baseuri {url} --accepttos --eab-key-identifier {kid}"
    " --eab-key {hmac} --host www.example.com",
    "Certify": "Certificate Authorities > Edit > ACME directory {url};"
    " then New Account > Advanced: EAB key ID {kid}, key {hmac}, algorithm HS256",
}


def bound_commands(url: str, kid: str, hmac: str) -> dict[str, str]:
    """Return what each client is told of an external account."""
    return {name: text.format(url=url, kid=kid, hmac=hmac) for name, text in _BOUND.items()}
