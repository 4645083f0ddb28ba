// Two people and a contract: proposed at a terminal, published in a browser, by nobody alone.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Town, tabard } from "./_person.mjs";

const handed = JSON.parse(readFileSync(0, "utf8"));
const town = await Town.open(handed.chromium, handed.url);
const at = (name) => path.join(handed.folder, name);

// What a command at somebody's terminal ends with and says.
const as = (who, ...words) => {
  const ran = spawnSync("tabard", ["--context", who, ...words], { encoding: "utf8", timeout: 30_000 });
  return { status: ran.status, out: ran.stdout, says: ran.stdout + ran.stderr };
};
const json = (who, ...words) => JSON.parse(as(who, "-o", "json", ...words).out);

// `tabard login`: the terminal shows a code, its person types it into a page of ours.
async function logInAtATerminal(name, who) {
  const login = spawn("tabard", ["login", "--url", handed.url, "--ca", handed.root, "--name", name], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 60_000,
  });
  let said = "";
  const ended = new Promise((resolve) => login.on("close", resolve));
  const code = await new Promise((resolve, reject) => {
    login.stderr.on("data", (more) => {
      said += more;
      const shown = said.match(/\b[A-Z]{4}-[A-Z]{4}\b/);
      if (shown) resolve(shown[0]);
    });
    login.on("close", () => reject(new Error(`tabard login showed no code: ${said}`)));
  });
  await who.page.goto(`${handed.url}/ui/terminal`);
  await town.looks(who, "terminal");
  await who.page.fill("input[name=code]", code);
  await who.page.getByRole("button", { name: "Look at it" }).click();
  // Where it is, and which: before it is let in.
  const facts = await who.page.locator("dl.facts").textContent();
  assert.ok(facts.includes(code) && facts.includes("127.0.0.1"), facts);
  await town.looks(who, "is this your terminal");
  await who.page.getByRole("button", { name: "It is mine: let it in" }).click();
  await who.page.getByText("acts as you now").waitFor();
  await town.looks(who, "terminal is in");
  assert.equal(await ended, 0, said);
}

for (const [name, role] of [["ann", "author"], ["ben", "approver"], ["vic", "viewer"]]) {
  tabard("principal", "add", name, "--role", role);
}
const ann = await town.enrolled("ann");
const ben = await town.enrolled("ben");
await logInAtATerminal("ann", ann);
await logInAtATerminal("ben", ben);

// The first version is compared with nothing, and an agent is put under it.
const first = readFileSync(handed.contract, "utf8");
const version = (number, max) => {
  const file = at(`v${number}.yaml`);
  writeFileSync(file, first.replace("version: 1", `version: ${number}`).replace("max: 120", `max: ${max}`));
  return file;
};
assert.equal(as("ann", "contract", "apply", version(1, 120)).status, 0);
writeFileSync(at("agent.yaml"), `apiVersion: tabard/v1
kind: Agent
metadata: {name: demo-billing}
owner: demo
purpose: Matches invoices and payments.
contract: demo-billing
expires: 30d
launch: {launchers: [0], argv: free}
`);
assert.equal(as("ann", "agent", "apply", at("agent.yaml")).status, 0);

// What lets the agent do more is proposed, and is not in force.
const wider = version(2, 180);
const applied = as("ann", "contract", "apply", wider);
assert.equal(applied.status, 4, applied.says);
assert.match(applied.says, /is proposed and not in force/);
const [proposal] = json("ben", "contract", "proposals");
assert.deepEqual([proposal.by, proposal.open], ["ann", true]);
const published = () => json("ben", "contract", "list").map((it) => it.version);
assert.deepEqual(published(), [1]);

