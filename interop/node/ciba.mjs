// CIBA in poll mode (OpenID Connect CIBA Core 1.0) by the unmodified openid-client: begin to wait for a person, poll, be told
// to wait, be told to slow down. Reads { issuer, clientId, jwtSvid, keyPem, audience, approval, group } from stdin.
// The client authenticates as in a token exchange; openid-client sends no DPoP proof to the backchannel endpoint by itself, so
// its own hook for requests adds one.
import assert from "node:assert/strict";
import { createPublicKey, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import * as jose from "jose";
import * as oidc from "openid-client";

const given = JSON.parse(readFileSync(0, "utf8"));
const JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt";

const privateKey = await jose.importPKCS8(given.keyPem, "ES256", { extractable: true });
const publicPem = createPublicKey(given.keyPem).export({ type: "spki", format: "pem" });
const publicKey = await jose.importSPKI(publicPem, "ES256", { extractable: true });
const jwk = await jose.exportJWK(publicKey);

const config = await oidc.discovery(new URL(given.issuer), given.clientId, undefined, oidc.None());
const server = config.serverMetadata();
assert.deepEqual(server.backchannel_token_delivery_modes_supported, ["poll"]);

const proof = (nonce) =>
  new jose.SignJWT({ jti: randomUUID(), htm: "POST", htu: server.backchannel_authentication_endpoint, nonce })
    .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk })
    .setIssuedAt()
    .sign(privateKey);

const answers = [];
config[oidc.customFetch] = async (url, options) => {
  const proven = async (nonce) => {
    if (url !== server.backchannel_authentication_endpoint) return fetch(url, options);
    const headers = new Headers(options.headers);
    headers.set("dpop", await proof(nonce));
    return fetch(url, { ...options, headers });
  };
  let answer = await proven();
  if (url === server.backchannel_authentication_endpoint && answer.status === 400) {
    answer = await proven(answer.headers.get("dpop-nonce"));
  }
  if (!answer.ok) answers.push((await answer.clone().json()).error);
  return answer;
};

const parties = { subject_token: given.jwtSvid, subject_token_type: JWT_TYPE };
const begin = (changes = {}) =>
  oidc.initiateBackchannelAuthentication(config, {
    ...parties,
    scope: "openid",
    audience: given.audience,
    login_hint: given.group,
    binding_message: "refund of invoice inv_1",
    authorization_details: JSON.stringify([
      { type: "agent_task", actions: ["refunds.create"], approval: given.approval },
    ]),
    ...changes,
  });

await assert.rejects(() => begin({ login_hint: "nobody" }), (refused) => refused.error === "unknown_user_id");
await assert.rejects(
  () => begin({ authorization_details: JSON.stringify([{ type: "agent_task" }]) }),
  (refused) => refused.error === "invalid_authorization_details",
);

const begun = await begin();
assert.equal(begun.interval, 5);
assert.ok(begun.expires_in > 0 && begun.auth_req_id.length >= 43);

// It polls by itself, is told to wait, and goes on until we stop it: nobody is there to say yes.
answers.length = 0;
const DPoP = oidc.getDPoPHandle(config, { privateKey, publicKey });
await assert.rejects(
  () => oidc.pollBackchannelAuthenticationGrant(config, begun, parties, { DPoP, signal: AbortSignal.timeout(13_000) }),
);
assert.ok(answers.includes("authorization_pending"), `it was told: ${answers}`);
assert.ok(answers.every((error) => ["use_dpop_nonce", "authorization_pending"].includes(error)), `${answers}`);

// Whoever asks at once is told to slow down.
const impatient = () =>
  oidc.genericGrantRequest(
    config,
    "urn:openid:params:grant-type:ciba",
    { ...parties, auth_req_id: begun.auth_req_id },
    { DPoP },
  );
await assert.rejects(impatient);
await assert.rejects(impatient, (refused) => refused.error === "slow_down");

console.log(`openid-client waits for ${given.approval}: ${answers.join(", ")}`);
