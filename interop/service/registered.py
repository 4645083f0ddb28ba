"""A process that nobody launched: a registration gives it its identity, its children none, and removing it takes it away."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from spiffe import WorkloadApiClient

CONTRACT = """
apiVersion: tabard/v1
kind: AgentContract
metadata: {name: backend, version: 1}
owner: {team: interop}
purpose: {id: serving, statement: Serves requests.}
identity: {min_assurance: 1}
tasks: {types: [serving], max_ttl: 30m, openers: [self]}
grants:
  - id: read
    services: [invoices]
    actions: [invoices.read]
    reason: It reads what it serves.
    business_action: {invoices.read: Look at open invoices}
lifecycle: {expires: 2099-12-31, review_every: 90d}
"""
AGENT = """
apiVersion: tabard/v1
kind: Agent
metadata: {name: backend}
owner: interop
purpose: A service that nobody launches through a node agent.
contract: backend@1
expires: 7d
"""
CHILD = "from spiffe import WorkloadApiClient; WorkloadApiClient().fetch_x509_svid()"


def tabard(*arguments):
    subprocess.run(["tabard", *arguments], check=True, stdout=subprocess.DEVNULL)


def workload_socket():
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "tabard"
    config = Path(os.environ.get("TABARD_CONFIG_DIR") or config)
    contexts = tomllib.loads((config / "contexts.toml").read_text())
    admin = next(value for value in find(contexts, "admin_socket"))
    return Path(admin).with_name("workload.sock")


def find(table, key):
    for name, value in table.items():
        if name == key:
            yield value
        elif isinstance(value, dict):
            yield from find(value, key)


def refused():
    try:
        WorkloadApiClient().fetch_x509_svid()
    except Exception as error:
        return "no identity" in str(error)
    return False


def main():
    os.environ["SPIFFE_ENDPOINT_SOCKET"] = f"unix://{workload_socket()}"
    with TemporaryDirectory() as folder:
        contract, agent = Path(folder, "contract.yaml"), Path(folder, "agent.yaml")
        contract.write_text(CONTRACT)
        agent.write_text(AGENT)
        tabard("contract", "apply", str(contract))
        tabard("agent", "apply", str(agent))

    assert refused(), "nobody is anybody before a registration"
    own = os.path.realpath(sys.executable)
    tabard("registration", "add", "backend", "--agent", "backend", "--uid", str(os.getuid()), "--executable", own)
    identity = WorkloadApiClient().fetch_x509_svid().spiffe_id
    assert str(identity).endswith("/agent/backend"), identity
    assert WorkloadApiClient().fetch_jwt_svid({"interop.example"}).spiffe_id == identity
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert child.returncode != 0 and "no identity" in child.stderr, "a child got its parent's identity"
    tabard("registration", "remove", "backend")
    print(f"registered: {identity}")


if __name__ == "__main__":
    main()
