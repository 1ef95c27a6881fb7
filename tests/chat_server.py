"""A server on loopback that speaks as much of the chat completions protocol as the tests need.

What it answers is scripted, request by request; what it was asked is kept.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """What the server does with one request: an HTTP answer, after a pause in seconds."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0


def says(content: Any, usage: Mapping[str, int] | None = None, pause: float = 0.0) -> Reply:
    """An answer with this content: text as it is, anything else as JSON."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    completion: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "small",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
    }
    if usage is not None:
        completion["usage"] = {**usage, "total_tokens": sum(usage.values())}
    return Reply(json.dumps(completion).encode(), pause=pause)


def refuses(status: int, message: str = "no", **headers: str) -> Reply:
    """An error status; whoever repeats the request need not wait, unless the headers say otherwise."""
    body = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    return Reply(body, status, {"Retry-After": "0", "retry-after-ms": "1", **headers})


class ChatServer:
    """Answers requests with the replies in order; the last one goes on for ever."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        """The body of every request, with its headers under `headers` and its path under `path`."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server._answer(self, {**body, "headers": headers, "path": self.path})

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """Where its protocol begins."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def environment(self, key: str = "key-of-the-test-1") -> dict[str, str]:
        """What a client needs to find it; no proxy of this machine is asked."""
        return _environment(self.url, key)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        with self._lock:
            self.requests.append(request)
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if reply.pause:
            self._closing.wait(reply.pause)
        try:
            handler.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(reply.body)))
            handler.end_headers()
            handler.wfile.write(reply.body)
        except OSError:
            handler.close_connection = True  # the client has given up


def nobody(key: str) -> dict[str, str]:
    """What `ChatServer.environment` is, of a server that is not there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return _environment(f"http://127.0.0.1:{unused.getsockname()[1]}/v1", key)


def _environment(url: str, key: str) -> dict[str, str]:
    return {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": url, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def contents(requests: Sequence[Mapping[str, Any]]) -> list[list[tuple[str, str]]]:
    """The messages of each request, as role and content."""
    return [[(message["role"], message["content"]) for message in request["messages"]] for request in requests]
