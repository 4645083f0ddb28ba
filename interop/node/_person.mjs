// A person in Chromium: a browser of their own, a passkey that answers by itself, and an eye on what the pages must not do.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";

export const tabard = (...words) => execFileSync("tabard", words, { encoding: "utf8", timeout: 30_000 });

// Who may do everything from the beginning.
export const founder = () =>
  JSON.parse(tabard("-o", "json", "principal", "list")).find((it) => it.roles.includes("admin")).name;

// Where to leave pictures of every page that is looked at, for who wants to see them.
const pictures = process.env.TABARD_INTEROP_PICTURES;

export class Town {
  // `url` is the address of our pages; nothing is held to other sites' pages.
  static async open(executablePath, url) {
    const town = new Town();
    town.url = url;
    town.broken = [];
    town.browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    return town;
  }

  async person() {
    const context = await this.browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    const cdp = await context.newCDPSession(page);
    page.on("console", (message) => {
      if (page.url().startsWith(this.url) && /content security policy|trusted/i.test(message.text())) {
        this.broken.push(message.text());
      }
    });
    page.on("pageerror", (error) => this.broken.push(String(error)));
    return { context, page, cdp };
  }

  // What axe finds, nothing; and no page is wider than its window.
  async looks({ page, cdp }, what) {
    await cdp.send("Runtime.evaluate", { expression: axe.source });
    const run = "axe.run().then((found) => found.violations.map((it) => `${it.id}: ${it.nodes.map((n) => n.html)}`))";
    const { result } = await cdp.send("Runtime.evaluate", { expression: run, awaitPromise: true, returnByValue: true });
    assert.deepEqual(result.value, [], `${what} at ${page.url()}`);
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 900 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${what} at ${page.url()} is ${wide} px too wide for ${width}`);
      if (pictures) {
        mkdirSync(pictures, { recursive: true });
        await page.screenshot({ path: path.join(pictures, `${what.replaceAll(/\W+/g, "-")}-${width}.png`), fullPage: true });
      }
    }
    await page.setViewportSize({ width: 1280, height: 900 });
  }

  // A principal with a passkey by an invite, logged in.
  async enrolled(name) {
    const who = await this.person();
    await who.cdp.send("WebAuthn.enable");
    await who.cdp.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    await who.page.goto(tabard("principal", "invite", name).trim());
    assert.equal(who.page.url(), `${this.url}/ui/invite`, "the code has left the address bar");
    await this.looks(who, "invite");
    await who.page.getByRole("button", { name: "Create a passkey" }).click();
    await who.page.waitForURL(`${this.url}/ui/login`);
    await this.logIn(who);
    return who;
  }

  async logIn(who) {
    await this.looks(who, "login");
    await who.page.getByRole("button", { name: "Log in with a passkey" }).click();
    await who.page.waitForURL(`${this.url}/ui/`);
  }

  // The eye sees: a style that a page of ours makes for itself breaks its policy.
  async seesWhatBreaks({ page }) {
    await page.evaluate(() => {
      const style = document.createElement("style");
      style.textContent = "body { color: red }";
      document.head.append(style);
    });
    await page.waitForTimeout(200);
    assert.equal(this.broken.length, 1, "a break of the content security policy is noticed");
    this.broken.length = 0;
  }

  async close() {
    assert.deepEqual(this.broken, [], "nothing breaks the content security policy");
    await this.browser.close();
  }
}
