"""What a worker of one's own may rely on: the routes of work items, by the SDK and to the letter."""

from __future__ import annotations

import pytest

from driver import conforms, eventually, message, raw
from workers import FIRST, Desk, bearer, make_key, make_place, refused, token_of

pytest.importorskip("anthropic.lib.environments", reason="this SDK has no worker")


@pytest.fixture
def waiting(client, place, start):
    """A session with a call for a worker."""
    session = start("shell", environment_id=place.id)
    client.beta.sessions.events.send(session.id, events=[message("echo hello")])
    eventually(lambda: call_of(client, session))
    return session


def call_of(client, session):
    return next(iter(client.beta.sessions.events.list(session.id, types=["agent.tool_use"])), None)


def test_operators_see_and_label_work_and_workers_list_it(client, place, waiting, desk):
    work = desk.poll(block_ms=999)
    works = client.beta.environments.work
    seen = conforms(works.retrieve(work["id"], environment_id=place.id))
    assert (seen.state, seen.secret, seen.data.id) == ("queued", None, waiting.id)
    labelled = works.update(work["id"], environment_id=place.id, metadata={"host": "one", "gone": "x"})
    assert labelled.metadata == {"host": "one", "gone": "x"}
    labelled = works.update(work["id"], environment_id=place.id, metadata={"gone": None})
    assert labelled.metadata == {"host": "one"}
    listed = desk.get().json()["data"]
    assert [(item["id"], item["secret"], item["metadata"]) for item in listed] == [(work["id"], None, {"host": "one"})]


def test_stats_tell_what_waits_and_who_polls(client, place, waiting, desk):
    stats = client.beta.environments.work.stats
    before = raw(conforms(stats(place.id)))
    assert (before["depth"], before["pending"], before["workers_polling"]) == (1, 0, None)
    assert before["oldest_queued_at"] is not None
    polled = desk.http.get(f"{desk.base}/poll", headers={"anthropic-worker-id": "one"}).json()
    after = raw(stats(place.id))
    assert (after["depth"], after["pending"], after["workers_polling"]) == (0, 1, 1)
    assert desk.ack(polled).status_code == 200
    assert raw(stats(place.id))["pending"] == 0


def test_what_is_polled_and_not_acknowledged_is_given_out_again(waiting, desk):
    first = desk.poll(block_ms=999)
    assert desk.poll() is None
    again = eventually(lambda: desk.poll(reclaim_older_than_ms=1))
    assert again["id"] == first["id"]
    assert token_of(again) != token_of(first)
    with bearer(token_of(first)) as late:
        refused(late.post(f"{desk.base}/{first['id']}/ack"), 401, "invalid x-api-key")


def test_a_lease_is_kept_by_naming_the_last_heartbeat(waiting, desk):
    work = desk.begin(ttl=300)
    beat = desk.beat(work, work["last_heartbeat"], desired_ttl_seconds=120).json()
    assert (beat["type"], beat["lease_extended"], beat["state"]) == ("work_heartbeat", True, "active")
    assert beat["ttl_seconds"] == 120
    for stale in (FIRST, work["last_heartbeat"], "2020-01-01T00:00:00Z"):
        answer = desk.beat(work, stale)
        body = answer.json()
        assert (answer.status_code, body["error"]["type"]) == (412, "invalid_request_error"), body
        details = body["error"]["details"]
        assert details["error_code"] == "heartbeat_precondition_failed"
        expected = {"last_heartbeat": beat["last_heartbeat"], "lease_extended": False, "state": "active"}
        assert details["current_state"] == {**expected, "ttl_seconds": 120}


def test_a_stop_is_told_with_the_next_heartbeat_and_forced_at_once(client, place, waiting, desk):
    work = desk.begin()
    stopping = client.beta.environments.work.stop(work["id"], environment_id=place.id)
    assert stopping.state == "stopping" and stopping.stop_requested_at is not None
    # Whatever it expects: it is to end.
    assert desk.beat(work, FIRST).json()["state"] == "stopping"
    stopped = desk.stop(work, force=True).json()
    assert stopped["state"] == "stopped" and stopped["stopped_at"] is not None
    answer = desk.stop(work, force=True)
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "conflict_error")


def result(call, text="hello"):
    return {"type": "user.tool_result", "tool_use_id": call, "content": [{"type": "text", "text": text}]}


def test_a_call_takes_one_result_from_whoever_serves_its_session(client, wire, place, waiting, start, desk):
    work = desk.begin()
    call = call_of(client, waiting).id
    other = start("shell", environment_id=place.id)
    path = f"/v1/sessions/{waiting.id}/events"
    with bearer(token_of(work)) as worker:
        assert worker.post(f"/v1/sessions/{other.id}/events", json={"events": [result(call)]}).status_code == 404
        for events, field in [
            ([result("sevt_none")], "events.0.tool_use_id"),
            ([{"type": "user.tool_result", "content": []}], "events.0.tool_use_id"),
            ([{**result(call), "content": "text"}], "events.0.content"),
            ([{**result(call), "is_error": "no"}], "events.0.is_error"),
        ]:
            answer = worker.post(path, json={"events": events})
            error = answer.json()["error"]
            assert (answer.status_code, error["type"]) == (400, "invalid_request_error"), error
            assert error["message"].startswith(field), error
        for event in [message("I am the user"), {"type": "user.interrupt"}]:
            answer = worker.post(path, json={"events": [event]})
            assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error"), answer.text
        assert worker.post(path, json={"events": [result(call)]}).status_code == 200
        assert worker.post(path, json={"events": [result(call, "another")]}).status_code == 400
    eventually(lambda: client.beta.sessions.retrieve(waiting.id).status == "idle")
    given = list(client.beta.sessions.events.list(waiting.id, types=["user.tool_result"]))
    assert [raw(event)["content"][0]["text"] for event in given] == ["hello"]


def test_credentials_of_others_open_nothing(client, wire, place, waiting, desk):
    work = desk.begin()
    elsewhere = make_place(client, "Another")
    with Desk(elsewhere, make_key(wire, elsewhere)["key"]) as stranger:
        for answer in (
            stranger.http.post(f"{desk.base}/{work['id']}/ack"),
            stranger.http.post(f"{desk.base}/{work['id']}/heartbeat"),
            stranger.http.get(desk.base),
        ):
            assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error"), answer.text
        assert stranger.get(f"/{work['id']}").status_code in (403, 404)
        assert stranger.http.get(f"/v1/sessions/{waiting.id}").status_code == 404
    with bearer(token_of(work)) as worker:
        assert worker.get(f"{desk.base}/poll").status_code == 403, "a token is for its item alone"
        assert worker.get("/v1/sessions").status_code == 403
        assert worker.get("/v1/files").status_code == 403
        desk.stop(work, force=True)
        ended = worker.get(f"/v1/sessions/{waiting.id}")
        assert (ended.status_code, ended.json()["error"]["type"]) == (401, "authentication_error"), ended.text
