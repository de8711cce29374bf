"""The server under test is found as any client would find it: by ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import pytest
from anthropic import Anthropic

from driver import BETA, WAIT, interrupt, toolset
from workers import Desk, make_key, make_place


def pytest_report_header() -> str:
    return f"anthropic {anthropic.__version__} against {os.environ.get('ANTHROPIC_BASE_URL')}"


def pytest_configure() -> None:
    if not os.environ.get("ANTHROPIC_BASE_URL") or not os.environ.get("ANTHROPIC_API_KEY"):
        raise pytest.UsageError("set ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY, or use ../run.sh")


@pytest.fixture(scope="session")
def client() -> Anthropic:
    # Without retries: one that succeeds would hide the failure before it.
    return Anthropic(timeout=WAIT, max_retries=0)


@pytest.fixture(scope="session")
def wire(client: Anthropic) -> Iterator[httpx.Client]:
    """Plain HTTP with the headers that this SDK sends."""
    headers = {
        **client.auth_headers,
        "anthropic-version": str(client.default_headers["anthropic-version"]),
        "anthropic-beta": BETA,
    }
    with httpx.Client(
        base_url=os.environ["ANTHROPIC_BASE_URL"], headers=headers, timeout=WAIT, trust_env=False
    ) as wire:
        yield wire


@pytest.fixture(scope="session")
def environment(client: Anthropic) -> Any:
    return client.beta.environments.create(name="conformance", config={"type": "cloud"})


MakeAgent = Callable[..., Any]


@pytest.fixture(scope="session")
def make_agent(client: Anthropic) -> MakeAgent:
    """Makes an agent whose model plays a script of ../scripts."""

    def make(script: str, **fields: Any) -> Any:
        asked = {"name": f"plays {script}", "system": "You follow a script.", "tools": [toolset()], **fields}
        return client.beta.agents.create(model=f"script/{script}", **asked)

    return make


Start = Callable[..., Any]


@pytest.fixture
def start(client: Anthropic, environment: Any, make_agent: MakeAgent) -> Iterator[Start]:
    """Starts a session with an agent of its own, and deletes it after the test."""
    sessions: list[str] = []

    def start(script: str, *, tools: list[dict[str, Any]] | None = None, **fields: Any) -> Any:
        agent = make_agent(script, **({} if tools is None else {"tools": tools}))
        asked = {"agent": agent.id, "environment_id": environment.id, **fields}
        session = client.beta.sessions.create(**asked)
        sessions.append(session.id)
        return session

    yield start
    for id in sessions:
        with contextlib.suppress(anthropic.APIStatusError):
            if client.beta.sessions.retrieve(id).status == "running":
                client.beta.sessions.events.send(id, events=[interrupt()])
            else:
                client.beta.sessions.delete(id)


@pytest.fixture
def place(client: Anthropic) -> Any:
    """An environment of its own whose sessions are served by workers."""
    return make_place(client)


@pytest.fixture
def key(wire: httpx.Client, place: Any) -> str:
    """What workers of that environment show."""
    return make_key(wire, place)["key"]


@pytest.fixture
def desk(place: Any, key: str) -> Iterator[Desk]:
    with Desk(place, key) as desk:
        yield desk
