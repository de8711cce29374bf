"""Self-hosted environments: the SDK's own worker serves sessions as it comes, and each credential opens its own routes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import time

import httpx
import pytest
from anthropic import AsyncAnthropic

from driver import BETA, WAIT, message, raw

environments = pytest.importorskip("anthropic.lib.environments", reason="this SDK has no worker")


@pytest.fixture
def place(client):
    """An environment that workers serve."""
    return client.beta.environments.create(name="Elsewhere", description="Ours.", config={"type": "self_hosted"})


def key(wire, place):
    made = wire.post("/v1/stead/keys", json={"environment_id": place.id, "name": "test"})
    assert made.status_code == 200, made.text
    return made.json()


def bearer(secret):
    headers = {"authorization": f"Bearer {secret}", "anthropic-version": "2023-06-01", "anthropic-beta": BETA}
    return httpx.Client(base_url=os.environ["ANTHROPIC_BASE_URL"], headers=headers, timeout=WAIT, trust_env=False)


def serve(place, secret, directory, until):
    """Runs the worker until something is so."""

    async def run():
        worker = environments.EnvironmentWorker(
            AsyncAnthropic(max_retries=0), environment_id=place.id, environment_key=secret, workdir=directory, max_idle=1
        )
        task = asyncio.create_task(worker.run())
        deadline = time.monotonic() + WAIT
        while not await asyncio.to_thread(until):
            assert not task.done(), task.exception()
            assert time.monotonic() < deadline, "waited in vain"
            await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())


def events(client, session, kind):
    return [event for event in client.beta.sessions.events.list(session.id) if event.type == kind]


def rests(client, session):
    return lambda: any(idle.stop_reason.type == "end_turn" for idle in events(client, session, "session.status_idle"))


def test_the_official_worker_serves_a_session(client, wire, place, start, tmp_path):
    session = start("shell", environment_id=place.id)
    client.beta.sessions.events.send(session.id, events=[message("echo $((6 * 7))")])
    serve(place, key(wire, place)["key"], tmp_path, rests(client, session))
    uses = [use.id for use in events(client, session, "agent.tool_use")]
    results = [result.tool_use_id for result in events(client, session, "user.tool_result")]
    assert uses and sorted(results) == sorted(uses), "each call has one result, from the worker"
    assert not events(client, session, "agent.tool_result")


def test_a_session_without_a_worker_waits_for_its_calls(client, wire, place, start):
    session = start("shell", environment_id=place.id)
    client.beta.sessions.events.send(session.id, events=[message("echo $((6 * 7))")])
    deadline = time.monotonic() + WAIT
    while not (idle := events(client, session, "session.status_idle")):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    asked = raw(idle[-1])["stop_reason"]
    assert asked == {"type": "requires_action", "event_ids": [events(client, session, "agent.tool_use")[0].id]}
    with bearer(key(wire, place)["key"]) as worker:
        stats = worker.get(f"/v1/environments/{place.id}/work/stats").json()
    assert stats["depth"] == 1, stats


def test_a_worker_keeps_what_it_holds_by_its_last_heartbeat(client, wire, place, start):
    session = start("shell", environment_id=place.id)
    client.beta.sessions.events.send(session.id, events=[message("echo $((6 * 7))")])
    with bearer(key(wire, place)["key"]) as worker:
        base = f"/v1/environments/{place.id}/work"
        work = worker.get(f"{base}/poll").json()
        assert work["data"] == {"type": "session", "id": session.id} and work["secret"], work
        assert worker.get(f"{base}/poll").json() is None, "it is given to one worker"
        assert worker.post(f"{base}/{work['id']}/ack").json()["state"] == "starting"
        beat = f"{base}/{work['id']}/heartbeat"
        first = worker.post(beat, params={"expected_last_heartbeat": "NO_HEARTBEAT"}).json()
        assert first["lease_extended"] is True and first["state"] == "active", first
        stale = worker.post(beat, params={"expected_last_heartbeat": "NO_HEARTBEAT"})
        assert stale.status_code == 412, stale.text
        assert stale.json()["error"]["details"]["current_state"]["last_heartbeat"] == first["last_heartbeat"]
        stopped = worker.post(f"{base}/{work['id']}/stop", json={"force": True})
        assert stopped.status_code == 200, stopped.text


def test_a_credential_opens_what_it_is_for_and_nothing_else(client, wire, place, start):
    other = client.beta.environments.create(name="Other", description="Ours.", config={"type": "self_hosted"})
    made = key(wire, place)
    session = start("shell")
    with bearer(made["key"]) as worker:
        assert worker.get(f"/v1/environments/{other.id}/work/poll").status_code == 403
        assert worker.get("/v1/agents").status_code == 403
        assert worker.get(f"/v1/sessions/{session.id}").status_code == 404, "a session of another environment"
        assert wire.get(f"/v1/environments/{place.id}/work/poll").status_code == 403, "an API key polls nothing"
        assert wire.post(f"/v1/stead/keys/{made['id']}/revoke").status_code == 200
        assert worker.get(f"/v1/environments/{place.id}/work/poll").status_code == 401, "it is revoked"


def test_a_revoked_key_takes_the_tokens_of_its_items_along(client, wire, place, start):
    made = key(wire, place)
    session = start("shell", environment_id=place.id)
    with bearer(made["key"]) as worker:
        work = worker.get(f"/v1/environments/{place.id}/work/poll").json()
    token = json.loads(base64.urlsafe_b64decode(work["secret"] + "=="))["sessions_token"]
    beat = f"/v1/environments/{place.id}/work/{work['id']}"
    with bearer(token) as holder:
        assert holder.post(f"{beat}/ack").status_code == 200
        assert holder.get(f"/v1/sessions/{session.id}").status_code == 200
        with holder.stream("GET", f"/v1/sessions/{session.id}/events/stream") as stream:
            assert stream.status_code == 200
            assert wire.post(f"/v1/stead/keys/{made['id']}/revoke").status_code == 200
            for _ in stream.iter_bytes():
                pass
        assert holder.get(f"/v1/sessions/{session.id}").status_code == 401
        assert holder.post(f"{beat}/heartbeat").status_code == 401


def test_a_worker_that_gives_up_what_it_has_not_begun_leaves_it_to_another(client, wire, place, start):
    session = start("shell", environment_id=place.id)
    client.beta.sessions.events.send(session.id, events=[message("echo $((6 * 7))")])
    with bearer(key(wire, place)["key"]) as worker:
        base = f"/v1/environments/{place.id}/work"
        work = worker.get(f"{base}/poll").json()
        worker.post(f"{base}/{work['id']}/ack")
        assert worker.post(f"{base}/{work['id']}/stop", json={}).json()["state"] == "stopped"
        again = worker.get(f"{base}/poll", params={"block_ms": 900}).json()
        assert again["data"] == {"type": "session", "id": session.id} and again["id"] != work["id"]


def test_an_interrupt_answers_with_what_was_sent(client, wire, place, start):
    session = start("shell", environment_id=place.id)
    client.beta.sessions.events.send(session.id, events=[message("echo $((6 * 7))")])
    deadline = time.monotonic() + WAIT
    while not events(client, session, "session.status_idle"):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    answer = client.beta.sessions.events.send(session.id, events=[{"type": "user.interrupt"}])
    assert [event["type"] for event in raw(answer)["data"]] == ["user.interrupt"]
    assert [result["is_error"] for result in map(raw, events(client, session, "user.tool_result"))] == [True]
