// A person looks at what an agent asks for, and says yes: the page shows the bound request, and the agent's own words as words.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Town, founder } from "./_person.mjs";

const handed = JSON.parse(readFileSync(0, "utf8"));
const town = await Town.open(handed.chromium, handed.url);
const ann = await town.enrolled(founder());

await ann.page.getByRole("navigation").getByRole("link", { name: "Approvals" }).click();
await town.looks(ann, "approvals that wait");
// Others may wait as well.
const own = ann.page.locator(`a[href="${new URL(handed.page).pathname}"]`);
assert.equal(await own.textContent(), "Give a customer money back");
await own.click();
await ann.page.waitForURL(handed.page);
await town.looks(ann, "approval");

const facts = await ann.page.locator("dl.facts").first().textContent();
for (const shown of ["refunds.create", "inv_1", "acme-eu", "12000", "demo-refunds", "POST /v1/invoices/inv_1/refund"]) {
  assert.ok(facts.includes(shown), `the page shows ${shown}`);
}
assert.ok(!facts.includes("paid twice"), "what the agent says is no fact");
// Its words are a text in their own frame, markup and all.
assert.equal(await ann.page.locator("blockquote.untrusted").textContent(), handed.says);
assert.equal(await ann.page.locator("h1").count(), 1);
assert.equal(await ann.page.locator("script").count(), 0);

await ann.page.getByRole("button", { name: "Approve", exact: true }).click();
await ann.page.getByText("It is approved, and was not used yet.").waitFor();
await town.looks(ann, "approved");
assert.equal(await ann.page.getByRole("button", { name: "Approve", exact: true }).count(), 0, "nothing more to say");
await town.seesWhatBreaks(ann);
await town.close();
console.error("approval: looked at and approved in the browser");
