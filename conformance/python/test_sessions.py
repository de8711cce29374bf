"""Sessions as records: creation, update, list, archive, delete."""

from __future__ import annotations

import pytest
from anthropic import APIStatusError, BadRequestError, NotFoundError

from driver import (
    Conversation,
    conforms,
    finished,
    history,
    interrupt,
    message,
    only,
    raw,
    run_turn,
    said,
    types,
)


def test_a_new_session_is_idle_and_carries_a_snapshot_of_its_agent(client, environment, make_agent):
    agent = make_agent("greeting", description="For tests.", metadata={"team": "blue"})
    session = conforms(
        client.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, title="First", metadata={"ticket": "7"}
        )
    )
    assert session.id.startswith("sesn_")
    made = raw(session)
    assert made["type"] == "session"
    assert made["status"] == "idle"
    assert made["title"] == "First"
    assert made["metadata"] == {"ticket": "7"}
    assert made["environment_id"] == environment.id
    expected = raw(agent)
    for name in ("metadata", "created_at", "updated_at", "archived_at"):
        del expected[name]
    assert made["agent"] == expected
    assert (made["resources"], made["vault_ids"], made["outcome_evaluations"]) == ([], [], [])
    assert (made["budget"], made["archived_at"]) == (None, None)
    assert (made["usage"]["input_tokens"], made["usage"]["output_tokens"]) == (0, 0)
    assert raw(client.beta.sessions.retrieve(session.id))["agent"] == made["agent"]
    client.beta.sessions.delete(session.id)


def test_a_bare_id_takes_the_latest_version_and_a_pin_the_named_one(client, environment, make_agent):
    agent = make_agent("greeting")
    client.beta.agents.update(agent.id, version=1, model="script/shell")

    def create(reference):
        return client.beta.sessions.create(agent=reference, environment_id=environment.id).agent

    assert create(agent.id).version == 2
    assert create({"type": "agent", "id": agent.id}).version == 2
    pinned = create({"type": "agent", "id": agent.id, "version": 1})
    assert (pinned.version, pinned.model.id) == (1, "script/greeting")
    with pytest.raises(NotFoundError):
        create({"type": "agent", "id": agent.id, "version": 9})


def test_a_session_keeps_the_agent_it_began_with(client, start):
    session = start("greeting")
    client.beta.agents.update(session.agent.id, version=1, model="script/shell")
    assert client.beta.sessions.retrieve(session.id).agent.version == 1
    assert said(finished(run_turn(client, session, "Good morning."))) == ["Hello from the script."]


def test_an_agent_or_environment_that_is_not_there_is_not_found(client, environment, make_agent):
    with pytest.raises(NotFoundError):
        client.beta.sessions.create(agent="agent_01nothing", environment_id=environment.id)
    with pytest.raises(NotFoundError):
        client.beta.sessions.create(agent=make_agent("greeting").id, environment_id="env_01nothing")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "user.interrupt"},
        {"type": "user.tool_confirmation", "tool_use_id": "sevt_01nothing", "result": "allow"},
        {"type": "user.message", "content": []},
    ],
)
def test_initial_events_that_cannot_begin_a_session_create_nothing(client, environment, make_agent, event):
    agent = make_agent("greeting")
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.create(
            agent=agent.id, environment_id=environment.id, initial_events=[message("Fine."), event]
        )
    assert "initial_events.1" in str(refusal.value)
    assert list(client.beta.sessions.list(agent_id=agent.id)) == []


def test_empty_initial_events_are_none(start):
    assert start("greeting", initial_events=[]).status == "idle"


# === update ===