// No terminal publishes it, whoever sits there: it leads to the page.
for (const who of ["ann", "ben"]) {
  const shown = as(who, "contract", "publish", proposal.hash, "--no-browser");
  assert.equal(shown.status, 4, shown.says);
  assert.ok(shown.says.includes(proposal.page), shown.says);
}
const raw = (who) => who.page.evaluate(async ({ hash, shown }) => {
  const headers = { "content-type": "application/json", "x-tabard-request": "1" };
  const answer = await fetch(`/v1/proposals/${hash}/publish`, {
    method: "POST", headers, body: JSON.stringify({ shown }),
  });
  return (await answer.json()).code;
}, proposal);

// Its author finds no button, and the API says why.
await ann.page.goto(proposal.page);
await ann.page.getByText("You proposed it: somebody else has to publish it.").waitFor();
await town.looks(ann, "own proposal");
assert.equal(await ann.page.getByRole("button", { name: "Publish" }).count(), 0);
assert.equal(await raw(ann), "PROPOSAL_OWN");
assert.deepEqual(published(), [1]);
// Nor does somebody without the role.
const vic = await town.enrolled("vic");
await vic.page.goto(proposal.page);
await vic.page.getByText("It takes the role approver or author.").waitFor();
assert.equal(await raw(vic), "ADMIN_ROLE");

// The second person reads what it widens, and publishes it.
await ben.page.getByRole("navigation").getByRole("link", { name: "Proposals" }).click();
await town.looks(ben, "proposals");
await ben.page.getByRole("link", { name: "demo-billing@2" }).click();
await ben.page.waitForURL(proposal.page);
await town.looks(ben, "proposal");
await ben.page.getByText("at most 180 instead of 120").first().waitFor();
await ben.page.getByRole("button", { name: "Publish" }).click();
await ben.page.getByText("demo-billing@2 is published").first().waitFor();
await town.looks(ben, "published");
assert.deepEqual(published(), [1, 2]);
assert.equal(as("ann", "agent", "apply", at("agent.yaml")).status, 0, "the agent is put under it");

// What lets it do less takes nobody else.
const narrower = as("ann", "contract", "apply", version(3, 60));
assert.equal(narrower.status, 0, narrower.says);
assert.deepEqual(published(), [1, 2, 3]);
assert.deepEqual(json("ben", "contract", "proposals"), []);

// One that is turned down is gone.
assert.equal(as("ann", "contract", "apply", version(4, 600)).status, 4);
await ben.page.goto(`${handed.url}/ui/proposals`);
await ben.page.getByRole("link", { name: "demo-billing@4" }).click();
await ben.page.getByRole("button", { name: "Turn it down" }).click();
await ben.page.getByText("Nothing waits.").waitFor();
assert.deepEqual(published(), [1, 2, 3]);

// An exception: no terminal opens one, a person who is there does.
const wish = ["--agent", "demo-billing", "--action", "invoices.write", "--service", "invoices",
  "--reason", "The nightly run failed.", "--owner", "finance", "--for", "15m"];
const refused = as("ben", "exception", "open", ...wish);
assert.match(refused.says, /PRESENCE_UNVERIFIED/);
await ben.page.getByRole("navigation").getByRole("link", { name: "Exceptions" }).click();
await town.looks(ben, "no exception");
await ben.page.getByLabel("The one action").fill("invoices.write");
await ben.page.getByLabel("Where: an upstream, or an audience").fill("invoices");
await ben.page.getByLabel("Why, in one sentence").fill("The nightly run failed and is repeated by hand.");
await ben.page.getByLabel("Who answers for it").fill("finance");
await ben.page.getByRole("button", { name: "Open the exception" }).click();
await ben.page.getByRole("button", { name: /^End it/ }).waitFor();
await town.looks(ben, "exception");
assert.deepEqual(json("ben", "exception", "list").map((it) => [it.open, it.by]), [[true, "ben"]]);
await ben.page.getByRole("button", { name: /^End it/ }).click();
await ben.page.getByText("over").first().waitFor();
assert.deepEqual(json("ben", "exception", "list").map((it) => it.open), [false]);

await town.close();
console.error("change: proposed by one, published by another; an exception opened and ended");
