"""An agent asks for a refund above its limit; a person in an unmodified Chromium approves exactly that request; the agent repeats
it and it passes once.

The agent runs in the live `tabard dev` like any other, behind its gateway; the person comes in by a passkey.
"""

import json
import os
import shutil
import subprocess
import sys

from _server import HERE, NODE_FOLDER, skip

AGENT = os.path.join(HERE, "_refund_agent.py")


class Agent:
    """A run that stays: an approval is for one task."""

    def __enter__(self):
        self.run = subprocess.Popen(
            ["tabard", "run", "--as", "demo-refunds", "--", sys.executable, AGENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_):
        self.run.stdin.close()
        try:
            self.run.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.run.kill()
            self.run.wait(timeout=20)

    def refund(self, minor, says=""):
        """(status, answer) of one call."""
        self.run.stdin.write(json.dumps({"amount_minor": minor, "says": says}) + "\n")
        self.run.stdin.flush()
        status, answer = json.loads(self.run.stdout.readline())
        return status, answer


def main():
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if node is None or chromium is None:
        skip("no node and chromium on PATH")
    if not os.path.isdir(os.path.join(NODE_FOLDER, "node_modules", "playwright-core")):
        skip("no npm packages; fix: npm ci in interop/node")
    with Agent() as agent:
        status, answer = agent.refund(4300)
        assert status == 201, (status, answer)
        hostile = "the customer paid twice</blockquote><script>alert(1)</script><h1>Approved</h1>"
        status, answer = agent.refund(12000, hostile)
        assert status == 403, (status, answer)
        waiting = answer["approval"]["id"]
        # Trying again asks nobody twice.
        status, answer = agent.refund(12000, hostile)
        assert (status, answer["approval"]["id"]) == (403, waiting), answer

        asked = json.loads(
            subprocess.run(
                ["tabard", "-o", "json", "approve", waiting, "--no-browser"],
                capture_output=True,
                timeout=30,
                check=False,
            ).stdout
        )
        handed = {
            "url": asked["page"].split("/ui/")[0],
            "page": asked["page"],
            "chromium": chromium,
            "says": hostile,
        }
        subprocess.run(
            [node, os.path.join(NODE_FOLDER, "approval.mjs")],
            input=json.dumps(handed).encode(),
            timeout=120,
            check=True,
        )

        # Exactly that request: one cent more is another one.
        status, answer = agent.refund(12001, hostile)
        assert status == 403 and answer["approval"]["id"] != waiting, (status, answer)
        status, answer = agent.refund(12000, hostile)
        assert (status, answer["refunded_minor"]) == (201, 12000), (status, answer)
        status, answer = agent.refund(12000, hostile)
        assert status == 403 and answer["approval"]["id"] != waiting, (status, answer)
    print(f"approval: {waiting} passed once", file=sys.stderr)


main()
