// RFC 8693 with DPoP (RFC 9449) by the unmodified openid-client; the token is verified with jose and a remote JWKS.
// Reads { issuer, clientId, jwtSvid, keyPem, audience } from stdin. The server demands a DPoP nonce: the client's own retry is
// part of what is tested.
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import * as jose from "jose";
import * as oidc from "openid-client";

const given = JSON.parse(readFileSync(0, "utf8"));
const GRANT = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt";

// WebCrypto wants both halves of the key.
const privateKey = await jose.importPKCS8(given.keyPem, "ES256", { extractable: true });
const publicPem = createPublicKey(given.keyPem).export({ type: "spki", format: "pem" });
const publicKey = await jose.importSPKI(publicPem, "ES256", { extractable: true });

const config = await oidc.discovery(new URL(given.issuer), given.clientId, undefined, oidc.None());
assert.equal(config.serverMetadata().issuer, given.issuer, "discovery names the issuer byte for byte");
const DPoP = oidc.getDPoPHandle(config, { privateKey, publicKey });

const exchange = (changes = {}, options = { DPoP }) =>
  oidc.genericGrantRequest(
    config,
    GRANT,
    {
      subject_token: given.jwtSvid,
      subject_token_type: JWT_TYPE,
      audience: given.audience,
      ...changes,
    },
    options,
  );

const answer = await exchange();
assert.equal(answer.token_type.toLowerCase(), "dpop");
assert.equal(answer.refresh_token, undefined, "agents get no refresh tokens");

const keys = jose.createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
const { payload } = await jose.jwtVerify(answer.access_token, keys, {
  issuer: given.issuer,
  audience: given.audience,
  typ: "at+jwt",
  algorithms: ["ES256"],
  requiredClaims: ["sub", "exp", "iat", "jti", "cnf"],
});
const jkt = await jose.calculateJwkThumbprint(await jose.exportJWK(publicKey));
assert.deepEqual(payload.cnf, { jkt }, "bound to our key");

// The same subject token with somebody else's key proves nothing.
const theirs = await oidc.randomDPoPKeyPair("ES256");
await assert.rejects(
  () => exchange({}, { DPoP: oidc.getDPoPHandle(config, theirs) }),
  (refused) => refused.error === "invalid_request" || refused.error === "invalid_dpop_proof",
  "a subject token counts only from the same instance",
);
await assert.rejects(
  () => exchange({ audience: "nobody-has-this" }),
  (refused) => refused.error === "invalid_target",
);

console.log(`openid-client: ${payload.sub} for ${given.audience}`);
