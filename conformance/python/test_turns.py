"""A turn, from the message to idle: which events, in which order, with what in them."""

from __future__ import annotations

import asyncio

import pytest
from anthropic import Anthropic, AsyncAnthropic, BadRequestError

from driver import (
    RESUMED,
    TEXT_TURN,
    THINKING_TURN,
    TOOL_TURN,
    WAIT,
    Conversation,
    all_of,
    audible,
    conforms,
    finished,
    heard,
    history,
    message,
    only,
    raw,
    run_turn,
    said,
    text_of,
    types,
)


def test_a_text_turn_has_its_events_in_order(client, start):
    events = finished(run_turn(client, start("greeting"), "Good morning."))
    assert heard(events) == audible(TEXT_TURN)
    assert said(events) == ["Hello from the script."]


def test_a_turn_with_one_bash_call_has_its_events_in_order(client, start):
    events = finished(run_turn(client, start("look_around"), "Look around."))
    assert heard(events) == audible(TOOL_TURN)
    use, result = only(events, "agent.tool_use"), only(events, "agent.tool_result")
    assert use.name == "bash"
    assert use.input == {"command": "echo from the sandbox"}
    assert use.evaluated_permission == "allow"
    assert raw(use)["evaluation"] == {"type": "always_allow"}
    assert result.tool_use_id == use.id
    assert not result.is_error
    assert text_of(result).strip() == "from the sandbox"
    assert [text.strip() for text in said(events)] == ["I will look.", "It printed: from the sandbox"]


def test_thinking_comes_before_the_message_and_has_no_content(client, start):
    events = finished(run_turn(client, start("thinks"), "Think first."))
    assert heard(events) == audible(THINKING_TURN)
    assert raw(only(events, "agent.thinking")).keys() == {"id", "type", "processed_at"}


def test_the_history_holds_the_same_events_in_the_same_order_as_the_stream(client, start):
    session = start("look_around")
    live = run_turn(client, session, "Look around.")
    listed = history(client, session)
    agents = [event for event in listed if not event.type.startswith("user.")]
    assert types(agents) == [kind for kind in TOOL_TURN if not kind.startswith("user.")]
    ids = [event.id for event in listed]
    assert len(set(ids)) == len(ids)
    # Only the place of the message may differ: the stream has it when it arrived, the history when it was processed.
    live_agents = [event.id for event in live if not event.type.startswith("user.")]
    assert live_agents == [event.id for event in agents if event.id in live_agents]
    before_the_model = types(listed)[: types(listed).index("span.model_request_start")]
    assert "user.message" in before_the_model


def test_every_event_has_the_fields_that_the_sdk_promises(client, start):
    session = start("thinks")
    for event in run_turn(client, session, "Think first."):
        conforms(event)
    session = start("look_around")
    run_turn(client, session, "Look around.")
    for event in history(client, session):
        conforms(event)
        assert event.id.startswith("sevt_")
        assert event.processed_at is not None


def test_the_spans_name_their_start_and_count_tokens(client, start):
    events = run_turn(client, start("look_around"), "Look around.")
    starts, ends = all_of(events, "span.model_request_start"), all_of(events, "span.model_request_end")
    assert [end.model_request_start_id for end in ends] == [begin.id for begin in starts]
    assert [end.is_error for end in ends] == [False, False]
    assert all(end.model_usage.input_tokens >= 0 and end.model_usage.output_tokens >= 0 for end in ends)


def test_the_usage_of_the_session_is_the_sum_of_its_model_requests(client, start):
    session = start("look_around")
    run_turn(client, session, "Look around.")
    events = history(client, session)
    spent = sum(end.model_usage.output_tokens for end in all_of(events, "span.model_request_end"))
    reported = only(events, "session.usage")
    assert reported.usage.output_tokens == spent
    assert raw(reported)["budget"] is None
    session = conforms(client.beta.sessions.retrieve(session.id))
    assert session.usage.output_tokens == spent
    assert session.stats.active_seconds <= session.stats.duration_seconds


def test_usage_stands_directly_before_every_idle(client, start):
    session = start("shell")
    for command in ["echo one", "echo two", "false"]:
        run_turn(client, session, command)
    kinds = types(history(client, session))
    idles = [place for place, kind in enumerate(kinds) if kind == "session.status_idle"]
    assert len(idles) == 3
    assert all(kinds[place - 2 : place] == ["session.thread_status_idle", "session.usage"] for place in idles)


def test_the_echo_of_a_message_is_the_event_that_the_stream_shows(client, start):
    session = start("greeting")
    with Conversation(client, session.id) as conversation:
        echo = conforms(conversation.say("Good morning."))
        events = conversation.until("session.status_idle")
    sightings = [event for event in events if event.type == "user.message"]
    assert {event.id for event in sightings} == {echo.id}
    assert 1 <= len(sightings) <= 2
    assert sightings[-1].processed_at is not None
    assert text_of(sightings[-1]) == text_of(echo) == "Good morning."


def test_the_session_is_running_as_soon_as_the_message_was_taken(client, start):
    session = start("slow")
    client.beta.sessions.events.send(session.id, events=[message("Go.")])
    assert client.beta.sessions.retrieve(session.id).status == "running"


def test_idle_is_the_last_event_and_the_stored_status_when_it_arrives(client, start):
    session = start("greeting")
    idle = run_turn(client, session, "Good morning.")[-1]
    assert client.beta.sessions.retrieve(session.id).status == "idle"
    assert history(client, session)[-1].id == idle.id
    assert raw(idle)["stop_details"] is None


