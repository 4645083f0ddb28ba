"""An agent that asks for tokens by itself, with nothing but the standard library and openssl(1).

It speaks to the Workload API as its launched process, exchanges for somebody else, and calls the gateway.
"""
import base64, hashlib, http.client, json, os, socket, ssl, struct, subprocess, sys, tempfile, time, urllib.parse, uuid

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPE = "urn:ietf:params:oauth:token-type:"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """The length-delimited fields of a protobuf message, as (number, bytes)."""
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        assert key & 7 == 2, "only strings and messages are expected"
        size, at = varint(data, at)
        found.append((key >> 3, data[at:at + size]))
        at += size
    return found


def one(data, number):
    return next(value for field, value in fields(data) if field == number)


def call(method, message):
    """The first message that a method of the Workload API answers with: gRPC over HTTP/2, as little of it as will do."""
    path = os.environ["SPIFFE_ENDPOINT_SOCKET"].removeprefix("unix://")
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(20)
    stream.connect(path)

    def frame(kind, flags, number, payload):
        stream.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", number) + payload)

    def header(name, value):
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

    stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    frame(4, 0, 0, b"")
    wanted = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/SpiffeWorkloadAPI/" + method.encode()),
              (b":authority", b"localhost"), (b"content-type", b"application/grpc"), (b"te", b"trailers"),
              (b"workload.spiffe.io", b"true")]
    frame(1, 4, 1, b"".join(header(*it) for it in wanted))
    frame(0, 1, 1, b"\0" + struct.pack(">I", len(message)) + message)
    inflow, data = stream.makefile("rb"), b""
    while len(data) < 5 or len(data) < 5 + struct.unpack(">I", data[1:5])[0]:
        head = inflow.read(9)
        assert len(head) == 9, "the Workload API hung up"
        payload = inflow.read(int.from_bytes(head[:3], "big"))
        if head[3] == 0:
            data += payload
        elif head[3] == 4 and not head[4] & 1:
            frame(4, 1, 0, b"")
        assert head[3] not in (3, 7), (head, payload)
        # Headers that end the stream before any message are a refusal.
        assert not (head[3] == 1 and head[4] & 1 and not data), payload
    return data[5:5 + struct.unpack(">I", data[1:5])[0]]


class Agent:
    def __init__(self, server, root):
        self.server, self.nonce = server, None
        self.tls = ssl.create_default_context(cafile=root)
        svid = one(call("FetchX509SVID", b""), 1)
        self.key = tempfile.NamedTemporaryFile()
        self.key.write(one(svid, 3))
        self.key.flush()
        point = self.openssl("pkey", "-inform", "DER", "-in", self.key.name, "-pubout", "-outform", "DER")[-64:]
        self.jwk = {"kty": "EC", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])}
        connection = http.client.HTTPSConnection(server, context=self.tls, timeout=20)
        connection.request("GET", "/.well-known/oauth-authorization-server")
        metadata = json.loads(connection.getresponse().read())
        self.endpoint, audience = metadata["token_endpoint"], metadata["issuer"].encode()
        self.svid = one(one(call("FetchJWTSVID", b"\x0a" + bytes([len(audience)]) + audience), 1), 2).decode()

    def openssl(self, *arguments, data=None):
        return subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout

    def proof(self, method, url, **more):
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk}
        claims = {"jti": str(uuid.uuid4()), "htm": method, "htu": url, "iat": int(time.time()), **more}
        message = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
        der = self.openssl("dgst", "-sha256", "-keyform", "DER", "-sign", self.key.name, data=message.encode())
        r_size = der[3]
        r, s = der[4:4 + r_size], der[6 + r_size:]
        number = lambda it: int.from_bytes(it, "big").to_bytes(32, "big")
        return message + "." + b64(number(r) + number(s))

    def exchange(self, audience, subject=None, **more):
        form = {"grant_type": EXCHANGE, "audience": audience, **more}
        if subject:
            form |= {"subject_token": subject[1], "subject_token_type": TYPE + subject[0],
                     "actor_token": self.svid, "actor_token_type": TYPE + "jwt"}
        else:
            form |= {"subject_token": self.svid, "subject_token_type": TYPE + "jwt"}
        for _ in range(2):
            nonce = {"nonce": self.nonce} if self.nonce else {}
            connection = http.client.HTTPSConnection(self.server, context=self.tls, timeout=20)
            proof = self.proof("POST", self.endpoint, **nonce)
            connection.request("POST", "/oauth/token", urllib.parse.urlencode(form),
                               {"Content-Type": "application/x-www-form-urlencoded", "DPoP": proof})
            answer = connection.getresponse()
            self.nonce = answer.getheader("DPoP-Nonce")
            found = json.loads(answer.read())
            if found.get("error") != "use_dpop_nonce":
                return found
        return found

    def get(self, gateway, path, token):
        url = f"http://{gateway}{path}"
        proof = self.proof("GET", url, ath=b64(hashlib.sha256(token.encode()).digest()))
        connection = http.client.HTTPConnection(gateway, timeout=20)
        connection.request("GET", path, headers={"Authorization": "DPoP " + token, "DPoP": proof})
        answer = connection.getresponse()
        answer.read()
        return {"status": answer.status, "code": answer.getheader("Tabard-Code"),
                "decision": answer.getheader("Tabard-Decision")}


def main():
    step, server, gateway, root, folder = sys.argv[1:6]
    agent = Agent(server, root)
    place = lambda name: os.path.join(folder, name)
    read = lambda name: open(place(name)).read().strip()
    if step == "hand-on":
        found = agent.exchange(sys.argv[6], ("id_token", read("user.jwt")))
        open(place("handed.jwt"), "w").write(found.get("access_token", ""))
        print(json.dumps(found), flush=True)
        # Its run, and with it its task, lasts until the other is done.
        while not os.path.exists(place("done")):
            time.sleep(0.05)
        return
    while not os.path.exists(place("handed.jwt")) or not read("handed.jwt"):
        time.sleep(0.05)
    found = agent.exchange("invoices", ("access_token", read("handed.jwt")))
    print(json.dumps(found), flush=True)
    token = found["access_token"]
    print(json.dumps(agent.get(gateway, "/invoices/v1/invoices", token)), flush=True)
    # Once more when somebody has said so.
    open(place("called"), "w").close()
    while not os.path.exists(place("again")):
        time.sleep(0.05)
    print(json.dumps(agent.get(gateway, "/invoices/v1/invoices", token)), flush=True)


main()
