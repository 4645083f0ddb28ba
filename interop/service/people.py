"""People in an unmodified Chromium: passkeys, a login at the unmodified oidc-provider of Node, what acts for a user.

A server of its own, because an identity provider is a matter of the configuration. Everything is on loopback, bounded in
time, and stopped by its process id.
"""

import datetime
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
NODE_FOLDER = os.path.join(HERE, "..", "node")
SKIPPED = 77


def skip(why):
    print(f"people: {why}", file=sys.stderr)
    sys.exit(SKIPPED)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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


CONFIG = """
[server]
data_dir = "data"
listen = "127.0.0.1:{server}"
issuer = "https://127.0.0.1:{server}"
trust_domain = "people.test"
[keys]
kek = {{ file = "kek" }}
[log]
checkpoint_copy = "checkpoint"
[people]
listen = "127.0.0.1:{people}"
url = "https://localhost:{people}"
[people.providers.corp]
issuer = "https://localhost:{op}"
client_id = "tabard"
client_secret = {{ file = "secret" }}
ca = "op.pem"
"""


def main():
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if node is None or chromium is None:
        skip("no node and chromium on PATH")
    if not os.path.isdir(os.path.join(NODE_FOLDER, "node_modules", "playwright-core")):
        skip("no npm packages; fix: npm ci in interop/node")
    with tempfile.TemporaryDirectory(prefix="tp-") as folder:
        ports = {"server": free_port(), "people": free_port(), "op": free_port()}
        chain, key = certificate(folder)
        secret = "a-secret-of-the-interop-suite"
        with open(os.path.join(folder, "secret"), "w", encoding="ascii") as file:
            file.write(secret)
        config = os.path.join(folder, "server.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(**ports))
        environment = os.environ | {"TABARD_CONFIG_DIR": os.path.join(folder, "config")}
        command = ["tabard", "server", "--config", config, "--found", "acme", "--write-context", "people"]
        log_path = os.path.join(folder, "server.log")
        with open(log_path, "wb") as log:
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_for(server, environment)
            handed = {
                "url": f"https://localhost:{ports['people']}",
                "op": {"port": ports["op"], "cert": chain, "key": key, "secret": secret},
                "chromium": chromium,
                "contract": os.path.join(ROOT, "tabard", "demo", "demo-billing.yaml"),
                "folder": folder,
            }
            ended = subprocess.run(
                [node, os.path.join(NODE_FOLDER, "people.mjs")],
                input=json.dumps(handed).encode(),
                env=environment | {"NODE_EXTRA_CA_CERTS": chain},
                timeout=180,
                check=False,
            )
        finally:
            server.terminate()
            server.wait(timeout=20)
        if ended.returncode != 0:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                print(log.read()[-4000:], file=sys.stderr)
        sys.exit(ended.returncode)


def wait_for(server, environment):
    for _ in range(150):
        if server.poll() is not None:
            sys.exit("people: the server ended at once")
        asked = subprocess.run(
            ["tabard", "status"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if asked.returncode == 0:
            return
        time.sleep(0.2)
    sys.exit("people: the server was not ready within 30 s")


main()
