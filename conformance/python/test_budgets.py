"""Budgets: what happens at the cap, and how work goes on from there. Answers of the priced scripts cost two cents."""

from __future__ import annotations

import pytest
from anthropic import BadRequestError

from driver import (
    ANSWERED,
    RESUMED,
    WENT_IDLE,
    Conversation,
    all_of,
    answer,
    audible,
    budget,
    code_of,
    conforms,
    custom_tool,
    finished,
    heard,
    history,
    interrupt,
    message,
    only,
    raw,
    run_turn,
    said,
    system,
    text_of,
    types,
    why_idle,
)

PASSES_THE_CAP = ["user.tool_confirmation", "user.tool_result", "user.custom_tool_result", "user.interrupt"]

SPENT, PAUSED = "priced", "priced_shell"
"""With two cents, the turn of the one ends by itself, and that of the other is stopped behind its tool call."""


def at_its_cap(client, start, script):
    session = start(script, budget=budget(2))
    assert why_idle(run_turn(client, session, "echo hello")) == "budget_reached"
    return session


def dollars(usage):
    return usage["list_cost"]


def ids(events):
    return [event.id for event in events]


# === creation ===


def test_a_session_shows_its_budget(client, start):
    session = conforms(start("priced", budget=budget(2500)))
    assert raw(session)["budget"] == budget(2500)
    assert raw(client.beta.sessions.retrieve(session.id))["budget"] == budget(2500)
    (listed,) = list(client.beta.sessions.list(agent_id=session.agent.id))
    assert raw(listed)["budget"] == budget(2500)
    assert raw(client.beta.sessions.update(session.id, title="Renamed"))["budget"] == budget(2500)


def test_a_model_without_a_price_cannot_be_budgeted(client, environment, make_agent):
    agent = make_agent("greeting")
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.create(agent=agent.id, environment_id=environment.id, budget=budget(2500))
    assert code_of(refusal) == "model_not_budgetable"
    assert refusal.value.body["error"]["message"].startswith("budget: ")
    assert list(client.beta.sessions.list(agent_id=agent.id)) == []


WRONG = [
    ("amount", {"amount": "25.00", "currency": "USD"}),
    ("amount", {"amount": 0, "currency": "USD"}),
    ("amount", {"amount": 2500, "currency": "USD"}),
    ("amount", {"amount": "0", "currency": "USD"}),
    ("amount", {"amount": "007", "currency": "USD"}),
    ("amount", {"amount": "-5", "currency": "USD"}),
    ("amount", {"amount": "", "currency": "USD"}),
    ("amount", {"currency": "USD"}),
    ("currency", {"amount": "2500", "currency": "EUR"}),
    ("currency", {"amount": "2500"}),
]


@pytest.mark.parametrize(("field", "money"), WRONG)
@pytest.mark.parametrize("when", ["create", "update"])
def test_an_amount_is_whole_cents_above_zero_in_dollars(client, start, when, field, money):
    wrong = {"type": "limit", "max_list_cost": money}
    with pytest.raises(BadRequestError) as refusal:
        if when == "create":
            start("priced", budget=wrong)
        else:
            client.beta.sessions.update(start("priced", budget=budget(2500)).id, budget=wrong)
    assert f"budget.max_list_cost.{field}" in str(refusal.value)


# === the cap ===


def test_a_turn_within_its_budget_ends_like_any_other(client, start):
    events = finished(run_turn(client, start("priced", budget=budget(3)), "Hello."))
    assert said(events) == ["You said: Hello."]


def test_the_request_that_crosses_the_cap_is_finished(client, start):
    session = start(SPENT, budget=budget(2))
    events = run_turn(client, session, "Hello.")
    assert said(events) == ["You said: Hello."]
    assert only(events, "span.model_request_end").is_error is False
    assert only(events, "session.thread_status_idle").stop_reason.type == "end_turn"
    assert why_idle(events) == "budget_reached"
    assert client.beta.sessions.retrieve(session.id).status == "idle"


def test_a_turn_that_has_more_to_ask_is_stopped_behind_its_tool_calls(client, start):
    session = start(PAUSED, budget=budget(2))
    events = run_turn(client, session, "echo hello")
    assert text_of(only(events, "agent.tool_result")).strip() == "hello"
    assert len(all_of(events, "span.model_request_start")) == 1
    assert said(events) == []
    assert only(events, "session.thread_status_idle").stop_reason.type == "budget_reached"
    assert why_idle(events) == "budget_reached"


