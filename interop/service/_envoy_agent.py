"""The agent behind `envoy.py`: exchanges for a token, calls Envoy with proofs of its key, holds no API key."""

import base64
import hashlib
import json
import sys
import time
import uuid
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).parent.parent / "agent"))

from _identity import Identity  # noqa: E402
from joserfc import jws  # noqa: E402
from joserfc.jwk import ECKey  # noqa: E402

PORT = sys.argv[1]
HOST = f"invoices.demo:{PORT}"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"

me = Identity(None)
key = ECKey.import_key(me.key_pem())
session = requests.Session()
session.trust_env = False


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def proof(method, url, token=None, nonce=None):
    claims = {"jti": str(uuid.uuid4()), "htm": method, "htu": url, "iat": int(time.time())}
    if token:
        claims["ath"] = b64(hashlib.sha256(token.encode()).digest())
    if nonce:
        claims["nonce"] = nonce
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
    header["jwk"] = {name: header["jwk"][name] for name in ("kty", "crv", "x", "y")}
    return jws.serialize_compact(header, json.dumps(claims), key, algorithms=["ES256"])


def exchange():
    url = me.issuer + "/oauth/token"
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": me.jwt_svid,
        "subject_token_type": JWT_TYPE,
        "audience": "invoices",
    }
    nonce = None
    for _ in range(2):
        headers = {"DPoP": proof("POST", url, nonce=nonce)}
        answer = session.post(url, data=form, headers=headers, verify=me.ca_file)
        if answer.ok:
            return answer.json()["access_token"]
        nonce = answer.headers.get("DPoP-Nonce")
    raise AssertionError(answer.text)


token = exchange()


def call(method, target, reuse=None, **more):
    path = target.split("?")[0]
    dpop = reuse or proof(method, f"http://{HOST}{path}", token)
    headers = {"Host": HOST, "Authorization": f"DPoP {token}", "DPoP": dpop} | more
    answer = session.request(method, f"http://127.0.0.1:{PORT}{target}", headers=headers)
    return answer, dpop


answer, used = call("GET", "/v1/invoices")
assert answer.status_code == 200, (answer.status_code, answer.text)
assert answer.json(), "the upstream's own answer, by the key that Envoy was handed"
again, _ = call("GET", "/v1/invoices", reuse=used)
assert again.status_code == 401, "a proof is good once, at every enforcement point"
assert again.headers["WWW-Authenticate"].startswith("DPoP "), again.headers
own, _ = call("GET", "/v1/invoices", **{"x-api-key": "mine", "x-tenant": "acme-us"})
assert own.status_code == 200 and own.json() == answer.json(), "what the agent sends in their place is overwritten"
bare = session.get(f"http://127.0.0.1:{PORT}/v1/invoices", headers={"Host": HOST})
assert bare.status_code == 401, bare.status_code
other = session.get(f"http://127.0.0.1:{PORT}/v1/invoices", headers={"Host": "payroll.demo"})
assert other.status_code in (401, 403), other.status_code
double, _ = call("GET", "//v1/invoices")
assert double.status_code in (400, 401, 403), "two slashes are no authority and no route"
refused, _ = call("DELETE", "/v1/invoices/1")
assert refused.status_code == 403, (refused.status_code, refused.text)
problem = refused.json()
assert problem["code"] == "ACTION_NOT_GRANTED", problem
print(problem["decision"])
