"""Real https servers on this machine that serve a folder, and misbehave as they are told."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trustme

BLOCK = 1 << 14


@dataclass
class Behaviour:
    """Say what a server does wrong, request by request, and when the list is empty."""

    faults: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    always: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, path, range_):
        with self.lock:
            self.requests.append((path, range_))
            return self.faults.pop(0) if self.faults else self.always


class Handler(http.server.BaseHTTPRequestHandler):
    """Serve files with ranges; each fault is a text, perhaps with an argument."""

    protocol_version = "HTTP/1.1"

    def __init__(self, root, behaviour, *args):
        self.root, self.behaviour = root, behaviour
        super().__init__(*args)

    def do_GET(self):
        fault = self.behaviour.next(self.path, self.headers.get("Range"))
        kind, _, argument = (fault or "").partition(" ")
        path = self.root / self.path.lstrip("/").partition("?")[0]
        if kind == "status":
            self.send_answer(int(argument), b"")
        elif kind == "redirect":
            self.send_answer(302, b"", location=argument)
        elif kind == "busy":
            self.send_answer(503, b"", retry_after=argument)
        elif not path.is_file():
            self.send_answer(404, b"")
        else:
            self.send_file(path.read_bytes(), kind, argument)

    def send_file(self, content, kind, argument):
        start = 0
        if (range_ := self.headers.get("Range")) and kind != "ignore_range":
            start = int(range_.removeprefix("bytes=").rstrip("-"))
        if start > len(content):
            return self.send_answer(416, b"")
        headers = {}
        if start or (range_ and kind != "ignore_range"):
            headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if kind == "wrong_range":
            headers["content-range"] = f"bytes 0-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if kind == "wrong":
            body = bytes(255 - byte for byte in body)
        if kind == "longer":
            body += b"more"
        if kind == "gzip":
            headers["content-encoding"] = "gzip"
        self.send_answer(206 if headers.get("content-range") else 200, body, kind, **headers)
        return None

    def send_answer(self, status, body, kind="", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if kind in ("truncate", "stall"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
            if kind == "stall":
                time.sleep(3)
            return
        for start in range(0, len(body), BLOCK):
            self.wfile.write(body[start : start + BLOCK])
            if kind == "slow":
                time.sleep(0.01)

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that hangs up is part of the game."""


def certify(folder):
    """Make a certificate for this machine; return its paths: the authority's and the server's."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder / "authority.pem", folder / "server.pem"


@contextlib.contextmanager
def serve(root: Path, certificate: Path | None):
    """Serve a folder until the block ends; yields the address and the behaviour."""
    behaviour = Behaviour()
    server = _Server(("127.0.0.1", 0), partial(Handler, root, behaviour))
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}", behaviour
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
