"""A server that answers as it is told, over plain HTTP or TLS: for what a whole
marketplace does not do on demand (limits, expired tokens, silence)."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Status, and the answer as JSON or bytes.
Answer = tuple[int, Any]
Handler = Callable[[str, str, dict[str, Any], str | None], Answer]


class Stub:
    """Serves until it is closed; keeps what was asked."""

    def __init__(self, answer: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, str | None]] = []
        stub = self

        class Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _answer(self, method: str) -> None:
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length)) if length else {}
                token = self.headers.get("authorization")
                what = body.get("query", self.path)
                stub.asked.append((what, token))
                status, said = answer(method, what, body.get("variables") or {}, token)
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                if status in (301, 302, 307):
                    self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self) -> None:
                self._answer("POST")

            def do_GET(self) -> None:
                self._answer("GET")

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
        self.server.daemon_threads = True
        scheme = "http"
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Stub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def data(**fields: Any) -> Answer:
    return 200, {"data": fields}


def refusal(code: str, **more: Any) -> Answer:
    return 200, {"errors": [{"message": "refused", "extensions": {"code": code, **more}}]}
