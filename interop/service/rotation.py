"""Rotation under the clients that services use: py-spiffe's and Rust's X509Source follow an SVID that is renewed.

The first SVID ends with the agent, in 20 s, and is renewed at half of its life. Until then the agent's life is extended: the
renewed one outlives the first.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from registered import AGENT, CONTRACT, tabard, workload_socket
from spiffe import X509Source

SHORT, LONG = "20s", "7d"
PATIENCE_SECS = 25


def apply(folder, expires):
    manifest = Path(folder, "agent.yaml")
    manifest.write_text(AGENT.replace("name: backend", "name: rotating").replace("expires: 7d", f"expires: {expires}"))
    tabard("agent", "apply", str(manifest))


def current(source):
    return source.get_x509_context().default_svid


os.environ["SPIFFE_ENDPOINT_SOCKET"] = f"unix://{workload_socket()}"
rust = os.environ.get("TABARD_INTEROP", "")
programs = {"rotating-python": os.path.realpath(sys.executable)}
if os.path.isfile(rust):
    programs["rotating-rust"] = os.path.realpath(rust)
else:
    print("the Rust client is not built: only py-spiffe is checked", file=sys.stderr)

def register(name, executable):
    arguments = ["--agent", "rotating", "--uid", str(os.getuid()), "--executable", executable]
    tabard("registration", "add", name, *arguments)


def follow(folder):
    other = None
    if "rotating-rust" in programs:
        other = subprocess.Popen([programs["rotating-rust"], "rotation"], stdout=subprocess.PIPE, text=True)
        # It has its first SVID, too, before the agent may live longer; it gives up by itself.
        assert other.stdout.readline().startswith("first: "), "the Rust client got no SVID"
    with X509Source() as source:
        first = current(source)
        updates = []
        source.subscribe_for_updates(lambda: updates.append(time.monotonic()))
        apply(folder, LONG)
        begun = time.monotonic()
        while current(source).leaf.serial_number == first.leaf.serial_number:
            assert time.monotonic() - begun < PATIENCE_SECS, "the source still holds the first SVID"
            time.sleep(0.1)
        second = current(source)
    assert updates, "subscribers were told"
    assert second.spiffe_id == first.spiffe_id, "the identity is the same"
    assert second.leaf.not_valid_after_utc > first.leaf.not_valid_after_utc, "the renewed SVID outlives the first"
    assert second.private_key.public_key() == second.leaf.public_key(), "its key fits"
    if other:
        assert other.wait(timeout=PATIENCE_SECS) == 0, "the Rust client saw no rotation"
    print(f"rotated after {time.monotonic() - begun:.0f} s: {second.spiffe_id}")


with TemporaryDirectory() as folder:
    contract = Path(folder, "contract.yaml")
    contract.write_text(CONTRACT)
    tabard("contract", "apply", str(contract))
    apply(folder, SHORT)
    for name, executable in programs.items():
        register(name, executable)
    try:
        follow(folder)
    finally:
        for name in programs:
            tabard("registration", "remove", name)
