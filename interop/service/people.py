"""People in an unmodified Chromium: passkeys, a login at the unmodified oidc-provider of Node, what acts for a user.

A server of its own, because an identity provider is a matter of the configuration. Everything is on loopback, bounded in
time, and stopped by its process id.
"""

import datetime
import ipaddress
import json
import os
import shutil
import subprocess
import sys
import tempfile

from _server import NODE_FOLDER, ROOT, Server, free_port, skip
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROVIDER = """
[people.providers.corp]
issuer = "https://localhost:{op}"
client_id = "tabard"
client_secret = {{ file = "secret" }}
ca = "op.pem"
"""


def certificate(folder):
    """A certificate for localhost that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = os.path.join(folder, "op.pem"), os.path.join(folder, "op.key")
    with open(paths[0], "wb") as file:
        file.write(made.public_bytes(serialization.Encoding.PEM))
    with open(paths[1], "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return paths


def both(folder, *files):
    """What the provider trusts: its own certificate, as a client of itself, and ours, where it says who logged out."""
    path = os.path.join(folder, "both.pem")
    with open(path, "wb") as together:
        for file in files:
            with open(file, "rb") as one:
                together.write(one.read())
    return path


def main():
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if node is None or chromium is None:
        skip("no node and chromium on PATH")
    if not os.path.isdir(os.path.join(NODE_FOLDER, "node_modules", "playwright-core")):
        skip("no npm packages; fix: npm ci in interop/node")
    with tempfile.TemporaryDirectory(prefix="tp-") as folder:
        op = free_port()
        chain, key = certificate(folder)
        secret = "a-secret-of-the-interop-suite"
        with open(os.path.join(folder, "secret"), "w", encoding="ascii") as file:
            file.write(secret)
        with Server(folder, PROVIDER.format(op=op)) as server:
            handed = {
                "url": server.url,
                "op": {"port": op, "cert": chain, "key": key, "secret": secret},
                "chromium": chromium,
                "contract": os.path.join(ROOT, "tabard", "demo", "demo-billing.yaml"),
                "folder": folder,
            }
            ended = subprocess.run(
                [node, os.path.join(NODE_FOLDER, "people.mjs")],
                input=json.dumps(handed).encode(),
                env=server.environment | {"NODE_EXTRA_CA_CERTS": both(folder, chain, server.root)},
                timeout=180,
                check=False,
            )
            if ended.returncode != 0:
                print(server.log(), file=sys.stderr)
        sys.exit(ended.returncode)


main()
