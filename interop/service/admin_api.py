"""The admin API against its own OpenAPI document, by the unmodified schemathesis: no server error, no answer that the document
does not say, nothing taken that it forbids, nothing given without a session.

An administrator with a passkey logs in as a browser does, and schemathesis asks in their session; what the document says of the
server's own listener (tag `issuer`) it asks there, as a service with its SVID. The short form is the same each time; with
TABARD_INTEROP_LONG it goes on for several rounds of new requests.

Two operations have a run of their own: with a second org nothing would say any more whose inventory is meant, so one is added
last; and an endpoint is sent a message where it is known whose that is, our own. One is left out: an answer without an end.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer

from _passkey import Person
from _server import ROOT, Server

DOCUMENT = os.path.join(ROOT, "shell", "server", "src", "admin", "openapi.json")
# Longest that one round may take, in seconds: a session counts as verified for five minutes.
ROUND_SECS = 240
# Operations that the short form has to see succeed: fewer, and it looked at nothing but refusals.
SUCCEEDED_MIN = 48
# The same of the server's own listener.
ISSUER_MIN = 9
UPSTREAM = """apiVersion: tabard/v1
kind: Upstream
metadata: {name: invoices}
base_url: http://127.0.0.1:9
enforced_by: [edge]
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


def written(server, name, text):
    """A file of that text."""
    path = os.path.join(server.folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def furnish_upstream(server):
    """The one that services enforce."""
    server.tabard("upstream", "apply", written(server, "upstream.yaml", UPSTREAM), text="an-api-key")


def furnish(server):
    """What the examples of the document name."""
    tabard = server.tabard
    tabard("contract", "apply", os.path.join(ROOT, "tabard", "demo", "demo-billing.yaml"))
    for name in ("demo-billing", "clerk"):
        tabard("agent", "apply", written(server, "agent.yaml", AGENT % name))
    furnish_upstream(server)
    tabard("trust", "add", "https://idp.example", "--audience", "tabard",
           "--keys", written(server, "keys.json", json.dumps({"keys": [KEYS]})))
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


class Receiver(BaseHTTPRequestHandler):
    """An endpoint of our own."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def as_administrator(server, person):
    """Where an administrator asks, and with what."""
    options = ["--url", server.url]
    # By the document's own name for it, so that it is left out where that is what is tried.
    written(server, "schemathesis.toml", f'[auth.openapi.session]\napi_key = "{person.log_in()}"\n')
    for name, value in (
        ("origin", server.url),
        ("x-tabard-request", "1"),
        ("content-type", "application/json"),
    ):
        options += ["--header", f"{name}: {value}"]
    return options


def as_service(server, svid):
    """Where a service asks, and with what."""
    options = ["--url", server.issuer, "--header", "content-type: application/json"]
    return options + ["--request-cert", os.path.join(svid, "svid.pem"), "--request-cert-key", os.path.join(svid, "key.pem")]


def look(server, more):
    """One run."""
    report = os.path.join(server.folder, "report.json")
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", DOCUMENT]
    command += ["--tls-verify", server.root]
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
    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="ta-") as folder, Server(folder) as server:
        known = json.loads(server.tabard("-o", "json", "principal", "list"))
        founder = next(it["name"] for it in known if "admin" in it["roles"])
        furnish(server)
        person = Person(server.url, server.root)
        invited = json.loads(server.tabard("-o", "json", "principal", "invite", founder))
        person.enrol(invited["code"])
        def run(what, least, options):
            asked, found = succeeded(look(server, options), document)
            assert len(found) >= least, f"only {len(found)} operations succeeded: {sorted(found)}"
            print(f"admin_api: {what}: {asked} requests, {len(found)} operations succeeded, nothing to find fault with",
                  file=sys.stderr)

        for more in rounds:
            # Again what an earlier round may have removed.
            server.tabard("webhook", "remove", "desk", ends=(0, 1))
            server.tabard("webhook", "add", "desk", f"http://127.0.0.1:{receiver.server_port}/hook")
            furnish_upstream(server)
            svid = tempfile.mkdtemp(dir=folder)
            server.tabard("service", "svid", "edge", "--out", svid)
            alone = ["--include-operation-id", "webhooks_test"]
            run("a message", 1, as_administrator(server, person) + alone + more)
            run("the issuer", ISSUER_MIN, as_service(server, svid) + ["--include-tag", "issuer"] + more)
            # An endless answer.
            apart = ["--exclude-tag", "issuer", "--exclude-path", "/v1/entries/tail"]
            apart += ["--exclude-operation-id", "webhooks_test", "--exclude-operation-id", "orgs_add"]
            run("administration", SUCCEEDED_MIN, as_administrator(server, person) + apart + more)
        last = ["--include-operation-id", "orgs_add"]
        run("orgs", 1, as_administrator(server, person) + last + rounds[0])
        server.tabard("audit", "verify")


if __name__ == "__main__":
    main()
