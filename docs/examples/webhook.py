#!/usr/bin/env python3
"""A webhook for kefu, with nothing but Python's standard library (3.8 or later).

    KEFU_WEBHOOK_SECRET='the secret of kefu.toml' python3 webhook.py [PORT]

It checks the signature, answers texts and pictures, and says nothing to everything else. See docs/webhook.md.
"""

import collections
import email.parser
import email.policy
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["KEFU_WEBHOOK_SECRET"].encode()
MAX_AGE_SECONDS = 300
MAX_BODY_BYTES = 32 * 1024 * 1024


def is_authentic(headers, body):
    """Whether kefu made this call, a moment ago."""
    timestamp = headers.get("Kefu-Timestamp", "")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(time.time() - int(timestamp)) > MAX_AGE_SECONDS:
        return False
    digest = hmac.new(SECRET, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    given = headers.get("Kefu-Signature", "").encode()
    # In constant time: how long a comparison takes must not tell how much of a guess is right.
    return hmac.compare_digest(("v1=" + digest).encode(), given)


def read(headers, body):
    """The envelope, and the picture's bytes if there is one."""
    content_type = headers.get("Content-Type", "")
    if not content_type.startswith("multipart/form-data"):
        return json.loads(body), None
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    parts = {part.get_param("name", header="Content-Disposition"): part for part in form.iter_parts()}
    return json.loads(parts["envelope"].get_payload(decode=True)), parts["media"].get_payload(decode=True)


def replies_to(envelope, picture):
    """Your own logic: a list of replies, shaped as in kefu's rules. None for no reply."""
    content = envelope["push"]["content"]
    if content["type"] == "text":
        return [{"text": f"You wrote: {content['content']}"}]
    if content["type"] == "image" and picture is not None:
        return [{"text": f"A picture of {len(picture)} bytes, thank you."}]
    return []


class Answers:
    """The last answers: kefu may ask again after a crash, and gets the same answer then."""

    def __init__(self, most=10_000):
        self.most, self.lock, self.answers = most, threading.Lock(), collections.OrderedDict()

    def get(self, message, make):
        with self.lock:
            if message not in self.answers:
                self.answers[message] = make()
                if len(self.answers) > self.most:
                    self.answers.popitem(last=False)
            return self.answers[message]


ANSWERS = Answers()


class Webhook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(length)
        if not is_authentic(self.headers, body):
            return self.answer(401)
        envelope, picture = read(self.headers, body)
        replies = ANSWERS.get(self.headers["Kefu-Message"], lambda: replies_to(envelope, picture))
        self.answer(200, {"replies": replies}) if replies else self.answer(204)

    def answer(self, status, value=None):
        body = b"" if value is None else json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: what users write belongs in no log."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8000), Webhook)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
