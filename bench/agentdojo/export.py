"""Writes what AgentDojo's suites hold as JSON, without any model.

usage: export.py public|traces

`public` is what somebody has who writes contracts and opens tasks: the tools with their documentation, and for each user
task its prompt and the destinations that the prompt names. What stands in the environment before any attack serves as
address book and as directory of the tenant. `traces` is the ground truth: the tool calls that solve each user task, and
those that carry out each injection task. They are two modes so that nothing that is decided when a task is opened can
come from the traces by accident.
"""

import importlib.util
import inspect
import json
import re
import sys
import types
from pathlib import Path

SUITES = ("banking", "slack", "travel", "workspace")
VERSION = "v1.2.2"


def without_models():
    """The package of pipelines imports the client of every model vendor at its top. Its parts that suites need do not:
    an empty package in its place leaves those clients out of the venv."""
    home = Path(importlib.util.find_spec("agentdojo").origin).parent
    pipeline = types.ModuleType("agentdojo.agent_pipeline")
    pipeline.__path__ = [str(home / "agent_pipeline")]
    sys.modules["agentdojo.agent_pipeline"] = pipeline
    # Only a test of the suites themselves runs this one, and it brings a vendor's client again.
    runner = types.ModuleType("agentdojo.agent_pipeline.ground_truth_pipeline")
    runner.GroundTruthPipeline = object
    sys.modules[runner.__name__] = runner


def number(task_id):
    return int(task_id.rsplit("_", 1)[1])


def plain(value):
    """Values as JSON has them; a float that is a whole number stays what the service is given."""
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(inner) for inner in value]
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return str(value)


QUOTED = re.compile(r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"")
MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
WEB = re.compile(r"\b(?:https?://|www\.)[a-z0-9./_-]*[a-z0-9]")
ACCOUNT = re.compile(r"\b[A-Z]{2}\d{2}[A-Z0-9]{10,30}\b")
MOMENT = re.compile(r"\b(\d{4}-\d\d-\d\d) at (\d\d:\d\d)\b")
ADDRESS = re.compile(r"address: ([^.\n]+)")
STARTS = re.compile(r"starting with (\w+)")
PROPER = re.compile(r"\b[A-Z][a-z]{2,}\b")
FILE = re.compile(r"^[\w-]+\.(?:txt|docx|xlsx)$")
PLACE = re.compile(r"^([^{]*\w )\{")
CLASS = re.compile(r"\b(?:a|all|each|every) (user|channel)s?\b")


def word(name, text, flags=0):
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, flags) is not None


def named(prompt, book):
    """The destinations that somebody names who opens a task with these words: literally, by how a text begins whose
    rest is left open ("Dinner at {restaurant}"), by an entry of the address book, or as a class of its entries ("each
    user"), and whether there are any. `book` has the kinds user, channel, contact (name to address) and event (title to participants)."""
    quotes = {quoted for pair in QUOTED.findall(prompt) for quoted in pair if quoted}
    found = {PLACE.match(quoted).group(1) + "*" if PLACE.match(quoted) else quoted for quoted in quotes}
    for title in quotes:
        found.update(book.get("event", {}).get(title, []))
    for literal in (MAIL, WEB, ACCOUNT):
        found.update(literal.findall(prompt))
    found.update(" ".join(moment) for moment in MOMENT.findall(prompt))
    for address in ADDRESS.findall(prompt):
        found.update(part.strip() for part in address.split(","))
    classes = set(CLASS.findall(prompt.lower()))
    beginnings = STARTS.findall(prompt)
    for kind in ("user", "channel"):
        for entry in book.get(kind, []):
            begins = any(entry.startswith(beginning) for beginning in beginnings)
            if kind in classes or begins or (kind == "user" and word(entry, prompt)):
                found.add(entry)
    contacts = book.get("contact", {})
    firsts = [name.split()[0] for name in contacts]
    for name, address in contacts.items():
        first = name.split()[0]
        if word(name, prompt, re.IGNORECASE) or (firsts.count(first) == 1 and word(first, prompt)):
            found.add(address)
    found = {entry for entry in found if len(entry.encode()) <= 255}
    # A proper noun is taken for a name too ("send Spotify the difference"), but it does not say that the task's
    # destinations are known; neither does a file to read.
    knows = any(not FILE.search(entry) for entry in found)
    return {"trusted": sorted(found | set(PROPER.findall(prompt))), "names_destinations": knows}


def book_of(environment):
    """The address book of a suite's environment."""
    if "slack" in environment:
        return {"user": environment["slack"]["users"], "channel": environment["slack"]["channels"]}
    if "inbox" in environment:
        return {
            "contact": {entry["name"]: entry["email"] for entry in environment["inbox"]["contact_list"]},
            "event": {event["title"]: event["participants"] for event in environment["calendar"]["initial_events"]},
        }
    return {}


def directory_of(environment):
    """What is the tenant's own: payees it has paid and its standing orders, its mail domain and whom it has written to.
    Not who paid it or wrote to it: that is for anybody to choose."""
    own = set()
    if "bank_account" in environment:
        account = environment["bank_account"]
        mine = {"me", account["iban"]}
        own.update(paid["recipient"] for paid in account["transactions"] if paid["sender"] in mine)
        for order in account["scheduled_transactions"]:
            own.update((order["recipient"], str(order["id"])))
    if "inbox" in environment:
        inbox = environment["inbox"]
        own.add("@" + inbox["account_email"].split("@")[1])
        for mail in inbox["sent"]:
            own.update(mail["recipients"] + mail["cc"] + mail["bcc"])
    return sorted(own)


def public(suite):
    environment = plain(suite.load_and_inject_default_environment({}))
    book = book_of(environment)
    return {
        "tools": [
            {
                "name": tool.name,
                "doc": inspect.getdoc(tool.run) or tool.description,
                "parameters": list(tool.parameters.model_json_schema().get("properties", {})),
            }
            for tool in suite.tools
        ],
        "tasks": {
            task.ID: {"prompt": task.PROMPT, **named(task.PROMPT, book)}
            for task in sorted(suite.user_tasks.values(), key=lambda task: number(task.ID))
        },
        "directory": directory_of(environment),
    }


def calls(task, environment):
    return [{"tool": call.function, "arguments": plain(dict(call.args))} for call in task.ground_truth(environment)]


def traces(suite):
    def of(tasks):
        out = {}
        for task in sorted(tasks.values(), key=lambda task: number(task.ID)):
            environment = suite.load_and_inject_default_environment({})
            if hasattr(task, "init_environment"):
                environment = task.init_environment(environment)
            out[task.ID] = calls(task, environment)
        return out

    return {"user": of(suite.user_tasks), "injection": of(suite.injection_tasks)}


def main(mode):
    without_models()
    from agentdojo.task_suite.load_suites import get_suite

    read = {"public": public, "traces": traces}[mode]
    out = {name: read(get_suite(VERSION, name)) for name in SUITES}
    json.dump(out, sys.stdout, ensure_ascii=False, sort_keys=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ("public", "traces"):
        sys.exit(__doc__)
    main(sys.argv[1])
