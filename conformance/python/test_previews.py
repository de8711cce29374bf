"""Previews of what the model is still writing, for the streams that ask for them."""

from __future__ import annotations

import pytest
from anthropic import BadRequestError
from anthropic.lib.sessions import accumulate_managed_agents_event

from driver import (
    THINKING_TURN,
    Conversation,
    all_of,
    audible,
    finished,
    fresh,
    heard,
    idle_without_looking_at_events,
    message,
    only,
    run_turn,
    text_of,
)

PREVIEWS = ("event_start", "event_delta")


def about(events, id):
    """What the stream had on one event, in order: previews and, at last, the event."""
    return [
        event
        for event in events
        if (event.type == "event_start" and event.event.id == id)
        or (event.type == "event_delta" and event.event_id == id)
        or getattr(event, "id", None) == id
    ]


@pytest.fixture
def events(client, start):
    return finished(run_turn(client, start("thinks"), "Think first.", event_deltas=["agent.message", "agent.thinking"]))


def test_a_message_starts_grows_and_is_concluded_by_the_event(events):
    final = only(events, "agent.message")
    kinds = [event.type for event in about(events, final.id)]
    assert kinds[0] == "event_start"
    assert kinds[-1] == "agent.message"
    assert len(kinds) > 3, "the script writes ten words, each a delta"
    assert set(kinds[1:-1]) == {"event_delta"}


def test_the_pieces_add_up_to_the_text(events):
    final = only(events, "agent.message")
    pieces = [event for event in events if event.type == "event_delta"]
    assert {piece.event_id for piece in pieces} == {final.id}
    assert {piece.delta.type for piece in pieces} == {"content_delta"}
    assert "".join(piece.delta.content.text for piece in pieces) == text_of(final)


def test_the_sdks_own_accumulator_follows_them(events):
    final = only(events, "agent.message")
    snapshot = None
    for event in events:
        if event.type in PREVIEWS and getattr(event, "event_id", final.id) == final.id:
            snapshot = accumulate_managed_agents_event(snapshot, event)
    assert snapshot is not None
    assert snapshot.id == final.id
    assert text_of(snapshot) == text_of(final)


def test_thinking_has_a_start_and_its_event_and_nothing_between(events):
    thinking = only(events, "agent.thinking")
    assert [event.type for event in about(events, thinking.id)] == ["event_start", "agent.thinking"]


def test_the_other_events_are_those_of_any_turn(events):
    assert heard(event for event in events if event.type not in PREVIEWS) == audible(THINKING_TURN)


def test_a_stream_that_did_not_ask_gets_no_previews(client, start):
    events = finished(run_turn(client, start("thinks"), "Think first."))
    assert all_of(events, "event_start") == all_of(events, "event_delta") == []


def test_only_the_types_that_were_asked_for_are_previewed(client, start):
    session = start("thinks")
    for asked in ("agent.message", "agent.thinking"):
        events = finished(run_turn(client, session, "Think first.", event_deltas=[asked]))
        assert {event.event.type for event in events if event.type == "event_start"} == {asked}
        assert bool(all_of(events, "event_delta")) == (asked == "agent.message")


def test_previews_are_not_replayed_to_a_late_stream(client, start):
    session = start("thinks")
    client.beta.sessions.events.send(session.id, events=[message("Think first.")])
    idle_without_looking_at_events(client, session)
    with Conversation(client, session.id, event_deltas=["agent.message", "agent.thinking"]) as late:
        events = finished(late.until("session.status_idle"))
    assert heard(events) == audible(THINKING_TURN)


def test_an_answer_that_breaks_off_is_concluded_by_the_end_of_its_span(client, start):
    events = finished(run_turn(client, start(fresh("cut_off_once")), "Count.", event_deltas=["agent.message"]))
    final = only(events, "agent.message")
    begun = [event.event.id for event in events if event.type == "event_start"]
    assert len(begun) == len(set(begun)) == 2
    assert begun[-1] == final.id
    cut_off = about(events, begun[0])
    assert {event.type for event in cut_off[1:]} <= {"event_delta"}
    failed = all_of(events, "span.model_request_end")[0]
    assert failed.is_error is True
    assert events.index(cut_off[-1]) < events.index(failed)
    whole = "".join(event.delta.content.text for event in about(events, final.id) if event.type == "event_delta")
    assert whole == text_of(final) == "One two three four five six."


@pytest.mark.parametrize("value", ["foo", "agent.tool_use", "user.message"])
def test_a_type_that_has_no_previews_is_refused(client, start, value):
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.events.stream(start("greeting").id, event_deltas=[value])
    assert "event_deltas" in str(refusal.value)


def test_more_than_a_hundred_types_are_refused(client, start):
    with pytest.raises(BadRequestError):
        client.beta.sessions.events.stream(start("greeting").id, event_deltas=["agent.message"] * 101)