@pytest.mark.parametrize("script", [SPENT, PAUSED])
def test_usage_stands_before_the_idle_and_carries_the_budget(client, start, script):
    session = at_its_cap(client, start, script)
    events = history(client, session)
    assert types(events)[-3:] == WENT_IDLE
    told = raw(conforms(events[-2]))
    assert told["budget"] == budget(2)
    assert dollars(told["usage"]) == {"amount": "2", "currency": "USD"}
    for event in events:
        conforms(event)
    assert dollars(raw(client.beta.sessions.retrieve(session.id))["usage"]) == {"amount": "2", "currency": "USD"}


def test_the_cost_counts_everything_at_its_price(client, start):
    session = start("priced_cached")
    finished(run_turn(client, session, "Hello."))
    usage = raw(client.beta.sessions.retrieve(session.id))["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["cache_read_input_tokens"]) == (10000, 2000, 100000)
    assert dollars(usage) == {"amount": "3", "currency": "USD"}


def test_a_session_may_reach_its_cap_with_the_events_that_it_was_made_with(client, start):
    session = start(SPENT, budget=budget(1), initial_events=[message("Hello.")])
    assert session.status == "running"
    with Conversation(client, session.id) as conversation:
        events = conversation.until("session.status_idle")
    assert why_idle(events) == "budget_reached"
    assert said(events) == ["You said: Hello."]


@pytest.mark.parametrize("script", [SPENT, PAUSED])
@pytest.mark.parametrize(
    "events",
    [[message("More.")], [interrupt(), message("More.")], [message("More."), system("Be brief.")]],
)
def test_at_the_cap_what_would_start_more_work_is_refused_whole(client, start, script, events):
    session = at_its_cap(client, start, script)
    before = ids(history(client, session))
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.events.send(session.id, events=events)
    assert all(kind in str(refusal.value) for kind in PASSES_THE_CAP), refusal.value
    assert ids(history(client, session)) == before


@pytest.mark.parametrize("script", [SPENT, PAUSED])
def test_an_interrupt_at_the_cap_is_accepted_and_leaves_nothing(client, start, script):
    session = at_its_cap(client, start, script)
    before = ids(history(client, session))
    client.beta.sessions.events.send(session.id, events=[interrupt()])
    client.beta.sessions.events.send(session.id, events=[interrupt()])
    assert ids(history(client, session)) == before
    assert client.beta.sessions.retrieve(session.id).status == "idle"


def test_a_call_that_waits_comes_before_the_budget_and_its_answer_is_recorded(client, start):
    session = start("priced_weather", tools=[custom_tool("get_weather")], budget=budget(2))
    with Conversation(client, session.id) as conversation:
        events = conversation.turn("How is the weather?")
        assert why_idle(events) == "requires_action"
        use = only(events, "agent.custom_tool_use")
        with pytest.raises(BadRequestError):
            conversation.say("Hurry.")
        conversation.send(answer(use.id, "sunny"))
        events = conversation.until("session.status_idle")
        assert why_idle(events) == "budget_reached"
        assert "span.model_request_start" not in types(events), "the model is not asked"
        client.beta.sessions.update(session.id, budget=budget(100))
        assert said(finished(conversation.until("session.status_idle"))) == ["The weather: sunny"]


def test_an_interrupt_at_the_cap_closes_the_calls_that_wait(client, start):
    session = start("priced_weather", tools=[custom_tool("get_weather")], budget=budget(2))
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("How is the weather?"), "agent.custom_tool_use")
        conversation.send(interrupt())
        events = conversation.until("session.status_idle")
        assert only(events, "session.thread_status_idle").stop_reason.type == "end_turn"
        assert why_idle(events) == "budget_reached"
        with pytest.raises(BadRequestError):
            conversation.send(answer(use.id, "sunny"))
    assert len(all_of(history(client, session), "user.interrupt")) == 1


def test_what_was_queued_before_the_cap_waits_for_more(client, start):
    session = start("priced_slow", budget=budget(2))
    with Conversation(client, session.id) as conversation:
        conversation.say("Go.")
        conversation.until("span.model_request_start")
        queued = conversation.say("And this?")
        events = conversation.until("session.status_idle")
        assert why_idle(events) == "budget_reached"
        assert only(events, "session.thread_status_idle").stop_reason.type == "budget_reached"
        # With nothing under way there is nothing to interrupt, and what is queued stays so.
        conversation.send(interrupt())
        (waiting,) = [event for event in history(client, session) if event.id == queued.id]
        assert waiting.processed_at is None
        client.beta.sessions.update(session.id, budget=None)
        events = finished(conversation.until("session.status_idle"))
    assert said(events) == ["You said: And this?"]


