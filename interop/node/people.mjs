// A person in Chromium: a passkey by an invite, a login at oidc-provider, what acts for a user and its end. Each page is
// looked at by axe, and none may break its own content security policy.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import path from "node:path";
import Provider from "oidc-provider";
import { Town, founder, tabard } from "./_person.mjs";

const handed = JSON.parse(readFileSync(0, "utf8"));

// The identity provider, with its own pages for development: whoever types a name is that person.
const issuer = `https://localhost:${handed.op.port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: "tabard",
    client_secret: handed.op.secret,
    redirect_uris: [`${handed.url}/ui/login/return`],
    backchannel_logout_uri: `${handed.url}/ui/login/backchannel/corp`,
    response_types: ["code"],
    grant_types: ["authorization_code"],
  }],
  cookies: { keys: ["interop"] },
  features: { backchannelLogout: { enabled: true } },
  // It refuses to speak with loopback by itself, and loopback is where all of this is.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
provider.on("backchannel.error", (_, error) => console.error(`the logout was not delivered: ${error}`));
const op = https
  .createServer({ cert: readFileSync(handed.op.cert), key: readFileSync(handed.op.key) }, provider.callback())
  .listen(handed.op.port, "127.0.0.1");

const town = await Town.open(handed.chromium, handed.url);
const person = () => town.person();
const looks = (who, what) => town.looks(who, what);

async function atTheProvider(page, name) {
  await page.waitForURL(`${issuer}/interaction/**`);
  await page.fill("input[name=login]", name);
  await page.fill("input[name=password]", "anything");
  await page.click("button[type=submit]");
  await page.getByRole("button", { name: "Continue" }).click();
}

// A passkey, by an invite of the founder.
const first = founder();
const ann = await town.enrolled(first);
assert.match(await ann.page.textContent("h1"), new RegExp(first));
for (const name of ["Home", "Approvals", "Proposals", "Exceptions", "Sessions", "Passkeys", "Command line", "Acts for me"]) {
  await ann.page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
  await ann.page.waitForLoadState();
  await looks(ann, name);
}
await ann.page.goto(`${handed.url}/ui/verify?to=/ui/passkeys`);
await looks(ann, "verify");
await ann.page.getByRole("button", { name: "Verify with a passkey" }).click();
await ann.page.waitForURL(`${handed.url}/ui/passkeys`);
const asked = (init) => ann.page.evaluate(async ([path, init]) => (await fetch(path, init)).status, init);
assert.equal(await asked(["/v1/status", {}]), 200);
assert.equal(await asked(["/v1/principals", { method: "POST", body: "{}" }]), 415, "no header of ours, no change");
await ann.page.getByRole("button", { name: "Log out" }).click();
await ann.page.waitForURL(`${handed.url}/ui/login`);
assert.equal(await asked(["/v1/status", {}]), 401);

// An account: first a stranger's, then one that is linked.
const ben = await person();
const logIn = async (who, name) => {
  await who.page.goto(`${handed.url}/ui/login`);
  await who.page.getByRole("button", { name: "Log in at corp" }).click();
  await atTheProvider(who.page, name);
};
await logIn(ben, "ben");
await ben.page.getByText("ACCOUNT_UNKNOWN").waitFor();
await looks(ben, "refused");
tabard("principal", "add", "ben", "--role", "viewer");
tabard("principal", "link", "ben", "--issuer", issuer, "--subject", "ben");
await ben.context.clearCookies();
await logIn(ben, "ben");
await ben.page.waitForURL(`${handed.url}/ui/`);
assert.match(await ben.page.textContent("main"), /viewer/);
// A link elsewhere leads in, although the session's cookie is for our own pages alone.
await ben.page.goto("about:blank");
await ben.page.setContent(`<a href="${handed.url}/ui/sessions">in</a>`);
await ben.page.click("a");
await ben.page.waitForURL(`${handed.url}/ui/sessions`);
await ben.page.getByText("this one").waitFor();

// A user: an agent acts for them by a rule, until they stop it.
tabard("contract", "apply", handed.contract);
const agent = path.join(handed.folder, "agent.yaml");
writeFileSync(agent, `apiVersion: tabard/v1
kind: Agent
metadata: {name: demo-billing}
owner: demo
purpose: Matches invoices and payments.
contract: demo-billing
expires: 30d
launch: {launchers: [me], argv: free}
`);
tabard("agent", "apply", agent);
const keys = path.join(handed.folder, "jwks.json");
writeFileSync(keys, await (await fetch(`${issuer}/jwks`)).text());
tabard("trust", "add", issuer, "--audience", "tabard", "--keys", keys);
tabard("user", "set", issuer, "cleo", "--for", "30d", "--agent", "demo-billing", "--service", "invoices",
  "--action", "invoices.read", "--tenant", "acme-eu");
const cleo = await person();
await logIn(cleo, "cleo");
await cleo.page.waitForURL(`${handed.url}/ui/`);
await cleo.page.getByRole("link", { name: "What acts for me" }).click();
await cleo.page.getByText("It may act for you.").waitFor();
await looks(cleo, "what acts for me");
await cleo.page.getByRole("link", { name: "What demo-billing did for you" }).click();
await cleo.page.getByText("Nothing is in the record of this server.").waitFor();
await looks(cleo, "what it did");
await cleo.page.goBack();
await cleo.page.getByRole("button", { name: "Stop demo-billing" }).click();
await cleo.page.getByText("You stopped it.").waitFor();
await looks(cleo, "stopped");
await cleo.page.getByRole("button", { name: "Let demo-billing act for me" }).click();
await cleo.page.getByText("It may act for you.").waitFor();
assert.equal(await cleo.page.evaluate(async () => (await fetch("/v1/status")).status), 401, "a user administers nothing");

// Whoever logs out at the provider is logged out here: the provider says so by itself.
await ben.page.goto(`${handed.url}/ui/`);
await ben.page.getByText("viewer").waitFor();
await ben.page.goto(`${issuer}/session/end`);
await ben.page.getByRole("button", { name: /sign me out/ }).click();
await ben.page.waitForURL(`${issuer}/session/end/success**`);
await ben.page.goto(`${handed.url}/ui/`);
await ben.page.waitForURL(`${handed.url}/ui/login**`);

await town.seesWhatBreaks(ben);
await town.close();
op.close();
op.closeAllConnections();
console.error("people: passkey, account, user: as they should be");
