"""The admin API against its own OpenAPI document, by the unmodified schemathesis: no server error, no answer that the document
does not say, nothing taken that it forbids, nothing given without a session.

An administrator with a passkey logs in as a browser does, and schemathesis asks in their session. The short form is the same each
time; with TABARD_INTEROP_LONG it goes on for several rounds of new requests.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse

from _passkey import Person
from _server import ROOT, Server

DOCUMENT = os.path.join(ROOT, "shell", "server", "src", "admin", "openapi.json")
# Longest that one round may take, in seconds: a session counts as verified for five minutes.
ROUND_SECS = 240
# Operations that the short form has to see succeed: fewer, and it looked at nothing but refusals.
SUCCEEDED_MIN = 40
UPSTREAM = """apiVersion: tabard/v1
kind: Upstream
metadata: {name: invoices}
base_url: http://127.0.0.1:9
credential: {api_key: {header: x-api-key, secret: stdin}}
routes:
  - {method: GET, path: "/v1/invoices/{id}", action: invoices.read, resource: {type: invoice, id: id}}
"""
AGENT = """apiVersion: tabard/v1
kind: Agent
metadata: {name: %s}
owner: finance
purpose: Matches invoices and payments.
contract: demo-billing
expires: 30d
launch: {launchers: [me], argv: free}
"""
KEYS = {"kty": "EC", "crv": "P-256", "kid": "1"} | {
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


def furnish(server):
    """What the examples of the document name."""

    def written(name, text):
        path = os.path.join(server.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    tabard = server.tabard
    tabard("contract", "apply", os.path.join(ROOT, "tabard", "demo", "demo-billing.yaml"))
    for name in ("demo-billing", "clerk"):
        tabard("agent", "apply", written("agent.yaml", AGENT % name))
    tabard("upstream", "apply", written("upstream.yaml", UPSTREAM), text="an-api-key")
    tabard("trust", "add", "https://idp.example", "--audience", "tabard",
           "--keys", written("keys.json", json.dumps({"keys": [KEYS]})))
    tabard("directory", "set", "acme-eu", "--destination", "billing@acme.example")
    tabard("principal", "add", "temp", "--role", "viewer")


def operations(document):
    """(method, expression for the path, id) of each."""
    for path, methods in document["paths"].items():
        words = re.split(r"\{(\w+)\}", path)
        pattern = "".join(
            re.escape(word) if place % 2 == 0 else (".+" if word == "path" else "[^/]+")
            for place, word in enumerate(words)
        )
        for method, operation in methods.items():
            # What is written out goes before what a parameter stands for.
            yield len(words), method.upper(), re.compile(pattern), operation["operationId"]


def succeeded(report, document):
    """The operations that answered with 2xx."""
    known = sorted(operations(document), key=lambda it: it[0])
    found = set()
    with open(report, encoding="utf-8") as file:
        entries = json.load(file)["log"]["entries"]
    for entry in entries:
        path = urllib.parse.urlsplit(entry["request"]["url"]).path
        if 200 <= entry["response"]["status"] < 300:
            for _, method, pattern, name in known:
                if method == entry["request"]["method"] and pattern.fullmatch(path):
                    found.add(name)
                    break
    return len(entries), found


def look(server, cookie, more):
    """One round."""
    report = os.path.join(server.folder, "report.json")
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", DOCUMENT]
    command += ["--url", server.url, "--tls-verify", server.root]
    for name, value in (
        ("cookie", f"__Host-tabard-session={cookie}"),
        ("origin", server.url),
        ("x-tabard-request", "1"),
        ("content-type", "application/json"),
    ):
        command += ["--header", f"{name}: {value}"]
    # An endless answer, and what sends something to whoever was named.
    command += ["--exclude-path", "/v1/entries/tail", "--exclude-path", "/v1/webhooks/{name}/test"]
    # With a second org nothing would say any more whose inventory is meant.
    command += ["--exclude-operation-id", "orgs_add"]
    # A request that the document allows may still name nothing that is there, or contradict what is.
    command += ["--checks", "all", "--exclude-checks", "positive_data_acceptance"]
    command += ["--report", "har", "--report-har-path", report, "--request-timeout", "20", "--no-color"]
    command += more
    # Nobody's proxies, and no other authorities than the server's own.
    others = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}
    done = subprocess.run(
        command,
        cwd=server.folder,
        env={name: value for name, value in os.environ.items() if name.upper() not in others},
        capture_output=True,
        text=True,
        timeout=ROUND_SECS,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout[-12000:], done.stderr[-2000:], server.log(), sep="\n", file=sys.stderr)
        sys.exit(1)
    if os.environ.get("TABARD_INTEROP_VERBOSE"):
        print(done.stdout, file=sys.stderr)
    return report


def main():
    with open(DOCUMENT, encoding="utf-8") as file:
        document = json.load(file)
    rounds = [["--generation-deterministic", "--max-examples", "10"]]
    if os.environ.get("TABARD_INTEROP_LONG"):
        for seed in range(1, 6):
            rounds.append(["--max-examples", "60", "--seed", str(seed), "--generation-database", "none"])
    with tempfile.TemporaryDirectory(prefix="ta-") as folder, Server(folder) as server:
        known = json.loads(server.tabard("-o", "json", "principal", "list"))
        founder = next(it["name"] for it in known if "admin" in it["roles"])
        furnish(server)
        person = Person(server.url, server.root)
        invited = json.loads(server.tabard("-o", "json", "principal", "invite", founder))
        person.enrol(invited["code"])
        for more in rounds:
            report = look(server, person.log_in(), more)
            asked, found = succeeded(report, document)
            assert len(found) >= SUCCEEDED_MIN, f"only {len(found)} operations succeeded: {sorted(found)}"
            print(f"admin_api: {asked} requests, {len(found)} operations succeeded, nothing to find fault with",
                  file=sys.stderr)
        server.tabard("audit", "verify")


if __name__ == "__main__":
    main()
