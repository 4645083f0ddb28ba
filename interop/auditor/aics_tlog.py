"""The exported log under the eyes of the unmodified aics-tlog verifier: checkpoint, inclusion, consistency, a forged byte.

Runs as a person, not as an agent. The log's key comes from the person's context file, never from what is verified.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, **options)


def tabard(*words):
    ended = run("tabard", *words)
    assert ended.returncode == 0, f"tabard {' '.join(words)}: {ended.stderr}"
    return ended.stdout


def log_key():
    folder = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ["HOME"], ".config")
    with open(os.path.join(folder, "tabard", "contexts.toml"), "rb") as file:
        known = tomllib.load(file)
    return known["contexts"][known["current"]]["log_vkey"]


def verifier(command, *words):
    return run(sys.executable, "-m", "aics_tlog", command, *words)


def accepts(command, *words):
    ended = verifier(command, *words)
    assert ended.returncode == 0, f"aics-tlog {command}: {ended.stdout}{ended.stderr}"


def size_of(checkpoint):
    return int(pathlib.Path(checkpoint).read_text().splitlines()[1])


with tempfile.TemporaryDirectory(prefix="tabard-audit-") as folder:
    key = ["--log-key", log_key()]
    first, forged = os.path.join(folder, "first"), os.path.join(folder, "forged")
    tabard("audit", "export", first)
    older = os.path.join(first, "checkpoint")
    # One more launch, so that the log grows; a checkpoint is published every second.
    tabard("run", "--as", "demo-billing", "--", "true")
    for attempt in range(20):
        time.sleep(0.5)
        second = os.path.join(folder, f"second-{attempt}")
        tabard("audit", "export", second)
        newer = os.path.join(second, "checkpoint")
        if size_of(newer) > size_of(older):
            break
    assert 0 < size_of(older) < size_of(newer), "the log grew"

    accepts("verify-checkpoint", "--tiles", first, *key)
    accepts("verify-checkpoint", "--tiles", second, *key)
    for index in (0, size_of(newer) // 2, size_of(newer) - 1):
        accepts("verify-inclusion", "--tiles", second, "--index", str(index), *key)
    accepts("verify-consistency", "--tiles", second, "--old-checkpoint", older, *key)

    # The same checks have to fail when one byte of one entry is another.
    shutil.copytree(second, forged)
    bundle = next(path for path in sorted(pathlib.Path(forged, "tile", "entries").rglob("*")) if path.is_file())
    content = bytearray(bundle.read_bytes())
    content[40] ^= 1
    bundle.write_bytes(content)
    ended = verifier("verify-inclusion", "--tiles", forged, "--index", "0", *key)
    assert ended.returncode != 0, "aics-tlog did not notice a forged entry"
    ended = run("tabard", "audit", "verify", forged)
    assert ended.returncode == 1, f"tabard audit verify: {ended.returncode} {ended.stdout}{ended.stderr}"

    print(f"aics-tlog: {size_of(newer)} entries")
