"""Waiting for a person by CIBA, with the unmodified openid-client of Node.

agent: demo-refunds

A refund above what the agent may give back alone is refused with something to wait for; Node waits for it. That it gets
a token once a person said yes is tried where there is a person: in the browser tests.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

from _identity import Identity, skip

HERE = os.path.dirname(os.path.abspath(__file__))
NODE_FOLDER = os.path.join(HERE, "..", "node")
REFUND = "http://invoices.demo/v1/invoices/inv_1/refund"

node = shutil.which("node")
if node is None:
    skip("no node on PATH")
if not os.path.isdir(os.path.join(NODE_FOLDER, "node_modules", "openid-client")):
    skip("no npm packages; fix: npm ci in interop/node")

request = urllib.request.Request(
    REFUND, data=b'{"amount_minor": 12000}', headers={"content-type": "application/json"}, method="POST"
)
try:
    urllib.request.urlopen(request, timeout=30)
    sys.exit("a refund above the limit passed")
except urllib.error.HTTPError as refused:
    waiting = json.load(refused)["approval"]

me = Identity(None)
handed = {
    "issuer": me.issuer,
    "clientId": str(me.x509.spiffe_id),
    "jwtSvid": me.jwt_svid,
    "keyPem": me.key_pem().decode(),
    "audience": "invoices",
    "approval": waiting["id"],
    "group": "payments",
}
ended = subprocess.run(
    [node, os.path.join(NODE_FOLDER, "ciba.mjs")],
    input=json.dumps(handed).encode(),
    env=os.environ | {"NODE_EXTRA_CA_CERTS": me.ca_file},
    timeout=90,
    check=False,
)
sys.exit(ended.returncode)
