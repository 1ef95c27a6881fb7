"""Coroutine tests without a plugin, and the model clients of the tests of the origin."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from tests.fixtures.experiments import policy


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "asyncio: a test that is a coroutine")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


class MockClient:
    """Answers every request with the same policy; `requests` are the keyword arguments that it got."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []

    async def generate_policy(self, **request: Any) -> Mapping[str, Any]:
        self.requests.append(request)
        return self.answer


@pytest.fixture
def mock_llm_client(monkeypatch: pytest.MonkeyPatch) -> MockClient:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return MockClient(policy(0.1))


@pytest.fixture
def mock_llm_returns_invalid(monkeypatch: pytest.MonkeyPatch) -> MockClient:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return MockClient(policy(0.9))
