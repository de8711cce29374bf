"""The stream as bytes: frames, heartbeats, and coming back without a gap."""

from __future__ import annotations

import time

import pytest

from driver import TEXT_TURN, finished, message, opened, run_turn

PING_WITHIN = 12.0


def send(wire, session, text):
    answer = wire.post(f"/v1/sessions/{session.id}/events", json={"events": [message(text)]})
    assert answer.status_code == 200, answer.text


def order(frames):
    """The types in the order in which each event was first seen."""
    first = {}
    for frame in frames:
        first.setdefault(frame.data["id"], frame.data["type"])
    return list(first.values())


def test_every_frame_has_a_name_an_id_and_the_event_of_the_history(wire, start):
    session = start("greeting")
    with opened(wire, session) as stream:
        assert stream.response.headers["content-type"].split(";")[0] == "text/event-stream"
        assert stream.response.headers["request-id"].startswith("req_")
        send(wire, session, "Good morning.")
        got = stream.until("session.status_idle")
    assert order(got) == TEXT_TURN
    for frame in got:
        # Older SDKs drop a name that they do not know, but all of them take "message".
        assert frame.event in (frame.data["type"], "message")
    assert [int(frame.id) for frame in got] == sorted({int(frame.id) for frame in got}), "ids rise and never repeat"
    listed = {event["id"]: event for event in wire.get(f"/v1/sessions/{session.id}/events").json()["data"]}
    assert {frame.data["id"]: frame.data for frame in got} == listed


def test_under_the_newest_version_a_frame_is_named_like_its_event(wire, start):
    session = start("greeting")
    with opened(wire, session, anthropic_version="2026-10-21") as stream:
        send(wire, session, "Good morning.")
        for frame in stream.until("session.status_idle"):
            assert frame.event == frame.data["type"]


@pytest.mark.parametrize("path", ["events/stream", "stream"])
def test_a_silent_stream_is_kept_alive_by_pings(wire, start, path):
    with opened(wire, start("greeting"), path) as stream:
        began = time.monotonic()
        ping = stream.next(PING_WITHIN)
        assert time.monotonic() - began < PING_WITHIN
    assert (ping.event, ping.data) == ("ping", {"type": "ping"})
    assert ping.id is None, "it is no place to come back to"


def test_the_short_path_streams_the_same(wire, start):
    session = start("greeting")
    with opened(wire, session, "stream") as stream:
        send(wire, session, "Good morning.")
        assert order(stream.until("session.status_idle")) == TEXT_TURN


def test_a_client_that_comes_back_has_neither_a_gap_nor_a_repetition(wire, start):
    session = start("greeting")
    with opened(wire, session) as stream:
        send(wire, session, "Good morning.")
        whole = stream.until("session.status_idle")
        send(wire, session, "And again.")
        whole += stream.until("session.status_idle")
    for place in (0, len(whole) // 3, len(whole) // 2, len(whole) - 2):
        rest = whole[place + 1 :]
        with opened(wire, session, after=whole[place].id) as stream:
            assert stream.take_until(lambda got: len(got) == len(rest)) == rest


def test_a_client_that_lost_the_connection_in_the_middle_of_a_turn_goes_on_after_it(wire, start):
    session = start("slow")
    with opened(wire, session) as observer:
        with opened(wire, session) as stream:
            send(wire, session, "Go.")
            before = stream.until("span.model_request_start")
        with opened(wire, session, after=before[-1].id) as stream:
            after = stream.until("session.status_idle")
        assert before + after == observer.until("session.status_idle")


def test_a_client_that_comes_back_with_the_last_id_waits_for_what_is_next(wire, start):
    session = start("greeting")
    with opened(wire, session) as stream:
        send(wire, session, "Good morning.")
        last = stream.until("session.status_idle")[-1].id
    with opened(wire, session, after=last) as stream:
        send(wire, session, "And again.")
        got = stream.until("session.status_idle")
    assert order(got) == TEXT_TURN
    assert int(got[0].id) > int(last)


def test_previews_are_no_place_to_come_back_to(wire, start):
    session = start("thinks")
    with opened(wire, session, "events/stream?event_deltas[]=agent.message") as stream:
        send(wire, session, "Think first.")
        got = stream.until("session.status_idle")
    previews = [frame for frame in got if frame.event in ("event_start", "event_delta")]
    assert len(previews) > 3
    assert all(frame.id is None for frame in previews)
    assert all("id" not in frame.data and "processed_at" not in frame.data for frame in previews)


@pytest.mark.parametrize("query", ["event_deltas[]=agent.message", "event_deltas%5B%5D=agent.message"])
def test_brackets_may_be_escaped(wire, start, query):
    session = start("thinks")
    with opened(wire, session, f"events/stream?{query}") as stream:
        send(wire, session, "Think first.")
        assert "event_delta" in [frame.event for frame in stream.until("session.status_idle")]


def test_a_client_that_comes_back_to_an_archived_session_is_told_of_its_end(client, wire, start):
    session = start("greeting")
    with opened(wire, session) as stream:
        send(wire, session, "Good morning.")
        last = stream.until("session.status_idle")[-1].id
    client.beta.sessions.archive(session.id)
    with opened(wire, session, after=last) as stream:
        stream.until("session.status_terminated")


def test_a_stream_that_nobody_reads_does_not_hold_up_the_session(client, wire, start):
    session = start("greeting")
    with opened(wire, session, "events/stream?event_deltas[]=agent.message"):
        run_turn(client, session, "Good morning.")
        finished(run_turn(client, session, "And again."))
