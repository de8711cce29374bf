"""Clients that send first and open the stream second still see their turn.

The rule under test: an input is covered once a stream of the same key was attached at or after its arrival, or a
listing returned it. A stream opened with an uncovered input begins at that input; any other is live only.
"""

from __future__ import annotations

from driver import (
    ANSWERED,
    RESUMED,
    TEXT_TURN,
    Conversation,
    answer,
    audible,
    custom_tool,
    finished,
    heard,
    history,
    idle_without_looking_at_events,
    message,
    only,
    run_turn,
    said,
)


def polled_to_idle(client, session, event):
    """Sends an event and looks at the history until it ends in idle, which covers the event without a stream."""
    client.beta.sessions.events.send(session.id, events=[event])
    idle_without_looking_at_events(client, session)
    events = history(client, session)
    assert events[-1].type == "session.status_idle"
    return events


def begins_with_what_comes_next(client, session):
    """The open stream has nothing of the past: the next message is the first thing on it."""
    with Conversation(client, session.id) as late:
        echo = late.say("And now?")
        events = finished(late.until("session.status_idle"))
    assert events[0].id == echo.id, f"it began with {events[0].type}"
    assert heard(events) == audible(TEXT_TURN)


def test_a_stream_opened_after_the_turn_was_over_has_the_whole_turn(client, start):
    session = start("greeting")
    client.beta.sessions.events.send(session.id, events=[message("Good morning.")])
    idle_without_looking_at_events(client, session)
    with Conversation(client, session.id) as late:
        events = finished(late.until("session.status_idle"))
    assert heard(events) == audible(TEXT_TURN)
    assert said(events) == ["Hello from the script."]


def test_a_stream_opened_in_the_middle_of_the_turn_has_the_whole_turn(client, start):
    session = start("slow")
    client.beta.sessions.events.send(session.id, events=[message("Go.")])
    with Conversation(client, session.id) as late:
        assert heard(finished(late.until("session.status_idle"))) == audible(TEXT_TURN)


def test_a_late_stream_goes_on_live_after_the_turn_it_caught_up_with(client, start):
    session = start("greeting")
    client.beta.sessions.events.send(session.id, events=[message("Good morning.")])
    idle_without_looking_at_events(client, session)
    with Conversation(client, session.id) as late:
        late.until("session.status_idle")
        assert heard(finished(late.turn("Still there?"))) == audible(TEXT_TURN)


def test_a_late_stream_begins_at_the_first_message_that_nobody_saw(client, start):
    session = start("greeting")
    polled_to_idle(client, session, message("Good morning."))
    echoes = []
    for text in ["Second.", "Third."]:
        echoes += client.beta.sessions.events.send(session.id, events=[message(text)]).data
        idle_without_looking_at_events(client, session)
    with Conversation(client, session.id) as late:
        events = late.until("session.status_idle") + late.until("session.status_idle")
    assert events[0].id == echoes[0].id
    assert said(events) == ["You said: Second.", "You said: Third."]


def test_the_turn_of_initial_events_is_there_for_a_late_stream(client, start):
    session = start("greeting", initial_events=[message("Good morning.")])
    idle_without_looking_at_events(client, session)
    with Conversation(client, session.id) as late:
        assert said(finished(late.until("session.status_idle"))) == ["Hello from the script."]


def test_the_turn_that_a_tool_result_resumed_is_there_for_a_late_stream(client, start):
    session = start("weather", tools=[custom_tool("get_weather")])
    use = only(polled_to_idle(client, session, message("How is the weather?")), "agent.custom_tool_use")
    client.beta.sessions.events.send(session.id, events=[answer(use.id, "sunny")])
    idle_without_looking_at_events(client, session)
    with Conversation(client, session.id) as late:
        events = finished(late.until("session.status_idle"))
    assert heard(events) == audible(["user.custom_tool_result", *RESUMED, *ANSWERED])


def test_an_observer_that_left_before_the_message_does_not_take_the_turn_away(client, start):
    # The server must not count a stream whose client is gone, even if it has not noticed yet.
    session = start("greeting")
    Conversation(client, session.id).close()
    client.beta.sessions.events.send(session.id, events=[message("Good morning.")])
    idle_without_looking_at_events(client, session)
    with Conversation(client, session.id) as late:
        assert heard(finished(late.until("session.status_idle"))) == audible(TEXT_TURN)


def test_a_program_that_sends_and_then_opens_a_stream_sees_every_turn(client, start):
    """The loop of the official examples. Each message comes right after the client has left the last turn's stream."""
    session = start("greeting")
    finished(run_turn(client, session, "Good morning."))
    for number in range(5):
        client.beta.sessions.events.send(session.id, events=[message(f"Number {number}.")])
        with Conversation(client, session.id) as late:
            events = finished(late.until("session.status_idle"))
        assert heard(events) == audible(TEXT_TURN)
        assert said(events) == [f"You said: Number {number}."]


def test_a_stream_of_the_same_key_that_was_attached_makes_a_later_one_live_only(client, start):
    session = start("greeting")
    with Conversation(client, session.id) as observer:
        client.beta.sessions.events.send(session.id, events=[message("Good morning.")])
        assert heard(finished(observer.until("session.status_idle"))) == audible(TEXT_TURN)
        begins_with_what_comes_next(client, session)


def test_after_polling_the_history_to_idle_a_stream_is_live_only(client, start):
    session = start("greeting")
    polled_to_idle(client, session, message("Good morning."))
    begins_with_what_comes_next(client, session)


def test_a_turn_that_a_stream_has_shown_is_not_shown_again(client, start):
    session = start("greeting")
    client.beta.sessions.events.send(session.id, events=[message("Good morning.")])
    idle_without_looking_at_events(client, session)
    with Conversation(client, session.id) as late:
        late.until("session.status_idle")
    begins_with_what_comes_next(client, session)


def test_two_streams_that_are_open_together_see_the_same(client, start):
    session = start("greeting")
    with Conversation(client, session.id) as one, Conversation(client, session.id) as other:
        first = one.turn("Good morning.")
        second = other.until("session.status_idle")
    assert [event.id for event in first] == [event.id for event in second]
