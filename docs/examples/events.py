#!/usr/bin/env python3
"""Prints a host's events as they happen: a WebSocket client in nothing but Python's standard library.

    python3 docs/examples/events.py                        # everything from now on
    python3 docs/examples/events.py --task task-01… --after 0 --until task_completed
    python3 docs/examples/events.py --collection notes --kind record_changed
    python3 docs/examples/events.py --collection incidents --only incident-commander

MANDATE_URL is the host, MANDATE_TOKEN the token; without one, the administrator's in .mandate.
"""

import argparse
import base64
import json
import os
import socket
import struct
from urllib.parse import urlsplit


class WebSocket:
    """As much of RFC 6455 as a client of events needs."""

    def __init__(self, url):
        at = urlsplit(url)
        self.socket = socket.create_connection((at.hostname, at.port or 80), timeout=60)
        self.stream = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        status = self.stream.readline().decode().strip()
        while self.stream.readline().strip():
            pass
        if " 101 " not in status:
            raise SystemExit(f"this is no WebSocket: {status}")

    def frame(self, code, data):
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self.socket.sendall(bytes([0x80 | code]) + length + mask + masked)

    def say(self, message):
        self.frame(1, json.dumps(message).encode())

    def hear(self):
        """The next message; None when the host has closed the connection."""
        while head := self.stream.read(2):
            length = head[1] & 127
            if length > 125:
                form = ">H" if length == 126 else ">Q"
                (length,) = struct.unpack(form, self.stream.read(struct.calcsize(form)))
            data, code = self.stream.read(length), head[0] & 15
            if code == 9:
                self.frame(10, data)
            elif code == 8:
                print("closed:", data[2:].decode())
                return None
            elif code == 1:
                return json.loads(data)
        return None


def token():
    if given := os.environ.get("MANDATE_TOKEN"):
        return given
    with open(".mandate/admin.token", encoding="utf-8") as file:
        return file.read().strip()


def main():
    parser = argparse.ArgumentParser(description="Prints a host's events as they happen.")
    parser.add_argument("--task")
    parser.add_argument("--collection")
    parser.add_argument("--subject", metavar="COLLECTION/ID")
    parser.add_argument("--kind")
    parser.add_argument("--after", type=int, metavar="N", help="begin behind event N; 0 is the beginning")
    parser.add_argument("--only", metavar="PREFIX", default="", help="print only kinds that begin so")
    parser.add_argument("--until", metavar="KIND", help="end after an event of this kind")
    given = parser.parse_args()
    topic = {name: vars(given)[name] for name in ("task", "collection", "subject", "kind") if vars(given)[name]}

    url = os.environ.get("MANDATE_URL", "http://127.0.0.1:7300").rstrip("/")
    host = WebSocket(url + "/ws")
    host.say({"token": token()})
    subscription = {"subscribe": [topic or "all"]}
    if given.after is not None:
        subscription["after"] = given.after
    host.say(subscription)
    while (message := host.hear()) is not None:
        if message["type"] == "event" and "seq" in message:
            what = message["data"].get("message") or message["data"].get("summary")
            if message["kind"] == "task_text":
                what = message["data"]["text"]
            # Of a task it is enough to say what; of a record, which one too.
            about = [message["subject"], what] if "." in message["kind"] else [message["subject"] or what]
            if message["kind"].startswith(given.only):
                print(message["seq"], message["kind"], *filter(None, about), flush=True)
            if message["kind"] == given.until:
                return
        elif message["type"] in ("event", "lagged", "error"):
            # A snapshot of the host has no number; the others say what is wrong.
            what = message.get("kind", message["type"])
            print("-", what, json.dumps(message.get("data", message)), flush=True)


if __name__ == "__main__":
    main()
