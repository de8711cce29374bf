"""Conversations that outgrow the model's window: summed up, or with old tool results forgotten."""

from __future__ import annotations

from anthropic.types.beta import sessions

from driver import (
    ANSWERED,
    RESUMED,
    TEXT_TURN,
    Conversation,
    all_of,
    answer,
    audible,
    conforms,
    custom_tool,
    finished,
    fresh,
    heard,
    history,
    interrupt,
    only,
    raw,
    run_turn,
    said,
    text_of,
    types,
    waits_for,
    why_idle,
)

QUICKLY = 10.0
TRIES = 3
"""Summaries in a row, after which the server of the suite gives up: `turn.compactions` in ../stead.toml."""

SUMMED_UP = ["span.model_request_start", "agent.thread_context_compacted", "span.model_request_end"]
REFUSED = ["span.model_request_start", "span.model_request_end"]
LIMIT_IS_TYPED = hasattr(sessions, "BetaManagedAgentsCompactionLimitReachedError")


def test_a_conversation_that_fills_the_window_is_summed_up_and_goes_on(client, start):
    session = start("small_talk", tools=[])
    with Conversation(client, session.id) as conversation:
        for text, reply in (("Begin.", "One."), ("Next.", "Two."), ("Next.", "Three.")):
            events = finished(conversation.turn(text))
            assert heard(events) == audible(TEXT_TURN)
            assert said(events) == [reply]
        events = finished(conversation.turn("And now?"))
        assert heard(events) == audible(["user.message", *RESUMED, *SUMMED_UP, *ANSWERED])
        assert said(events) == ["Four."]
        events = finished(conversation.turn("Next."))
        assert heard(events) == audible(TEXT_TURN)
        assert said(events) == ["Five."]


def test_a_compaction_has_no_content_and_its_request_is_counted(client, start):
    session = start("small_talk", tools=[])
    for text in ("Begin.", "Next.", "Next.", "And now?"):
        finished(run_turn(client, session, text))
    events = history(client, session)
    assert raw(conforms(only(events, "agent.thread_context_compacted"))).keys() == {"id", "type", "processed_at"}
    begins, ends = all_of(events, "span.model_request_start"), all_of(events, "span.model_request_end")
    assert [end.model_request_start_id for end in ends] == [begin.id for begin in begins]
    assert [end.model_usage.input_tokens for end in ends] == [800, 1600, 2500, 2600, 300]
    usage = client.beta.sessions.retrieve(session.id).usage
    assert (usage.input_tokens, usage.output_tokens) == (7800, 80)
    assert said(events) == ["One.", "Two.", "Three.", "Four."], "the history stays whole"


def test_a_conversation_that_is_full_in_the_middle_of_a_turn_is_summed_up_between_its_steps(client, start):
    events = finished(run_turn(client, start("small_steps"), "Keep it."))
    calls = ["span.model_request_start", "agent.tool_use", "span.model_request_end", "agent.tool_result"]
    assert heard(events) == audible(["user.message", *RESUMED, *calls, *SUMMED_UP, *calls, *ANSWERED])
    assert said(events) == ["It is there."]


def test_old_tool_results_are_sent_no_more_once_the_window_is_half_full(client, start):
    session = start("small_memory", tools=[custom_tool("get_weather")])
    results = ["sunny " * 600, "rainy", "foggy", "windy"]
    with Conversation(client, session.id) as conversation:
        events = conversation.turn("How is the weather?")
        for result in results:
            (asked,) = waits_for(events)
            conversation.send(answer(asked, result))
            events = conversation.until("session.status_idle")
        assert said(finished(events)) == ["I know all four."]
    events = history(client, session)
    assert "agent.thread_context_compacted" not in types(events)
    sent = [end.model_usage.input_tokens for end in all_of(events, "span.model_request_end")]
    assert sent[4] < sent[1] - 500, f"the first result still counts: {sent}"
    assert [text_of(event) for event in all_of(events, "user.custom_tool_result")] == results


def test_a_conversation_that_the_provider_finds_too_long_is_summed_up_and_goes_on(client, start):
    session = start("overflows", tools=[])
    with Conversation(client, session.id) as conversation:
        assert said(finished(conversation.turn("Good morning."))) == ["Hello from the script."]
        events = finished(conversation.turn("Again."))
    assert heard(events) == audible(["user.message", *RESUMED, *REFUSED, *SUMMED_UP, *ANSWERED])
    assert [end.is_error for end in all_of(events, "span.model_request_end")] == [True, False, False]
    assert said(events) == ["It fits."]


def test_summing_up_in_vain_ends_the_turn_and_says_why(client, start):
    session = start(fresh("never_fits_once"), tools=[])
    events = run_turn(client, session, "Good morning.")
    assert len(all_of(events, "agent.thread_context_compacted")) == TRIES
    event = only(events, "session.error")
    if LIMIT_IS_TYPED:
        conforms(event)
    error = raw(event)["error"]
    assert error["type"] == "compaction_limit_reached_error"
    assert error["retry_status"] == {"type": "exhausted"}
    assert error["message"]
    assert only(events, "session.thread_status_idle").stop_reason.type == "retries_exhausted"
    assert why_idle(events) == "retries_exhausted"
    assert said(events) == []
    assert client.beta.sessions.retrieve(session.id).status == "idle"


def test_the_message_after_that_starts_anew(client, start):
    session = start(fresh("never_fits_once"), tools=[])
    assert why_idle(run_turn(client, session, "Good morning.")) == "retries_exhausted"
    assert said(finished(run_turn(client, session, "Shorter, please."))) == ["Here at last."]
    assert said(finished(run_turn(client, session, "Well?"))) == ["You said: Well?"]


def test_an_interrupt_ends_the_summing_up_and_the_next_message_begins_it_again(client, start):
    session = start("small_slow_summary")
    with Conversation(client, session.id) as conversation:
        conversation.say("Go.")
        conversation.until("agent.tool_result")
        conversation.until("span.model_request_start")
        conversation.send(interrupt())
        events = finished(conversation.until("session.status_idle", QUICKLY))
        assert "agent.thread_context_compacted" not in types(events)
        assert only(events, "span.model_request_end").is_error is True
        events = finished(conversation.turn("Again."))
    assert heard(events) == audible(["user.message", *RESUMED, *SUMMED_UP, *ANSWERED])
    assert said(events) == ["Done."]