# === changes ===


@pytest.mark.parametrize("more", [budget(100), None], ids=["raised", "removed"])
def test_a_turn_that_the_budget_stopped_goes_on_where_it_was(client, start, more):
    session = start(PAUSED, budget=budget(2))
    with Conversation(client, session.id) as conversation:
        assert why_idle(conversation.turn("echo hello")) == "budget_reached"
        updated = conforms(client.beta.sessions.update(session.id, budget=more))
        assert (raw(updated)["budget"], updated.status) == (more, "running")
        events = finished(conversation.until("session.status_idle"))
    assert heard(events) == audible(["session.updated", *RESUMED, *ANSWERED])
    assert [text.strip() for text in said(events)] == ["Result: hello"]
    announced = raw(conforms(only(events, "session.updated")))
    assert announced.keys() == {"id", "type", "processed_at", "budget"}
    assert announced["budget"] == more
    told = all_of(history(client, session), "session.usage")
    assert [raw(event)["budget"] for event in told] == [budget(2), more]


@pytest.mark.parametrize("more", [budget(100), None], ids=["raised", "removed"])
def test_a_session_whose_turn_had_ended_takes_messages_again(client, start, more):
    session = at_its_cap(client, start, SPENT)
    assert client.beta.sessions.update(session.id, budget=more).status == "idle"
    assert said(finished(run_turn(client, session, "Again."))) == ["You said: Again."]


@pytest.mark.parametrize("more", [budget(100), None], ids=["raised", "removed"])
def test_a_budget_changes_while_the_session_works(client, start, more):
    session = start("priced_slow", budget=budget(2))
    with Conversation(client, session.id) as conversation:
        conversation.say("Go.")
        conversation.until("span.model_request_start")
        assert client.beta.sessions.update(session.id, budget=more).status == "running"
        events = finished(conversation.until("session.status_idle"))
    assert raw(only(events, "session.updated"))["budget"] == more


def test_a_raise_that_is_used_up_stops_the_session_again(client, start):
    session = start(PAUSED, budget=budget(2))
    with Conversation(client, session.id) as conversation:
        conversation.turn("echo hello")
        client.beta.sessions.update(session.id, budget=budget(3))
        events = conversation.until("session.status_idle")
    assert why_idle(events) == "budget_reached"
    assert [text.strip() for text in said(events)] == ["Result: hello"]
    usage = raw(client.beta.sessions.retrieve(session.id))["usage"]
    assert dollars(usage) == {"amount": "4", "currency": "USD"}, "one request over it, at most"


def test_a_budget_stays_above_what_was_spent(client, start):
    session = start("priced", budget=budget(100))
    finished(run_turn(client, session, "Hello."))
    for spent in (budget(2), budget(1)):
        with pytest.raises(BadRequestError) as refusal:
            client.beta.sessions.update(session.id, title="Cheaper", budget=spent)
        assert code_of(refusal) == "budget_not_raised"
        assert "budget.max_list_cost must be greater than the session's consumed list cost" in str(refusal.value)
    unchanged = client.beta.sessions.retrieve(session.id)
    assert (unchanged.title, raw(unchanged)["budget"]) == (None, budget(100))
    assert raw(client.beta.sessions.update(session.id, budget=budget(3)))["budget"] == budget(3)


def test_the_budget_that_a_session_has_already_is_no_change(client, start):
    session = start("priced", budget=budget(100))
    before = ids(history(client, session))
    unchanged = client.beta.sessions.update(session.id, budget=budget(100))
    assert (raw(unchanged)["budget"], unchanged.status) == (budget(100), "idle")
    assert ids(history(client, session)) == before


def test_the_budget_that_stopped_a_session_is_not_enough_to_go_on(client, start):
    session = at_its_cap(client, start, PAUSED)
    before = ids(history(client, session))
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.update(session.id, budget=budget(2))
    assert code_of(refusal) == "budget_not_raised"
    assert ids(history(client, session)) == before


def test_a_budget_is_set_at_creation_or_never(client, start):
    never, removed = start("priced"), start("priced", budget=budget(100))
    client.beta.sessions.update(removed.id, budget=None)
    for session in (never, removed):
        with pytest.raises(BadRequestError) as refusal:
            client.beta.sessions.update(session.id, budget=budget(100))
        assert code_of(refusal) == "budget_create_only"
        assert raw(client.beta.sessions.retrieve(session.id))["budget"] is None
    client.beta.sessions.update(never.id, budget=None)
    assert types(history(client, never)) == [], "there was nothing to remove"
