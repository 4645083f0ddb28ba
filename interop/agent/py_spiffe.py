"""SPIFFE Workload API with the unmodified py-spiffe client: every call it has, its own validation of what we issue."""

import time
from datetime import datetime, timezone

from _identity import claims
from spiffe import JwtSvid, WorkloadApiClient, X509Source

AUDIENCE = "interop.example"

with WorkloadApiClient() as client:
    svid = client.fetch_x509_svid()
    own = svid.spiffe_id
    assert svid.leaf.not_valid_after_utc > datetime.now(timezone.utc), "the SVID is not expired"
    assert [str(each.spiffe_id) for each in client.fetch_x509_svids()] == [str(own)], "one identity a process"
    assert svid.private_key.public_key() == svid.leaf.public_key(), "the key fits the certificate"

    bundles = client.fetch_x509_bundles()
    roots = bundles.get_bundle_for_trust_domain(own.trust_domain).x509_authorities
    issuers = list(svid.cert_chain[1:]) + list(roots)
    svid.leaf.verify_directly_issued_by(next(ca for ca in issuers if ca.subject == svid.leaf.issuer))
    assert svid.leaf.subject != svid.leaf.issuer, "a leaf does not sign itself"

    jwt = client.fetch_jwt_svid({AUDIENCE})
    assert jwt.spiffe_id == own, f"both forms name one identity: {jwt.spiffe_id} and {own}"
    assert {"iss", "iat", "exp", "sub", "aud"} <= claims(jwt.token).keys(), "what the model vendors need is there"
    assert jwt.expiry > time.time()

    jwt_bundle = client.fetch_jwt_bundles().get_bundle_for_trust_domain(own.trust_domain)
    JwtSvid.parse_and_validate(jwt.token, jwt_bundle, {AUDIENCE})
    try:
        JwtSvid.parse_and_validate(jwt.token, jwt_bundle, {"somebody.else"})
        raise AssertionError("another audience was accepted")
    except AssertionError:
        raise
    except Exception as refused:
        assert "udience" in str(refused), refused

    assert client.validate_jwt_svid(jwt.token, AUDIENCE).spiffe_id == own
    for token, audience in [(jwt.token, "somebody.else"), (jwt.token[:-4] + "AAAA", AUDIENCE)]:
        try:
            client.validate_jwt_svid(token, audience)
        except Exception:
            continue
        raise AssertionError(f"the Workload API accepted a wrong token or audience ({audience})")

with X509Source() as source:
    assert source.get_x509_context().default_svid.spiffe_id == own, "the source holds the same identity"
    assert source.get_bundle_for_trust_domain(own.trust_domain).x509_authorities == roots

print(f"py-spiffe: {own}")
