"""A server of its own for clients that need one: another configuration, or nobody else's requests in it.

Everything is on loopback, bounded in time, and stopped by its process id.
"""

import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
NODE_FOLDER = os.path.join(HERE, "..", "node")
SKIPPED = 77

CONFIG = """
[server]
data_dir = "data"
listen = "127.0.0.1:{server}"
issuer = "https://127.0.0.1:{server}"
trust_domain = "people.test"
[keys]
kek = {{ file = "kek" }}
[log]
checkpoint_copy = "checkpoint"
[people]
listen = "127.0.0.1:{people}"
url = "https://localhost:{people}"
"""


def skip(why):
    print(f"{os.path.basename(sys.argv[0])}: {why}", file=sys.stderr)
    sys.exit(SKIPPED)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """`tabard server` in `folder`, founded, with pages for people; `more` is appended to its configuration."""

    def __init__(self, folder, more=""):
        self.folder = folder
        people, server = free_port(), free_port()
        self.url = f"https://localhost:{people}"
        self.issuer = f"https://127.0.0.1:{server}"
        self.root = os.path.join(folder, "data", "root.pem")
        self.config = os.path.join(folder, "server.toml")
        with open(self.config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(people=people, server=server) + more)
        self.environment = os.environ | {
            "TABARD_CONFIG_DIR": os.path.join(folder, "config"),
            "TABARD_STATE_DIR": os.path.join(folder, "state"),
        }
        self.log_path = os.path.join(folder, "server.log")

    def __enter__(self):
        command = ["tabard", "server", "--config", self.config, "--found", "acme", "--write-context", "people"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=20)

    def _wait(self):
        for _ in range(150):
            if self.process.poll() is not None:
                sys.exit(f"the server ended at once\n{self.log()}")
            asked = subprocess.run(
                ["tabard", "status"],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            if asked.returncode == 0:
                return
            time.sleep(0.2)
        sys.exit("the server was not ready within 30 s")

    def log(self):
        """The end of what it said."""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    def tabard(self, *words, text=None, ends=(0,)):
        """What a command prints; it has to end with one of those codes."""
        done = subprocess.run(
            ["tabard", *words],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode not in ends:
            sys.exit(f"tabard {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout
