"""The history of a session: pages, order, filters."""

from __future__ import annotations

import pytest
from anthropic import BadRequestError

from driver import Conversation, finished, history, message, run_turn, types


@pytest.fixture(scope="module")
def session(client, environment, make_agent):
    """A session with three turns behind it."""
    session = client.beta.sessions.create(agent=make_agent("shell").id, environment_id=environment.id)
    for command in ["echo one", "echo two", "echo three"]:
        finished(run_turn(client, session, command))
    yield session
    client.beta.sessions.delete(session.id)


def ids(events):
    return [event.id for event in events]


def test_the_default_order_is_from_the_first_event_to_the_last(client, session):
    whole = history(client, session)
    assert types(whole)[-1] == "session.status_idle"
    assert [event.processed_at for event in whole] == sorted(event.processed_at for event in whole)
    assert ids(whole) == ids(history(client, session, order="asc"))


def test_pages_of_two_add_up_to_the_whole(client, session):
    page = client.beta.sessions.events.list(session.id, limit=2)
    walked = []
    while True:
        assert 1 <= len(page.data) <= 2
        walked += ids(page.data)
        if not page.has_next_page():
            break
        page = page.get_next_page()
    assert walked == ids(history(client, session))
    assert page.next_page is None


def test_the_other_order_is_the_exact_reverse_also_in_pages(client, session):
    backwards = ids(history(client, session))[::-1]
    assert ids(history(client, session, order="desc")) == backwards
    assert ids(history(client, session, order="desc", limit=2)) == backwards


def test_a_page_may_have_a_limit_of_its_own(client, session):
    whole = ids(history(client, session))
    first = client.beta.sessions.events.list(session.id, limit=2)
    rest = client.beta.sessions.events.list(session.id, limit=1000, page=first.next_page)
    assert ids(first.data) + ids(rest.data) == whole


def test_types_filters_by_one_or_several_types(client, session):
    whole = history(client, session)
    for wanted in (["user.message"], ["agent.tool_use", "agent.tool_result"]):
        expected = [event.id for event in whole if event.type in wanted]
        assert len(expected) == 3 * len(wanted)
        assert ids(history(client, session, types=wanted)) == expected
        assert ids(history(client, session, types=wanted, limit=2)) == expected
        assert ids(history(client, session, types=wanted, order="desc")) == expected[::-1]


def test_a_type_that_never_happened_gives_an_empty_list(client, session):
    assert history(client, session, types=["agent.mcp_tool_use", "session.thread_created"]) == []


def test_times_bound_the_list_as_each_name_says(client, session):
    whole = history(client, session)
    at = whole[len(whole) // 2].processed_at
    for name, holds in {
        "created_at_gt": lambda event: event.processed_at > at,
        "created_at_gte": lambda event: event.processed_at >= at,
        "created_at_lt": lambda event: event.processed_at < at,
        "created_at_lte": lambda event: event.processed_at <= at,
    }.items():
        expected = [event.id for event in whole if holds(event)]
        assert ids(history(client, session, **{name: at})) == expected, name
        assert ids(history(client, session, **{name: at.isoformat()})) == expected, name


def test_a_cursor_is_refused_under_the_other_order(client, session):
    page = client.beta.sessions.events.list(session.id, limit=2)
    with pytest.raises(BadRequestError):
        client.beta.sessions.events.list(session.id, limit=2, order="desc", page=page.next_page)


def test_a_cursor_that_the_server_did_not_make_is_refused(client, session):
    with pytest.raises(BadRequestError):
        client.beta.sessions.events.list(session.id, page="page_nonsense")


def test_previews_are_no_part_of_the_history(client, start):
    session = start("thinks")
    run_turn(client, session, "Think first.", event_deltas=["agent.message", "agent.thinking"])
    assert {"event_start", "event_delta", "ping"}.isdisjoint(types(history(client, session)))


def test_a_message_that_still_waits_is_the_last_of_the_list(client, start):
    session = start("slow")
    with Conversation(client, session.id) as conversation:
        conversation.say("Go.")
        conversation.until("span.model_request_start")
        waiting = conversation.say("And this too.")
        last = history(client, session)[-1]
        assert (last.id, last.processed_at) == (waiting.id, None)
        assert history(client, session, order="desc")[0].id == waiting.id


def test_a_new_session_has_no_history(client, start):
    page = client.beta.sessions.events.list(start("greeting").id)
    assert page.data == []
    assert page.next_page is None


def test_the_history_grows_while_a_cursor_is_held(client, start):
    session = start("greeting")
    run_turn(client, session, "Good morning.")
    first = client.beta.sessions.events.list(session.id, limit=5)
    run_turn(client, session, "Still there?")
    rest = list(client.beta.sessions.events.list(session.id, page=first.next_page))
    assert ids(first.data) + ids(rest) == ids(history(client, session))
    assert message("Still there?")["content"][0]["text"] in [
        event.content[0].text for event in rest if event.type == "user.message"
    ]
