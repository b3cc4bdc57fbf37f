"""Slapd as a directory."""

import base64
import contextlib
import os
import subprocess
from urllib.parse import quote

from pikaserver.testing.servers import free_port
from tests.publish.programs import listens, program, started

SLAPD = """
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCACertificateFile {ca}
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient try
sockbuf_max_incoming_auth 67108864
authz-regexp "cn=publisher" "cn=admin,dc=example,dc=com"
authz-regexp "gidNumber=.*uidNumber={uid},cn=peercred,cn=external,cn=auth"
  "cn=admin,dc=example,dc=com"
database mdb
suffix "dc=example,dc=com"
directory {folder}/db
rootdn "cn=admin,dc=example,dc=com"
rootpw sesame
access to dn.subtree="cn=forbidden,ou=pki,dc=example,dc=com" by * read
access to * by dn.exact="cn=writer,dc=example,dc=com" write by * read
"""


ENTRIES = """
dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=pki,dc=example,dc=com
objectClass: organizationalUnit
ou: pki

dn: cn=writer,dc=example,dc=com
objectClass: person
cn: writer
sn: writer
userPassword: sesame
"""


class Directory:
    """A slapd: ``ldap``, ``ldaps`` and ``ldapi`` are its URLs."""

    def __init__(self, folder, ports):
        self.folder = folder
        self.ldap, self.ldaps = (
            f"{scheme}://localhost:{port}"
            for scheme, port in zip(("ldap", "ldaps"), ports, strict=True)
        )
        self.ldapi = f"ldapi://{quote(str(folder / 'slapd.sock'), safe='')}"

    def search(self, entry, attribute):
        """Return the values of an attribute as ldapsearch, or None where there is no entry."""
        ldapsearch = program("ldapsearch", "ldap-utils")
        url = ["-H", self.ldapi, "-LLL", "-x", "-o", "ldif-wrap=no"]
        query = ["-s", "base", "-b", entry, "(objectClass=*)", attribute]
        done = subprocess.run(
            [ldapsearch, *url, *query], capture_output=True, text=True, check=False
        )
        if done.returncode == 32:
            return None
        assert 0 == done.returncode, done.stderr
        rows = [line.partition(":: ")[2] for line in done.stdout.splitlines() if ":: " in line]
        return [base64.b64decode(row) for row in rows]


@contextlib.contextmanager
def directory(folder, pki):
    """Give a slapd with an empty ``ou=pki,dc=example,dc=com``; ``cn=writer`` may write below."""
    slapd, ports = program("slapd", "slapd"), (free_port(), free_port())
    certificate, key = pki.identity("ldap")
    (folder / "db").mkdir()
    values = {"folder": folder, "ca": pki.ca, "certificate": certificate, "key": key}
    config = folder / "slapd.conf"
    config.write_text(SLAPD.format(uid=os.getuid(), **values))
    (folder / "entries.ldif").write_text(ENTRIES)
    slapadd = program("slapadd", "slapd")
    load = [slapadd, "-f", config, "-l", folder / "entries.ldif"]
    subprocess.run(load, check=True, capture_output=True)
    found = Directory(folder, ports)
    listeners = f"ldap://127.0.0.1:{ports[0]} ldaps://127.0.0.1:{ports[1]} {found.ldapi}"
    command = [slapd, "-d", "0", "-f", config, "-h", listeners]
    with started(command, folder / "slapd.log", until=listens(ports[1])):
        yield found
