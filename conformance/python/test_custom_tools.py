"""Tools that the client runs: the session waits, the client answers."""

from __future__ import annotations

import asyncio

import pytest
from anthropic import AsyncAnthropic, BadRequestError, beta_async_tool

from driver import (
    ANSWERED,
    CUSTOM_TURN,
    RESUMED,
    WAIT,
    Conversation,
    all_of,
    answer,
    audible,
    custom_tool,
    finished,
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

WEATHER = [custom_tool("get_weather")]
BOTH = [custom_tool("get_weather"), custom_tool("get_time")]


def test_a_custom_call_leaves_the_session_idle_and_waiting_for_its_answer(client, start):
    session = start("weather", tools=WEATHER)
    events = run_turn(client, session, "How is the weather?")
    assert heard(events) == audible(CUSTOM_TURN)
    use = only(events, "agent.custom_tool_use")
    assert (use.name, use.input) == ("get_weather", {"city": "Paris"})
    assert waits_for(events) == [use.id]
    thread = only(events, "session.thread_status_idle")
    assert thread.stop_reason.type == "requires_action"
    assert thread.stop_reason.event_ids == [use.id]
    assert client.beta.sessions.retrieve(session.id).status == "idle"


def test_the_answer_resumes_the_turn_and_reaches_the_model(client, start):
    session = start("weather", tools=WEATHER)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("How is the weather?"), "agent.custom_tool_use")
        (echo,) = conversation.send(answer(use.id, "sunny"))
        assert echo.custom_tool_use_id == use.id
        assert echo.processed_at is not None, "an answer is processed on receipt"
        events = finished(conversation.until("session.status_idle"))
    assert heard(events) == audible(["user.custom_tool_result", *RESUMED, *ANSWERED])
    assert events[0].id == echo.id
    assert said(events) == ["The weather: sunny"]


def test_the_answer_may_come_before_the_session_is_idle(client, start):
    session = start("weather", tools=WEATHER)
    with Conversation(client, session.id) as conversation:
        conversation.say("How is the weather?")
        use = conversation.until("agent.custom_tool_use")[-1]
        conversation.send(answer(use.id, "sunny"))
        events = conversation.until("agent.message") + conversation.until("session.status_idle")
    assert said(finished(events)) == ["The weather: sunny"]


def test_two_calls_are_answered_one_at_a_time(client, start):
    session = start("weather_and_time", tools=BOTH)
    with Conversation(client, session.id) as conversation:
        events = conversation.turn("Tell me both.")
        weather, clock = all_of(events, "agent.custom_tool_use")
        assert waits_for(events) == [weather.id, clock.id]

        conversation.send(answer(clock.id, "noon"))
        events = conversation.until("session.status_idle")
        assert waits_for(events) == [weather.id]
        assert "session.status_running" not in types(events), "it still waits"
        assert "span.model_request_start" not in types(events)

        conversation.send(answer(weather.id, "sunny"))
        events = finished(conversation.until("session.status_idle"))
    assert heard(events) == audible(["user.custom_tool_result", *RESUMED, *ANSWERED])
    assert said(events) == ["I know both."]


def test_two_calls_are_answered_in_one_request(client, start):
    session = start("weather_and_time", tools=BOTH)
    with Conversation(client, session.id) as conversation:
        weather, clock = all_of(conversation.turn("Tell me both."), "agent.custom_tool_use")
        conversation.send(answer(weather.id, "sunny"), answer(clock.id, "noon"))
        events = finished(conversation.until("session.status_idle"))
    assert len(all_of(events, "user.custom_tool_result")) == 2
    assert said(events) == ["I know both."]


def test_an_answer_that_is_an_error_reaches_the_model_as_one(client, start):
    session = start("weather_fails", tools=WEATHER)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("How is the weather?"), "agent.custom_tool_use")
        (echo,) = conversation.send(answer(use.id, "no such city", is_error=True))
        assert echo.is_error is True
        events = finished(conversation.until("session.status_idle"))
    assert said(events) == ["I could not find that city."]


