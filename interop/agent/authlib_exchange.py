"""Token exchange (RFC 8693) over mutual TLS with the unmodified Authlib client; the token is read with joserfc."""

import base64
import hashlib
import os

from _identity import Identity
from authlib.integrations.requests_client import OAuth2Session
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import KeySet

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
AUDIENCE = os.environ.get("TABARD_INTEROP_AUDIENCE", "invoices")

me = Identity(None)
session = OAuth2Session(client_id=str(me.x509.spiffe_id), token_endpoint_auth_method="none")
session.trust_env = False
session.verify = me.ca_file
session.cert = (me.chain_file, me.key_file)


def get(url):
    answer = session.request("GET", url, withhold_token=True)
    answer.raise_for_status()
    return answer.json()


metadata = get(me.issuer + "/.well-known/oauth-authorization-server")
assert metadata["issuer"] == me.issuer, "discovery names the issuer byte for byte (RFC 8414 section 3.3)"
assert GRANT in metadata["grant_types_supported"]


def exchange(**changes):
    form = {"subject_token": me.jwt_svid, "subject_token_type": JWT_TYPE, "audience": AUDIENCE} | changes
    return session.fetch_token(metadata["token_endpoint"], grant_type=GRANT, **form)


answer = exchange()
assert answer["issued_token_type"] == ACCESS_TOKEN, answer["issued_token_type"]
assert "refresh_token" not in answer, "agents get no refresh tokens"

keys = KeySet.import_key_set(get(metadata["jwks_uri"]))
token = jwt.decode(answer["access_token"], keys, algorithms=["ES256"])
assert token.header["typ"] == "at+jwt", "RFC 9068 section 2.1"
registry = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": me.issuer},
    aud={"essential": True, "value": AUDIENCE},
    sub={"essential": True},
    exp={"essential": True},
    iat={"essential": True},
    jti={"essential": True},
)
registry.validate(token.claims)
assert token.claims["exp"] - token.claims["iat"] <= 300, "five minutes at most"
der = me.x509.leaf.public_bytes(Encoding.DER)
thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
assert token.claims["cnf"] == {"x5t#S256": thumbprint}, "bound to our certificate (RFC 8705 section 3.1)"

for name, changes, error in [
    ("another audience", {"audience": "nobody-has-this"}, "invalid_target"),
    ("a broken subject token", {"subject_token": me.jwt_svid[:-4] + "AAAA"}, "invalid_request"),
    ("an unknown token type", {"subject_token_type": "urn:x"}, "invalid_request"),
]:
    try:
        exchange(**changes)
    except Exception as refused:
        assert getattr(refused, "error", "") == error, f"{name}: {refused!r}"
    else:
        raise AssertionError(f"{name} was accepted")

print(f"Authlib: {token.claims['sub']} for {AUDIENCE}")
