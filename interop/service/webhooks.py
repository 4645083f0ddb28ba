"""A receiver of webhooks with the unmodified standardwebhooks of PyPI: it takes what Tabard sends, and nothing else."""

import json
import queue
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

NAME = "interop"
WAIT = 30


def tabard(*arguments, check=True):
    return subprocess.run(
        ["tabard", "-o", "json", "webhook", *arguments], check=check, stdout=subprocess.PIPE, timeout=WAIT
    )


def refuses(webhook, body, headers):
    try:
        webhook.verify(body, headers)
    except WebhookVerificationError:
        return
    raise SystemExit(f"a forged message was taken: {headers}")


came = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        came.put((body, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
added = json.loads(tabard("add", NAME, f"http://127.0.0.1:{server.server_port}/hook").stdout)
try:
    assert json.loads(tabard("test", NAME).stdout)["delivered"]
    body, headers = came.get(timeout=WAIT)
    webhook = Webhook(added["secret"])
    message = webhook.verify(body, headers)
    assert message["type"] == "webhook.test" and message["data"] == {"webhook": NAME}, message
    refuses(webhook, body.replace(b"interop", b"another"), headers)
    refuses(webhook, body, headers | {"webhook-id": "another"})
    refuses(webhook, body, headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)})
    refuses(Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), body, headers)
finally:
    tabard("remove", NAME)
assert tabard("test", NAME, check=False).returncode != 0
print(f"webhooks: {message['type']} by standardwebhooks")
