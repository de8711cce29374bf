"""What a client tells the model beside what it says: with an input, and for every turn from then on."""

from __future__ import annotations

import pytest
from anthropic import BadRequestError

from driver import (
    ANSWERED,
    RESUMED,
    Conversation,
    allow,
    answer,
    audible,
    code_of,
    conforms,
    custom_tool,
    finished,
    heard,
    history,
    interrupt,
    message,
    only,
    run_turn,
    said,
    system,
    text_of,
    toolset,
    waits_for,
)

WEATHER = [custom_tool("get_weather")]


def test_one_behind_a_message_reaches_the_model_with_it(client, start):
    session = start("told")
    with Conversation(client, session.id) as conversation:
        echoes = conversation.send(message("Good morning."), system("Be brief."))
        assert [echo.type for echo in echoes] == ["user.message", "system.message"]
        assert text_of(conforms(echoes[1])) == "Be brief."
        events = finished(conversation.until("session.status_idle"))
    assert heard(events) == audible(["user.message", *RESUMED, "system.message", *ANSWERED])
    assert said(events) == ["Asked: Good morning. Told: Be brief."]


def test_one_is_in_the_history_once_it_was_taken_up(client, start):
    session = start("told")
    with Conversation(client, session.id) as conversation:
        _, echo = conversation.send(message("Good morning."), system("Be brief."))
        finished(conversation.until("session.status_idle"))
    (listed,) = history(client, session, types=["system.message"])
    assert (conforms(listed).id, text_of(listed)) == (echo.id, "Be brief.")
    assert listed.processed_at is not None


def test_one_holds_for_the_turns_after_it_until_another_comes(client, start):
    session = start("told")
    with Conversation(client, session.id) as conversation:
        conversation.send(message("One."), system("Be brief."))
        finished(conversation.until("session.status_idle"))
        assert said(finished(conversation.turn("Two."))) == ["Asked: Two. Told: Be brief."]
        conversation.send(message("Three."), system("Be thorough."))
        events = finished(conversation.until("session.status_idle"))
    assert said(events) == ["Asked: Three. Told: Be thorough."]


@pytest.mark.parametrize(
    ("events", "place"),
    [
        ([system("Be brief.")], "events.0"),
        ([system("Be brief."), message("Hello.")], "events.0"),
        ([message("Hello."), system("Be brief."), message("Well?")], "events.1"),
        ([message("Hello."), system("Be brief."), system("Be polite.")], "events.1"),
        ([message("Hello."), interrupt(), system("Be brief.")], "events.2"),
        ([message("Hello."), {"type": "system.message", "content": []}], "events.1.content"),
        (
            [
                message("Hello."),
                {
                    "type": "system.message",
                    "content": [{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}],
                },
            ],
            "events.1.content.0",
        ),
    ],
    ids=["alone", "first", "in the middle", "twice", "behind an interrupt", "empty", "no text"],
)
def test_one_that_stands_elsewhere_or_says_nothing_refuses_the_request(client, start, events, place):
    session = start("told")
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.events.send(session.id, events=events)
    assert place in str(refusal.value)
    assert history(client, session) == []


def test_none_is_taken_when_a_session_is_made(client, environment, make_agent):
    agent = make_agent("told")
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, initial_events=[message("Hello."), system("Be brief.")]
        )
    assert "initial_events.1" in str(refusal.value)
    assert list(client.beta.sessions.list(agent_id=agent.id)) == []


def test_while_a_call_waits_only_one_behind_a_result_is_taken(client, start):
    session = start("told_weather", tools=WEATHER)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("How is the weather?"), "agent.custom_tool_use")
        before = len(history(client, session))
        with pytest.raises(BadRequestError) as refusal:
            conversation.send(message("Well?"), system("Be brief."))
        assert "events.1" in str(refusal.value)
        assert len(history(client, session)) == before
        conversation.send(answer(use.id, "sunny"), system("Be brief."))
        assert said(finished(conversation.until("session.status_idle"))) == ["Sunny."]


def test_one_behind_a_confirmation_is_refused(client, start):
    session = start("shell", tools=[toolset("always_ask")])
    (asked,) = waits_for(run_turn(client, session, "echo hello"))
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.events.send(session.id, events=[allow(asked), system("Be brief.")])
    assert "events.1" in str(refusal.value)


def test_a_model_that_takes_none_says_so_and_takes_messages(client, start):
    session = start("deaf")
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.events.send(session.id, events=[message("Hello."), system("Be brief.")])
    assert code_of(refusal) == "model_does_not_support_mid_conversation_system"
    assert history(client, session) == []
    assert said(finished(run_turn(client, session, "Hello."))) == ["You said: Hello."]
