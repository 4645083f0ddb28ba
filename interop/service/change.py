"""A wider contract over real sessions: its author proposes it from a terminal, it waits, they cannot publish it themselves, and a
second person looks at it in an unmodified Chromium and publishes it. A narrower one takes nobody else. An exception is
opened by a person who is there.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from _server import NODE_FOLDER, ROOT, Server, skip


def main():
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if node is None or chromium is None:
        skip("no node and chromium on PATH")
    if not os.path.isdir(os.path.join(NODE_FOLDER, "node_modules", "playwright-core")):
        skip("no npm packages; fix: npm ci in interop/node")
    with tempfile.TemporaryDirectory(prefix="tc-") as folder, Server(folder) as server:
        handed = {
            "url": server.url,
            "root": server.root,
            "chromium": chromium,
            "contract": os.path.join(ROOT, "tabard", "demo", "demo-billing.yaml"),
            "folder": folder,
        }
        ended = subprocess.run(
            [node, os.path.join(NODE_FOLDER, "change.mjs")],
            input=json.dumps(handed).encode(),
            env=server.environment,
            timeout=180,
            check=False,
        )
        if ended.returncode != 0:
            print(server.log(), file=sys.stderr)
        else:
            server.tabard("audit", "verify")
    sys.exit(ended.returncode)


main()
