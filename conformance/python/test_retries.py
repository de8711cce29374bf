"""A model that fails: what is tried again, what is not, and what the session is worth afterwards."""

from __future__ import annotations

import pytest

from driver import (
    Conversation,
    all_of,
    conforms,
    finished,
    fresh,
    history,
    only,
    run_turn,
    said,
    types,
)

PATIENTLY = 40.0
"""The server waits between its tries."""

PASSING = ["overloaded", "rate_limited", "server", "connection", "malformed"]

LASTING = {
    "unauthorized": "model_request_failed_error",
    "invalid": "model_request_failed_error",
    "billing": "billing_error",
}


def fail_then_answer(client, session):
    with Conversation(client, session.id) as conversation:
        return finished(conversation.turn("Try.", PATIENTLY))


@pytest.mark.parametrize("failure", PASSING)
def test_a_failure_that_passes_is_tried_again_and_the_turn_finishes(client, start, failure):
    session = start(fresh(f"{failure}_once"))
    events = fail_then_answer(client, session)
    assert said(events) == ["Here at last."]
    first, second = all_of(events, "span.model_request_end")
    assert (first.is_error, second.is_error) == (True, False)
    assert client.beta.sessions.retrieve(session.id).status == "idle"


def test_while_it_waits_to_try_again_the_session_is_rescheduled(client, start):
    session = start(fresh("overloaded_once"))
    with Conversation(client, session.id) as conversation:
        conversation.say("Try.")
        events = conversation.until("session.status_rescheduled", PATIENTLY)
        events += finished(conversation.until("session.status_idle", PATIENTLY))
    kinds = types(events)
    for kind in ("session.status_rescheduled", "session.thread_status_rescheduled"):
        assert kinds.count(kind) == 1
    failed = kinds.index("span.model_request_end")
    waiting = kinds.index("session.status_rescheduled")
    resumed = kinds.index("session.status_running", waiting)
    again = kinds.index("span.model_request_start", resumed)
    assert failed < waiting < resumed < again < kinds.index("agent.message")
    assert kinds.count("session.thread_status_running") == 2
    for event in all_of(events, "session.error"):
        conforms(event)
        assert event.error.type == "model_overloaded_error"
        assert event.error.retry_status.type == "retrying"


def test_the_events_of_a_retried_turn_have_the_fields_that_the_sdk_promises(client, start):
    session = start(fresh("overloaded_once"))
    fail_then_answer(client, session)
    for event in history(client, session):
        conforms(event)


def test_an_answer_that_broke_off_is_given_once_and_whole(client, start):
    events = fail_then_answer(client, start(fresh("cut_off_once")))
    assert said(events) == ["One two three four five six."]


@pytest.mark.parametrize("failure", LASTING)
def test_a_failure_that_lasts_ends_the_turn_and_says_why(client, start, failure):
    session = start(fresh(f"{failure}_once"))
    events = run_turn(client, session, "Try.")
    error = conforms(only(events, "session.error")).error
    assert error.type == LASTING[failure]
    assert error.retry_status.type == "exhausted"
    assert error.message
    assert events[-1].stop_reason.type == "retries_exhausted"
    assert only(events, "session.thread_status_idle").stop_reason.type == "retries_exhausted"
    kinds = types(events)
    assert kinds.index("session.error") < kinds.index("session.thread_status_idle")
    assert "session.status_rescheduled" not in kinds
    assert only(events, "span.model_request_end").is_error is True
    assert client.beta.sessions.retrieve(session.id).status == "idle"


@pytest.mark.parametrize("failure", LASTING)
def test_a_session_whose_turn_failed_answers_the_next_message(client, start, failure):
    session = start(fresh(f"{failure}_once"))
    assert run_turn(client, session, "Try.")[-1].stop_reason.type == "retries_exhausted"
    assert said(finished(run_turn(client, session, "Try again."))) == ["Here at last."]
    assert said(finished(run_turn(client, session, "Well?"))) == ["You said: Well?"]
