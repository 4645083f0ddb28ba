"""Token exchange with DPoP by the unmodified openid-client of Node.

Only the launched process has an identity, so it fetches the SVIDs and hands them to Node, its child, on stdin. Node
proves possession of the key; it needs no identity of its own for that.
"""

import json
import os
import shutil
import subprocess
import sys

from _identity import Identity, skip

HERE = os.path.dirname(os.path.abspath(__file__))
NODE_FOLDER = os.path.join(HERE, "..", "node")

node = shutil.which("node")
if node is None:
    skip("no node on PATH")
if not os.path.isdir(os.path.join(NODE_FOLDER, "node_modules", "openid-client")):
    skip("no npm packages; fix: npm ci in interop/node")

me = Identity(None)
handed = {
    "issuer": me.issuer,
    "clientId": str(me.x509.spiffe_id),
    "jwtSvid": me.jwt_svid,
    "keyPem": me.key_pem().decode(),
    "audience": os.environ.get("TABARD_INTEROP_AUDIENCE", "invoices"),
}
ended = subprocess.run(
    [node, os.path.join(NODE_FOLDER, "exchange.mjs")],
    input=json.dumps(handed).encode(),
    env=os.environ | {"NODE_EXTRA_CA_CERTS": me.ca_file},
    timeout=60,
    check=False,
)
sys.exit(ended.returncode)
