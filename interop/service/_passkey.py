"""A passkey in software, resident and with user verification, for clients that are no browser.

It speaks the ceremonies of W3C Web Authentication Level 3 (sections 6.1, 6.5 and 7) with ES256 and no attestation.
"""

import base64
import hashlib
import json
import secrets
import struct

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT_VERIFIED = 0b101
ATTESTED = 0b1000000


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Person:
    """Somebody with one passkey, in a session of their own at `url`."""

    def __init__(self, url, root):
        self.url = url
        self.http = requests.Session()
        self.http.verify = root
        # Nobody's proxies, and no other authorities than the server's own.
        self.http.trust_env = False
        self.http.headers.update({"origin": url, "x-tabard-request": "1", "sec-fetch-site": "same-origin"})
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(16)
        self.handle = None
        self.counter = 0

    def enrol(self, code):
        """Spends an invite."""
        begun = self._post("/ui/invite/begin", {"code": code})
        self.handle = begun["user_handle"]
        point = self.key.public_key().public_numbers()
        # {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        cose = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + point.x.to_bytes(32, "big")
        cose += b"\x22\x58\x20" + point.y.to_bytes(32, "big")
        data = self._data(begun["rp_id"], ATTESTED)
        data += bytes(16) + struct.pack(">H", len(self.id)) + self.id + cose
        made = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data
        self._post(
            "/ui/invite/passkey",
            {
                "client_data": encode(self._client_data("webauthn.create", begun)),
                "attestation_object": encode(made),
                "label": "interop",
            },
        )

    def log_in(self):
        """A new session, verified; gives the value of its cookie."""
        begun = self._post("/ui/login/passkey/begin", {})
        data, client = self._data(begun["rp_id"], 0), self._client_data("webauthn.get", begun)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        self._post(
            "/ui/login/passkey",
            {
                "id": encode(self.id),
                "client_data": encode(client),
                "authenticator_data": encode(data),
                "signature": encode(signature),
                "user_handle": self.handle,
            },
        )
        return self.http.cookies["__Host-tabard-session"]

    def _data(self, rp_id, more):
        self.counter += 1
        flags = bytes([PRESENT_VERIFIED | more])
        return hashlib.sha256(rp_id.encode()).digest() + flags + struct.pack(">I", self.counter)

    def _client_data(self, kind, begun):
        said = {"type": kind, "challenge": begun["challenge"], "origin": self.url, "crossOrigin": False}
        return json.dumps(said).encode()

    def _post(self, path, body):
        answer = self.http.post(self.url + path, json=body, timeout=30)
        assert answer.ok, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()
