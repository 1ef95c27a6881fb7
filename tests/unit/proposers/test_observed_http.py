"""What is kept of an HTTP request and its response."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from exprec.recorder.proposers.observed_http import ObservedHttp


class Url:
    def __init__(self, path: bytes) -> None:
        self.raw_path = path


class Request:
    method = "POST"

    def __init__(self, path: bytes = b"/v1", content: bytes = b"{}") -> None:
        self.url = Url(path)
        self.content = content
        self.headers = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}


class Response:
    status_code = 200

    def __init__(self, content: bytes, error: Exception | None = None) -> None:
        self.content, self._error = content, error
        self.headers = {"content-type": "text/plain", "set-cookie": "c", "anthropic-ratelimit-tokens-limit": "5"}

    async def aread(self) -> bytes:
        if self._error is not None:
            raise self._error
        return self.content


def observed(request: Request, response: Response | None = None, **options: Any) -> dict[str, Any]:
    seen = ObservedHttp(lambda: 0.0)

    async def exchange() -> None:
        await seen.sent(request)
        if response is not None:
            await seen.received(response)

    with contextlib.suppress(OSError):
        asyncio.run(exchange())
    fields = seen.fields(float, **options)
    assert fields is not None
    return fields


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (b"/v1/chat", "/v1/chat"),
        (b"/v1?key=abc", "/v1"),
        (b"/v1?alt=sse&API_KEY=abc&token=x&a=1", "/v1?alt=sse&a=1"),
    ],
)
def test_a_query_is_kept_without_keys(path: bytes, kept: str) -> None:
    assert observed(Request(path))["path"] == kept


@pytest.mark.parametrize(
    ("content", "kept"),
    [(b"", None), (b'{"a": 1.0}', {"json": {"a": 1.0}}), (b"{", {"text": "{"}), (b"\xff", {"base64": "/w=="})],
)
def test_a_body_is_kept_in_the_form_that_holds_it(content: bytes, kept: Any) -> None:
    assert observed(Request(content=content))["request"] == kept


def test_headers_that_clients_act_on_are_kept() -> None:
    fields = observed(Request(), Response(b"\xffx"))
    assert fields["headers"] == {"anthropic-version": "2023-06-01"}
    kept = {"content-type": "text/plain", "anthropic-ratelimit-tokens-limit": "5"}
    assert fields["response"] == {"status": 200, "headers": kept, "base64": "/3g="}


def test_how_it_ended() -> None:
    broken = Response(b"", OSError())
    ends = [
        observed(Request(), Response(b"")),
        observed(Request(), broken),
        observed(Request()),
        observed(Request(), timed_out=True),
    ]
    assert [fields["end"] for fields in ends] == ["whole", "upstream", "unreachable", "client"]
    assert [fields["response"] is None for fields in ends] == [False, True, True, True]


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b"no", None),
        (b"[]", None),
        (b'{"usage": null}', None),
        (b'{"usage": {"input_tokens": 5, "output_tokens": -1}}', [5, None, None, None]),
        (b'{"usage": {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2}}}', [5, 2, None, None]),
    ],
)
def test_tokens_of_a_body(body: bytes, usage: list[int | None] | None) -> None:
    seen = ObservedHttp(lambda: 0.0)
    asyncio.run(seen.received(Response(body)))
    counted = seen.usage()
    assert (None if counted is None else list(counted.values())) == usage