def test_a_built_in_call_beside_a_custom_one_does_not_wait_for_the_client(client, start):
    session = start("weather_and_bash", tools=[toolset(), *WEATHER])
    with Conversation(client, session.id) as conversation:
        events = conversation.turn("Tell me both.")
        custom, built_in = only(events, "agent.custom_tool_use"), only(events, "agent.tool_use")
        assert waits_for(events) == [custom.id]
        assert only(events, "agent.tool_result").tool_use_id == built_in.id
        conversation.send(answer(custom.id, "sunny"))
        assert said(finished(conversation.until("session.status_idle"))) == ["I know both."]


def test_an_answer_to_nothing_is_refused(client, start):
    session = start("weather", tools=WEATHER)
    use = only(run_turn(client, session, "How is the weather?"), "agent.custom_tool_use")
    before = len(history(client, session))
    for id in ("sevt_01111111111111111111111", "nonsense"):
        with pytest.raises(BadRequestError):
            client.beta.sessions.events.send(session.id, events=[answer(id, "sunny")])
    assert len(history(client, session)) == before
    with Conversation(client, session.id) as conversation:
        conversation.send(answer(use.id, "sunny"))
        finished(conversation.until("session.status_idle"))


def test_a_second_answer_to_the_same_call_is_refused(client, start):
    session = start("weather", tools=WEATHER)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("How is the weather?"), "agent.custom_tool_use")
        conversation.send(answer(use.id, "sunny"))
        finished(conversation.until("session.status_idle"))
        with pytest.raises(BadRequestError):
            conversation.send(answer(use.id, "rainy"))


def test_a_client_cannot_answer_a_tool_that_the_server_runs(client, start):
    session = start("shell")
    use = only(run_turn(client, session, "echo hello"), "agent.tool_use")
    result = {"type": "user.tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "mine"}]}
    for event in (answer(use.id, "mine"), result):
        with pytest.raises(BadRequestError):
            client.beta.sessions.events.send(session.id, events=[event])


def test_a_message_sent_while_a_call_waits_is_taken_up_after_the_answer(client, start):
    session = start("weather_dropped", tools=WEATHER)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("How is the weather?"), "agent.custom_tool_use")
        (queued,) = conversation.send(message("Hurry, please."))
        assert queued.processed_at is None
        assert client.beta.sessions.retrieve(session.id).status == "idle"
        conversation.send(answer(use.id, "sunny"))
        conversation.until(lambda event: event.type == "user.message" and event.processed_at is not None)
        finished(conversation.until("session.status_idle"))


def test_an_interrupt_closes_the_calls_that_wait(client, start):
    session = start("weather_dropped", tools=WEATHER)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("How is the weather?"), "agent.custom_tool_use")
        conversation.send(interrupt())
        events = finished(conversation.until("session.status_idle"))
        assert "span.model_request_start" not in types(events), "the model is not asked"
        with pytest.raises(BadRequestError):
            conversation.send(answer(use.id, "sunny"))
        assert said(finished(conversation.turn("Never mind."))) == ["Fine."]


def test_the_sdks_tool_runner_answers_by_itself(client, start):
    session = start("weather", tools=WEATHER)
    asked = []

    @beta_async_tool(name="get_weather", description="The weather of a city.")
    async def get_weather(city: str) -> str:
        asked.append(city)
        return "sunny"

    async def run() -> list:
        async with AsyncAnthropic(timeout=WAIT, max_retries=0) as client:
            await client.beta.sessions.events.send(session.id, events=[message("How is the weather?")])
            runner = client.beta.sessions.events.tool_runner(session.id, tools=[get_weather], max_idle=0.2)
            return [call async for call in runner]

    (call,) = asyncio.run(asyncio.wait_for(run(), WAIT))
    assert (call.name, call.posted, call.is_error) == ("get_weather", True, False)
    assert asked == ["Paris"]
    events = history(client, session)
    assert [text_of(event) for event in all_of(events, "user.custom_tool_result")] == ["sunny"]
    assert said(finished(events)) == ["The weather: sunny"]
