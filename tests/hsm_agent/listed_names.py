"""Rules for certificates that list names of every form, and such that list none."""

HEAD = "[profiles.issuing.cert]\nextended-key-usage = ['serverAuth']\n"
BODY = (
    HEAD
    + """
dns = ["example.com", "internal.example"]
email = ["example.com", "bob@example.org"]
ip = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]
uri = ["example.com", "urn:"]
upn = ["ad.example.com"]
dirname = ["CN=*,O=Example"]
other-names = ["1.2.3.4"]
"""
)
