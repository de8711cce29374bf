"""What the tests of self-hosted environments are written in: an environment's work, and the SDK's own worker at it.

Run as a program it is such a worker, in a process of its own that can be killed: `workers.py ENVIRONMENT DIRECTORY`, with
the key in ANTHROPIC_ENVIRONMENT_KEY.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

from driver import BETA, WAIT, Conversation

MESSAGES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 409: "conflict_error"}

UNKNOWN = "invalid x-api-key"
"""What is said to a credential that this server did not make, or that is good for nothing any more."""

FIRST = "NO_HEARTBEAT"


def make_key(wire: httpx.Client, place: Any, name: str | None = None) -> dict[str, Any]:
    made = wire.post("/v1/stead/keys", json={"environment_id": place.id, "name": name})
    assert made.status_code == 200, made.text
    return made.json()


def make_place(client: Any, name: str = "Elsewhere") -> Any:
    # With a description, because the models of 0.121 know no environment without one.
    return client.beta.environments.create(name=name, description="Ours.", config={"type": "self_hosted"})


def token_of(work: dict[str, Any]) -> str:
    """What is in the secret that a poll was answered with."""
    secret = work["secret"]
    return json.loads(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)))["sessions_token"]


def bearer(secret: str) -> httpx.Client:
    """Plain HTTP with that credential and no other."""
    headers = {"authorization": f"Bearer {secret}", "anthropic-version": "2023-06-01", "anthropic-beta": BETA}
    return httpx.Client(base_url=os.environ["ANTHROPIC_BASE_URL"], headers=headers, timeout=WAIT, trust_env=False)


def refused(answer: httpx.Response, status: int, message: str, details: dict[str, Any] | None = None) -> None:
    """Holds a refusal to the letter."""
    kind = MESSAGES.get(status, "invalid_request_error")
    error = {"type": kind, "message": message, **({} if details is None else {"details": details})}
    request_id = answer.headers.get("request-id")
    assert request_id and request_id.startswith("req_"), answer.headers
    expected = {"type": "error", "error": error, "request_id": request_id}
    assert (answer.status_code, answer.json()) == (status, expected)


class Desk:
    """Where one environment's work is given out, as a worker with that credential sees it: plain HTTP."""

    def __init__(self, place: Any, secret: str) -> None:
        self.base = f"/v1/environments/{place.id}/work"
        self.http = bearer(secret)

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str = "", **params: Any) -> httpx.Response:
        return self.http.get(self.base + path, params=params)

    def post(self, path: str, **params: Any) -> httpx.Response:
        return self.http.post(self.base + path, params=params)

    def poll(self, **params: Any) -> Any:
        """The item that is given out, or none."""
        answer = self.get("/poll", **params)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
        return answer.json()

    def ack(self, work: dict[str, Any]) -> httpx.Response:
        return self.post(f"/{work['id']}/ack")

    def beat(self, work: dict[str, Any], expected: str = FIRST, **params: Any) -> httpx.Response:
        return self.post(f"/{work['id']}/heartbeat", expected_last_heartbeat=expected, **params)

    def stop(self, work: dict[str, Any], **body: Any) -> httpx.Response:
        return self.http.post(f"{self.base}/{work['id']}/stop", json=body)

    def begin(self, ttl: int = 300) -> dict[str, Any]:
        """Takes an item as a worker does, up to the first heartbeat."""
        work = self.poll(block_ms=999)
        assert work, "there is no work"
        assert self.ack(work).status_code == 200
        beat = self.beat(work, desired_ttl_seconds=ttl)
        assert beat.status_code == 200, beat.text
        return {**work, "last_heartbeat": beat.json()["last_heartbeat"]}


# === the SDK's own worker ===


def brief_leases(seconds: int) -> DefaultAsyncHttpxClient:
    """A connection on which heartbeats ask for a lease of that many seconds: the worker never asks for any."""

    async def ask(request: Any) -> None:
        if request.url.path.endswith("/heartbeat"):
            request.url = request.url.copy_merge_params({"desired_ttl_seconds": str(seconds)})

    return DefaultAsyncHttpxClient(event_hooks={"request": [ask]})


async def work(place_id: str, secret: str, directory: Path, lease: int | None = None, **options: Any) -> None:
    """The worker as it comes, until it is cancelled."""
    connection = {} if lease is None else {"http_client": brief_leases(lease)}
    async with AsyncAnthropic(max_retries=0, **connection) as client:
        asked = {"environment_id": place_id, "environment_key": secret, "workdir": directory, "max_idle": 1, **options}
        await client.beta.environments.work.worker(**asked).run()


@contextlib.contextmanager
def serving(place: Any, secret: str, directory: Path, **options: Any) -> Iterator[None]:
    """A worker that serves as long as the body runs, and must not end by itself."""
    begun: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = queue.SimpleQueue()
    ends: list[BaseException | None] = []

    async def task() -> None:
        running = asyncio.current_task()
        assert running
        begun.put((asyncio.get_running_loop(), running))
        await work(place.id, secret, directory, **options)

    def run() -> None:
        try:
            asyncio.run(task())
            ends.append(None)
        except asyncio.CancelledError:
            pass
        except BaseException as failure:
            ends.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    loop, running = begun.get(timeout=WAIT)
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(running.cancel)
        thread.join(WAIT)
    assert not thread.is_alive(), "the worker could not be ended"
    assert not ends, f"the worker ended by itself: {ends[0]!r}"


@contextlib.contextmanager
def process(place: Any, secret: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own, with short leases. It is killed at the end, with all that it has started."""
    command = [sys.executable, __file__, place.id, str(directory)]
    environ = {**os.environ, "ANTHROPIC_ENVIRONMENT_KEY": secret}
    worker = subprocess.Popen(command, env=environ, start_new_session=True)
    try:
        yield worker
    finally:
        kill(worker)


def kill(worker: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(WAIT)


def served(conversation: Conversation, wait: float = WAIT) -> list[Any]:
    """The events until the turn is over: between calls, the session is idle as well."""

    def is_over(event: Any) -> bool:
        return event.type == "session.status_idle" and event.stop_reason.type != "requires_action"

    return conversation.until(is_over, wait)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], os.environ["ANTHROPIC_ENVIRONMENT_KEY"], Path(sys.argv[2]), lease=2))
