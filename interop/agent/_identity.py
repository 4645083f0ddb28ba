"""What an agent has from the SPIFFE Workload API, fetched with the unmodified py-spiffe client.

The issuer's address is the JWT-SVID's `iss`, and the X.509 bundle verifies the issuer's TLS: an agent needs to be told
nothing but the socket (SPIFFE_ENDPOINT_SOCKET).
"""

import base64
import json
import os
import stat
import sys
import tempfile

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from spiffe import WorkloadApiClient

SKIPPED = 77


def skip(why):
    """Ends the script as skipped; the runner shows the reason."""
    print(why, file=sys.stderr)
    sys.exit(SKIPPED)


def claims(token):
    """The payload of a JWT, not verified."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


class Identity:
    """One fetch of everything, and files for clients that want files."""

    def __init__(self, audience):
        with WorkloadApiClient() as client:
            self.x509 = client.fetch_x509_svid()
            self.bundles = client.fetch_x509_bundles()
            self.jwt_svid = client.fetch_jwt_svid({audience}).token if audience else self._for_issuer(client)
        self.issuer = claims(self.jwt_svid)["iss"]
        self.folder = tempfile.TemporaryDirectory(prefix="tabard-interop-")
        chain = b"".join(cert.public_bytes(Encoding.PEM) for cert in self.x509.cert_chain)
        domain = self.x509.spiffe_id.trust_domain
        roots = self.bundles.get_bundle_for_trust_domain(domain).x509_authorities
        self.chain_file = self._file("chain.pem", chain)
        self.key_file = self._file("key.pem", self.key_pem())
        self.ca_file = self._file("ca.pem", b"".join(root.public_bytes(Encoding.PEM) for root in roots))

    @staticmethod
    def _for_issuer(client):
        """A JWT-SVID whose audience is the issuer, as the token endpoint wants it for a subject token."""
        first = client.fetch_jwt_svid({"interop"}).token
        return client.fetch_jwt_svid({claims(first)["iss"]}).token

    def key_pem(self):
        return self.x509.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def _file(self, name, content):
        path = os.path.join(self.folder.name, name)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR), "wb") as file:
            file.write(content)
        return path
