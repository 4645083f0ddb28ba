"""An agent that gives back what it is told to: a request as JSON on each line of stdin, [status, answer] on stdout."""

import json
import sys
import urllib.error
import urllib.request

REFUND = "http://invoices.demo/v1/invoices/inv_1/refund"

for line in sys.stdin:
    told = json.loads(line)
    headers = {"content-type": "application/json"}
    if told["says"]:
        headers["tabard-justification"] = told["says"]
    body = json.dumps({"amount_minor": told["amount_minor"]}).encode()
    request = urllib.request.Request(REFUND, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = [answer.status, json.load(answer)]
    except urllib.error.HTTPError as refused:
        said = [refused.code, json.load(refused)]
    print(json.dumps(said), flush=True)