def test_the_primary_thread_is_named_the_same_throughout(client, start):
    session = start("greeting")
    events = run_turn(client, session, "Good morning.")
    running, idle = only(events, "session.thread_status_running"), only(events, "session.thread_status_idle")
    assert running.session_thread_id == idle.session_thread_id
    assert running.session_thread_id.startswith("sthr_")
    assert running.agent_name == idle.agent_name == session.agent.name
    (thread,) = list(client.beta.sessions.threads.list(session.id))
    conforms(thread)
    assert (thread.id, thread.parent_thread_id, thread.status) == (idle.session_thread_id, None, "idle")


def test_a_second_message_goes_on_with_the_same_conversation(client, start):
    session = start("greeting")
    run_turn(client, session, "Good morning.")
    events = finished(run_turn(client, session, "Is anyone there?"))
    assert heard(events) == audible(TEXT_TURN)
    assert said(events) == ["You said: Is anyone there?"]


def test_a_message_sent_while_the_agent_works_is_taken_and_answered(client, start):
    session = start("slow")
    with Conversation(client, session.id) as conversation:
        first = conversation.say("Go.")
        conversation.until("span.model_request_start")
        second = conversation.say("And this too.")
        events = conversation.until(lambda event: event.type == "agent.message" and "And this too." in text_of(event))
        finished(events + conversation.until("session.status_idle"))
    asked = all_of(history(client, session), "user.message")
    assert [event.id for event in asked] == [first.id, second.id]
    assert all(event.processed_at is not None for event in asked)


def test_several_events_can_be_sent_at_once(client, start):
    session = start("greeting")
    with Conversation(client, session.id) as conversation:
        echoes = conversation.send(message("One."), message("Two."))
        assert [text_of(echo) for echo in echoes] == ["One.", "Two."]
        processed = set()

        def both_are_done(event):
            if event.type == "user.message" and event.processed_at is not None:
                processed.add(event.id)
            return event.type == "session.status_idle" and len(processed) == 2

        finished(conversation.until(both_are_done))
    assert processed == {echo.id for echo in echoes}


def test_both_calls_of_one_answer_are_run_and_the_model_is_asked_once_more(client, start):
    events = finished(run_turn(client, start("two_commands"), "Both, please."))
    uses, results = all_of(events, "agent.tool_use"), all_of(events, "agent.tool_result")
    assert [use.input["command"] for use in uses] == ["echo first", "echo second"]
    assert {result.tool_use_id for result in results} == {use.id for use in uses}
    assert {text_of(result).strip() for result in results} == {"first", "second"}
    assert len(all_of(events, "span.model_request_start")) == 2


def test_initial_events_set_the_session_running_at_creation(client, start):
    session = conforms(start("greeting", initial_events=[message("Good morning.")]))
    assert session.status == "running"
    with Conversation(client, session.id) as conversation:
        events = finished(conversation.until("session.status_idle"))
    assert said(events) == ["Hello from the script."]
    kinds = types(history(client, session))
    assert kinds.index("user.message") < kinds.index("span.model_request_start")
    assert kinds[-1] == "session.status_idle"
    assert all(kinds.count(kind) == 1 for kind in RESUMED)


def test_base_url_and_key_in_the_environment_are_all_that_a_program_needs(environment, make_agent):
    client = Anthropic()
    session = client.beta.sessions.create(agent=make_agent("greeting").id, environment_id=environment.id)
    assert said(finished(run_turn(client, session, "Good morning."))) == ["Hello from the script."]
    client.beta.sessions.delete(session.id)


def test_the_asynchronous_client_sees_the_same_turn(start):
    session = start("greeting")

    async def turn() -> list:
        async with AsyncAnthropic(timeout=WAIT, max_retries=0) as client:
            stream = await client.beta.sessions.events.stream(session.id)
            await client.beta.sessions.events.send(session.id, events=[message("Good morning.")])
            events = []
            async for event in stream:
                events.append(event)
                if event.type == "session.status_idle":
                    await stream.close()
                    return events
            raise AssertionError("the stream ended before idle")

    events = finished(asyncio.run(asyncio.wait_for(turn(), WAIT)))
    assert heard(events) == audible(TEXT_TURN)


def test_one_bad_event_refuses_the_whole_request(client, start):
    session = start("greeting")
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.events.send(session.id, events=[message("Fine."), {"type": "agent.message"}])
    assert "events.1" in str(refusal.value)
    assert history(client, session) == []
    assert client.beta.sessions.retrieve(session.id).status == "idle"


def test_a_refusal_ends_the_turn_and_says_so(client, start):
    session = start("refuses")
    idle = run_turn(client, session, "Do something terrible.")[-1]
    assert idle.stop_reason.type == "refusal"
    assert raw(idle)["stop_details"] == {"type": "refusal", "category": None, "explanation": None}
    assert client.beta.sessions.retrieve(session.id).status == "idle"


def test_a_call_whose_input_is_garbled_comes_back_to_the_model_as_an_error(client, start):
    events = finished(run_turn(client, start("garbled_call"), "Go."))
    use, result = only(events, "agent.tool_use"), only(events, "agent.tool_result")
    assert result.tool_use_id == use.id
    assert result.is_error is True
    assert said(events) == ["I will write it properly."]