def test_an_update_is_announced_with_what_changed_and_nothing_else(client, start):
    session = start("greeting", title="Before", metadata={"a": "1", "b": "2"})
    with Conversation(client, session.id) as conversation:
        updated = conforms(client.beta.sessions.update(session.id, title="After"))
        event = conforms(conversation.until("session.updated")[-1])
        assert updated.title == event.title == "After"
        assert raw(event).keys() == {"id", "type", "processed_at", "title"}

        updated = client.beta.sessions.update(session.id, metadata={"a": None, "c": "3"})
        event = conversation.until("session.updated")[-1]
        assert updated.metadata == event.metadata == {"b": "2", "c": "3"}
        assert "title" not in raw(event)

        client.beta.sessions.update(session.id, title=None)
        event = conversation.until("session.updated")[-1]
        assert raw(event)["title"] is None
    after = client.beta.sessions.retrieve(session.id)
    assert (after.title, after.metadata) == (None, {"b": "2", "c": "3"})
    assert types(history(client, session)) == ["session.updated"] * 3


def test_an_update_that_changes_nothing_is_not_announced(client, start):
    session = start("greeting", title="Same", metadata={"a": "1"})
    with Conversation(client, session.id) as conversation:
        for same in ({}, {"title": "Same"}, {"metadata": {"a": "1"}}, {"metadata": {"absent": None}}):
            assert raw(client.beta.sessions.update(session.id, **same))["title"] == "Same"
        client.beta.sessions.update(session.id, title="Other")
        assert types(conversation.until("session.updated")) == ["session.updated"]
    assert types(history(client, session)) == ["session.updated"]


def test_a_session_can_be_renamed_while_it_works(client, start):
    session = start("slow")
    with Conversation(client, session.id) as conversation:
        conversation.say("Go.")
        conversation.until("span.model_request_start")
        assert client.beta.sessions.update(session.id, title="Renamed").status == "running"
        events = finished(conversation.until("session.status_idle"))
    assert only(events, "session.updated").title == "Renamed"


# === list ===


@pytest.fixture(scope="module")
def family(client, environment, make_agent):
    """Five sessions of one agent, oldest first."""
    agent = make_agent("greeting")
    sessions = [
        client.beta.sessions.create(agent=agent.id, environment_id=environment.id, title=str(number))
        for number in range(5)
    ]
    yield sessions
    for session in sessions:
        client.beta.sessions.delete(session.id)


def titles(sessions):
    return [int(session.title) for session in sessions]


def test_sessions_are_listed_newest_first_or_in_the_order_asked_for(client, family):
    agent = family[0].agent.id
    for session in client.beta.sessions.list(agent_id=agent):
        conforms(session)
    assert titles(client.beta.sessions.list(agent_id=agent)) == [4, 3, 2, 1, 0]
    assert titles(client.beta.sessions.list(agent_id=agent, limit=2)) == [4, 3, 2, 1, 0]
    assert titles(client.beta.sessions.list(agent_id=agent, limit=2, order="asc")) == [0, 1, 2, 3, 4]


def test_the_pages_of_sessions_can_be_walked_in_both_directions(client, family):
    agent = family[0].agent.id
    first = client.beta.sessions.list(agent_id=agent, limit=2)
    assert raw(first)["prev_page"] is None
    second = first.get_next_page()
    third = second.get_next_page()
    assert [titles(page.data) for page in (first, second, third)] == [[4, 3], [2, 1], [0]]
    assert third.next_page is None
    back = client.beta.sessions.list(agent_id=agent, limit=2, page=third.prev_page)
    assert titles(back.data) == [2, 1]
    back = client.beta.sessions.list(agent_id=agent, limit=2, page=back.prev_page)
    assert titles(back.data) == [4, 3]


def test_a_cursor_of_sessions_is_refused_under_the_other_order(client, family):
    page = client.beta.sessions.list(agent_id=family[0].agent.id, limit=2)
    with pytest.raises(BadRequestError):
        client.beta.sessions.list(agent_id=family[0].agent.id, limit=2, page=page.next_page, order="asc")


