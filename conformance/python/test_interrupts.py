"""Interrupting: the turn ends at once, and the session goes on."""

from __future__ import annotations

import time

import pytest
from anthropic import BadRequestError

from driver import (
    TEXT_TURN,
    Conversation,
    all_of,
    allow,
    audible,
    finished,
    fresh,
    heard,
    history,
    interrupt,
    message,
    only,
    run_turn,
    said,
    text_of,
    toolset,
    types,
    waits_for,
)

QUICKLY = 10.0
NEXT_TURN = ["session.status_running", "session.thread_status_running", "span.model_request_start"]


def test_a_long_command_is_stopped_and_the_turn_ends(client, start):
    session = start("interrupted_shell")
    with Conversation(client, session.id) as conversation:
        conversation.say("sleep 60; echo slept")
        use = conversation.until("agent.tool_use")[-1]
        conversation.until("span.model_request_end")
        began = time.monotonic()
        (echo,) = conversation.send(interrupt())
        events = finished(conversation.until("session.status_idle", QUICKLY))
    assert time.monotonic() - began < QUICKLY
    applied = [event for event in events if event.id == echo.id][-1]
    assert applied.processed_at is not None
    result = only(events, "agent.tool_result")
    assert result.tool_use_id == use.id
    assert result.is_error is True
    assert "slept" not in text_of(result)
    assert "span.model_request_start" not in types(events), "the model is not asked again"


def test_the_session_and_its_shell_are_usable_after_an_interrupt(client, start):
    session = start("interrupted_shell")
    with Conversation(client, session.id) as conversation:
        conversation.say("sleep 60")
        conversation.until("span.model_request_end")
        conversation.send(interrupt())
        finished(conversation.until("session.status_idle", QUICKLY))
        events = finished(
            conversation.turn("echo still; cat /proc/[0-9]*/cmdline 2>&1 | grep -aq 'slee[p]' || echo nothing sleeps")
        )
    assert [text.split() for text in said(events)] == [["Result:", "still", "nothing", "sleeps"]]


def test_a_model_that_speaks_is_stopped(client, start):
    session = start("slow")
    with Conversation(client, session.id, event_deltas=["agent.message"]) as conversation:
        conversation.say("Go.")
        conversation.until("event_delta")
        conversation.send(interrupt())
        events = finished(conversation.until("session.status_idle", QUICKLY))
    assert "agent.message" not in types(events), "what was cut off is no message"
    end = only(events, "span.model_request_end")
    assert end.model_request_start_id == only(history(client, session), "span.model_request_start").id
    assert client.beta.sessions.retrieve(session.id).status == "idle"


def test_a_session_whose_model_was_stopped_answers_the_next_message(client, start):
    session = start("slow")
    with Conversation(client, session.id) as conversation:
        conversation.say("Go.")
        conversation.until("span.model_request_start")
        conversation.send(interrupt())
        finished(conversation.until("session.status_idle", QUICKLY))
        events = finished(conversation.turn("Again."))
    assert heard(events) == audible(TEXT_TURN)
    assert said(events)[0].endswith("word end.")


def test_a_message_behind_the_interrupt_starts_the_next_turn(client, start):
    session = start("interrupted_shell")
    with Conversation(client, session.id) as conversation:
        conversation.say("sleep 60")
        conversation.until("span.model_request_end")
        _, queued = conversation.send(interrupt(), message("echo next"))
        stopped = finished(conversation.until("session.status_idle", QUICKLY))
        events = finished(conversation.until("session.status_idle"))
    assert "agent.message" not in types(stopped)
    assert [text.split() for text in said(events)] == [["Result:", "next"]]
    assert [event.id for event in all_of(history(client, session), "user.message")][-1] == queued.id


def test_an_interrupt_overtakes_the_messages_that_wait(client, start):
    session = start("interrupted_shell")
    with Conversation(client, session.id) as conversation:
        conversation.say("sleep 60")
        conversation.until("span.model_request_end")
        conversation.say("echo waited")
        conversation.send(interrupt())
        finished(conversation.until("session.status_idle", QUICKLY))
        events = finished(conversation.until("session.status_idle"))
    assert [text.split() for text in said(events)] == [["Result:", "waited"]]


