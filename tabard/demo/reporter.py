"""The demo's second agent: plain HTTP and no key of any kind. Its listener, its identity and its limits come from outside."""

import json
import urllib.request


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


invoices = get("http://invoices.demo/v1/invoices")
totals = get("http://payroll.demo/v1/totals?month=3")
print(json.dumps({"invoices": len(invoices), "payroll_total": totals["total"]}))