def test_sessions_are_filtered_by_status_time_and_version(client, family):
    agent = family[0].agent.id
    assert titles(client.beta.sessions.list(agent_id=agent, statuses=["idle", "running"])) == [4, 3, 2, 1, 0]
    assert titles(client.beta.sessions.list(agent_id=agent, statuses=["terminated"])) == []
    assert titles(client.beta.sessions.list(agent_id=agent, agent_version=1)) == [4, 3, 2, 1, 0]
    assert titles(client.beta.sessions.list(agent_id=agent, agent_version=2)) == []
    at = family[2].created_at
    expected = [number for number in (4, 3, 2, 1, 0) if family[number].created_at >= at]
    assert titles(client.beta.sessions.list(agent_id=agent, created_at_gte=at)) == expected
    expected = [number for number in (4, 3, 2, 1, 0) if family[number].created_at < at]
    assert titles(client.beta.sessions.list(agent_id=agent, created_at_lt=at)) == expected


# === archive and delete ===


def test_an_archived_session_is_terminated_and_takes_no_events(client, start):
    session = start("greeting")
    run_turn(client, session, "Good morning.")
    before = len(history(client, session))
    with Conversation(client, session.id) as conversation:
        archived = conforms(client.beta.sessions.archive(session.id))
        assert archived.status == "terminated"
        assert archived.archived_at is not None
        conversation.until("session.status_terminated")
    assert client.beta.sessions.retrieve(session.id).status == "terminated"
    for event in (message("Still there?"), interrupt()):
        with pytest.raises(APIStatusError) as refusal:
            client.beta.sessions.events.send(session.id, events=[event])
        assert refusal.value.status_code in (400, 409)
    events = history(client, session)
    assert "session.status_terminated" in types(events[before:]), "the history stays"
    assert said(events) == ["Hello from the script."]


def test_an_archived_session_is_listed_only_on_request(client, start):
    session = start("greeting")
    client.beta.sessions.archive(session.id)
    agent = session.agent.id
    assert list(client.beta.sessions.list(agent_id=agent)) == []
    assert [found.id for found in client.beta.sessions.list(agent_id=agent, include_archived=True)] == [session.id]


def test_a_session_can_be_archived_the_moment_it_says_that_it_is_idle(client, start):
    session = start("greeting")
    run_turn(client, session, "Good morning.")
    assert client.beta.sessions.archive(session.id).status == "terminated"


def test_a_running_session_is_neither_archived_nor_deleted(client, start):
    session = start("slow")
    with Conversation(client, session.id) as conversation:
        conversation.say("Go.")
        conversation.until("session.status_running")
        with pytest.raises(BadRequestError):
            client.beta.sessions.archive(session.id)
        with pytest.raises(BadRequestError):
            client.beta.sessions.delete(session.id)
        conversation.send(interrupt())
        finished(conversation.until("session.status_idle"))


def test_a_deleted_session_says_so_on_its_stream_and_closes_it(client, start):
    session = start("greeting")
    run_turn(client, session, "Good morning.")
    with Conversation(client, session.id) as conversation:
        deleted = conforms(client.beta.sessions.delete(session.id))
        assert raw(deleted) == {"id": session.id, "type": "session_deleted"}
        events = conversation.until_closed()
    assert types(events) == ["session.deleted"]
    conforms(events[-1])


def test_of_a_deleted_session_nothing_is_left(client, start):
    session = start("greeting")
    run_turn(client, session, "Good morning.")
    client.beta.sessions.delete(session.id)
    for ask in (
        lambda: client.beta.sessions.retrieve(session.id),
        lambda: client.beta.sessions.update(session.id, title="Back"),
        lambda: client.beta.sessions.delete(session.id),
        lambda: client.beta.sessions.events.list(session.id),
        lambda: client.beta.sessions.events.send(session.id, events=[message("Still there?")]),
        lambda: client.beta.sessions.events.stream(session.id),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert list(client.beta.sessions.list(agent_id=session.agent.id, include_archived=True)) == []
    assert client.beta.agents.retrieve(session.agent.id).archived_at is None


def test_an_archived_session_can_be_deleted(client, start):
    session = start("greeting")
    client.beta.sessions.archive(session.id)
    assert client.beta.sessions.delete(session.id).id == session.id