def test_a_message_that_waits_for_the_model_to_end_is_next_when_it_is_stopped(client, start):
    session = start("slow")
    with Conversation(client, session.id) as conversation:
        conversation.say("Go.")
        conversation.until("span.model_request_start")
        queued = conversation.say("Rather this.")
        conversation.send(interrupt())
        finished(conversation.until("session.status_idle", QUICKLY))
        events = conversation.until("span.model_request_start", QUICKLY)
        assert heard(event for event in events if event.id != queued.id) == audible(NEXT_TURN)
        (taken_up,) = [event for event in events if event.id == queued.id]
        assert taken_up.processed_at is not None
        conversation.send(interrupt())
        finished(conversation.until("session.status_idle", QUICKLY))


def test_a_session_that_waits_to_ask_the_model_again_is_stopped(client, start):
    session = start(fresh("backs_off_once"))
    with Conversation(client, session.id) as conversation:
        conversation.say("Try.")
        conversation.until("session.status_rescheduled")
        assert client.beta.sessions.retrieve(session.id).status == "rescheduling"
        conversation.send(interrupt())
        events = finished(conversation.until("session.status_idle", QUICKLY))
        assert "span.model_request_start" not in types(events), "the model is not asked again"
        assert client.beta.sessions.retrieve(session.id).status == "idle"
        assert said(finished(conversation.turn("Try again."))) == ["Here at last."]


def test_a_message_that_waits_for_the_model_to_recover_is_next_when_that_is_given_up(client, start):
    session = start(fresh("backs_off_once"))
    with Conversation(client, session.id) as conversation:
        conversation.say("Try.")
        conversation.until("session.thread_status_rescheduled")
        conversation.say("Rather this.")
        conversation.send(interrupt())
        finished(conversation.until("session.status_idle", QUICKLY))
        events = finished(conversation.until("session.status_idle", QUICKLY))
    assert said(events) == ["Here at last."]


def test_a_call_that_asks_is_closed_and_cannot_be_confirmed_any_more(client, start):
    session = start("interrupted_shell", tools=[toolset("always_ask")])
    with Conversation(client, session.id) as conversation:
        (asked,) = waits_for(conversation.turn("echo one"))
        conversation.send(interrupt())
        events = finished(conversation.until("session.status_idle", QUICKLY))
        result = only(events, "agent.tool_result")
        assert (result.tool_use_id, result.is_error) == (asked, True)
        assert "span.model_request_start" not in types(events), "the model is not asked"
        with pytest.raises(BadRequestError):
            conversation.send(allow(asked))


def test_a_message_that_waits_for_a_confirmation_is_next_when_that_is_given_up(client, start):
    session = start("interrupted_shell", tools=[toolset("always_ask")])
    with Conversation(client, session.id) as conversation:
        conversation.turn("echo one")
        conversation.say("echo two")
        conversation.send(interrupt())
        finished(conversation.until("session.status_idle", QUICKLY))
        (asked,) = waits_for(conversation.until("session.status_idle", QUICKLY))
        conversation.send(allow(asked))
        events = finished(conversation.until("session.status_idle"))
    assert [text.split() for text in said(events)] == [["Result:", "two"]]


def test_an_interrupt_of_an_idle_session_changes_nothing(client, start):
    session = start("greeting")
    run_turn(client, session, "Good morning.")
    with Conversation(client, session.id) as conversation:
        conversation.send(interrupt())
        events = finished(conversation.turn("Still there?"))
    without = [event for event in events if event.type != "user.interrupt"]
    assert heard(without) == audible(TEXT_TURN)
    assert said(events) == ["You said: Still there?"]


def test_a_session_that_never_worked_can_be_interrupted(client, start):
    session = start("greeting")
    client.beta.sessions.events.send(session.id, events=[interrupt()])
    assert client.beta.sessions.retrieve(session.id).status == "idle"
    assert said(finished(run_turn(client, session, "Good morning."))) == ["Hello from the script."]
