"""A session's own agent: its tools can be replaced while it is idle, and nothing else of it ever."""

from __future__ import annotations

import pytest
from anthropic import BadRequestError

from driver import (
    Conversation,
    conforms,
    custom_tool,
    finished,
    history,
    interrupt,
    only,
    raw,
    run_turn,
    said,
    text_of,
    toolset,
    types,
    waits_for,
)

NO_SHELL = toolset(configs=[{"name": "bash", "enabled": False}])


def test_a_tool_that_is_taken_away_is_not_offered_from_the_next_turn_on(client, start):
    session = start("shell")
    assert text_of(only(finished(run_turn(client, session, "echo one")), "agent.tool_result")).strip() == "one"
    client.beta.sessions.update(session.id, agent={"tools": [NO_SHELL]})
    events = finished(run_turn(client, session, "echo two"))
    use, result = only(events, "agent.tool_use"), only(events, "agent.tool_result")
    assert use.evaluated_permission == "deny"
    assert raw(use).get("evaluation") is None
    assert result.is_error is True
    assert "two" not in text_of(result)


def test_a_tool_that_is_given_is_there_from_the_next_turn_on(client, start):
    session = start("weather", tools=[])
    with Conversation(client, session.id) as conversation:
        client.beta.sessions.update(session.id, agent={"tools": [custom_tool("get_weather")]})
        events = conversation.turn("How is the weather?")
        assert waits_for(events) == [only(events, "agent.custom_tool_use").id]


def test_a_policy_that_is_changed_holds_from_the_next_turn_on(client, start):
    session = start("shell")
    finished(run_turn(client, session, "echo one"))
    client.beta.sessions.update(session.id, agent={"tools": [toolset("always_ask")]})
    events = run_turn(client, session, "echo two")
    assert waits_for(events) == [only(events, "agent.tool_use").id]


def test_the_update_is_announced_with_the_whole_agent(client, start):
    session = start("shell", title="Same")
    with Conversation(client, session.id) as conversation:
        updated = conforms(client.beta.sessions.update(session.id, title="Same", agent={"tools": [NO_SHELL]}))
        event = conforms(conversation.until("session.updated")[-1])
    before, after = raw(session)["agent"], raw(updated)["agent"]
    (config,) = after["tools"][0]["configs"]
    assert (config["name"], config["enabled"]) == ("bash", False)
    assert after == {**before, "tools": after["tools"]}
    assert raw(event).keys() == {"id", "type", "processed_at", "agent"}
    assert raw(event)["agent"] == after
    assert raw(client.beta.sessions.retrieve(session.id))["agent"] == after


def test_the_agent_itself_and_its_other_sessions_stay_as_they_are(client, environment, start):
    session = start("shell")
    client.beta.sessions.update(session.id, agent={"tools": []})
    agent = client.beta.agents.retrieve(session.agent.id)
    assert (agent.version, raw(agent)["tools"]) == (1, raw(session)["agent"]["tools"])
    other = client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    assert raw(other)["agent"] == raw(session)["agent"]
    client.beta.sessions.delete(other.id)


@pytest.mark.parametrize("none", [[], None])
def test_all_tools_can_be_taken_away(client, start, none):
    session = start("greeting")
    assert raw(client.beta.sessions.update(session.id, agent={"tools": none}))["agent"]["tools"] == []
    assert said(finished(run_turn(client, session, "Good morning."))) == ["Hello from the script."]


def test_what_changes_nothing_is_not_announced(client, start):
    session = start("shell", title="Same")
    same = raw(session)["agent"]
    for agent in ({}, {"tools": same["tools"]}, {"mcp_servers": []}, {"tools": same["tools"], "mcp_servers": None}):
        assert raw(client.beta.sessions.update(session.id, agent=agent))["agent"] == same
    assert history(client, session) == []


def test_a_session_that_works_keeps_its_tools(client, start):
    session = start("slow")
    with Conversation(client, session.id) as conversation:
        conversation.say("Go.")
        conversation.until("span.model_request_start")
        with pytest.raises(BadRequestError) as refusal:
            client.beta.sessions.update(session.id, title="Renamed", agent={"tools": []})
        assert "agent" in str(refusal.value)
        conversation.send(interrupt())
        events = finished(conversation.until("session.status_idle"))
        assert "session.updated" not in types(events)
        updated = client.beta.sessions.update(session.id, agent={"tools": []})
    assert (updated.title, raw(updated)["agent"]["tools"]) == (None, [])


@pytest.mark.parametrize(
    ("field", "agent"),
    [
        ("agent.model", {"model": "script/shell"}),
        ("agent.system", {"tools": [], "system": "Be brief."}),
        ("agent.skills", {"skills": []}),
        ("agent.name", {"name": "Renamed"}),
        ("agent.tools.0", {"tools": [{"type": "nonsense"}]}),
        ("agent.tools.1", {"tools": [toolset(), toolset()]}),
    ],
)
def test_what_cannot_be_changed_refuses_the_whole_update(client, start, field, agent):
    session = start("shell")
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.update(session.id, title="Renamed", agent=agent)
    assert field in str(refusal.value)
    assert client.beta.sessions.retrieve(session.id).title is None
    assert history(client, session) == []
