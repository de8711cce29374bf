"""Agents: what is resolved, what makes a version, what an archive ends."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from anthropic import BadRequestError, ConflictError, NotFoundError

from driver import conforms, custom_tool, finished, raw, run_turn, said, toolset


def create(client, **fields):
    return client.beta.agents.create(**{"name": "Helper", "model": "script/greeting", **fields})


def test_a_new_agent_has_its_defaults_filled_in(client):
    agent = conforms(create(client, system="Be brief.", tools=[{"type": "agent_toolset_20260401"}]))
    assert agent.id.startswith("agent_")
    assert abs(datetime.now(timezone.utc) - agent.created_at) < timedelta(minutes=1)
    assert agent.updated_at == agent.created_at
    made = raw(agent)
    assert made["type"] == "agent"
    assert made["version"] == 1
    assert made["system"] == "Be brief."
    assert made["model"]["id"] == "script/greeting"
    assert made["model"]["speed"] == "standard"
    assert made["model"]["effort"].keys() == {"type"}
    assert made["tools"] == [
        {
            "type": "agent_toolset_20260401",
            "default_config": {"enabled": True, "permission_policy": {"type": "always_allow"}},
            "configs": [],
        }
    ]
    assert made["execution_identity"] == {"type": "service_account"}
    assert [made[name] for name in ("description", "multiagent", "archived_at")] == [None, None, None]
    assert (made["mcp_servers"], made["skills"], made["metadata"]) == ([], [], {})


def test_the_same_body_twice_makes_two_agents(client):
    one, other = create(client), create(client)
    assert one.id != other.id
    assert one.version == other.version == 1


def test_a_model_may_be_an_object_and_is_always_answered_as_one(client):
    model = raw(create(client, model={"id": "script/greeting", "effort": "low"}))["model"]
    assert (model["id"], model["effort"]) == ("script/greeting", {"type": "low"})
    model = raw(create(client, model={"id": "script/greeting", "effort": {"type": "max"}}))["model"]
    assert model["effort"] == {"type": "max"}


def test_a_custom_tool_is_answered_as_it_was_given(client):
    tool = custom_tool("get_weather")
    assert raw(conforms(create(client, tools=[tool])))["tools"] == [tool]


def test_a_retrieved_agent_is_the_created_one(client):
    agent = create(client, metadata={"team": "blue"})
    assert raw(client.beta.agents.retrieve(agent.id)) == raw(agent)


def test_an_update_makes_the_next_version_and_keeps_the_old_one(client):
    first = create(client, system="One.")
    second = conforms(client.beta.agents.update(first.id, version=1, system="Two."))
    assert (second.id, second.version, second.system) == (first.id, 2, "Two.")
    assert client.beta.agents.retrieve(first.id).system == "Two."
    assert raw(client.beta.agents.retrieve(first.id, version=1))["system"] == "One."
    assert client.beta.agents.retrieve(first.id, version=2).version == 2
    with pytest.raises(NotFoundError):
        client.beta.agents.retrieve(first.id, version=3)


def test_versions_are_listed_newest_first(client):
    agent = create(client, system="1")
    for version in (1, 2, 3):
        client.beta.agents.update(agent.id, version=version, system=str(version + 1))
    versions = list(client.beta.agents.versions.list(agent.id))
    assert [(agent.version, agent.system) for agent in versions] == [(4, "4"), (3, "3"), (2, "2"), (1, "1")]
    walked = list(client.beta.agents.versions.list(agent.id, limit=3))
    assert [agent.version for agent in walked] == [4, 3, 2, 1]


def test_an_update_that_changes_nothing_makes_no_version(client):
    agent = create(client, system="Same.", metadata={"a": "1"}, tools=[toolset()])
    for same in (
        {},
        {"system": "Same."},
        {"metadata": {"a": "1"}},
        {"metadata": {"absent": None}},
        {"model": "script/greeting"},
        {"tools": [{"type": "agent_toolset_20260401"}]},
    ):
        assert raw(client.beta.agents.update(agent.id, version=1, **same)) == raw(agent), same


def test_a_stale_version_is_a_conflict_even_if_nothing_would_change(client):
    agent = create(client, system="One.")
    client.beta.agents.update(agent.id, version=1, system="Two.")
    for fields in ({"system": "Three."}, {"system": "Two."}):
        with pytest.raises(ConflictError) as conflict:
            client.beta.agents.update(agent.id, version=1, **fields)
        assert conflict.value.body["error"]["type"] == "conflict_error"
        # The SDK would try a 409 again, and here that can never help.
        assert conflict.value.response.headers["x-should-retry"] == "false"
    assert client.beta.agents.retrieve(agent.id).version == 2


def test_the_last_write_wins_when_no_version_is_given(client, wire):
    agent = create(client, system="One.")
    client.beta.agents.update(agent.id, version=1, system="Two.")
    answer = wire.post(f"/v1/agents/{agent.id}", json={"system": "Three."})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["version"], answer.json()["system"]) == (3, "Three.")


def test_an_update_keeps_what_it_leaves_out_and_clears_what_is_null(client):
    agent = create(client, system="S", description="D", metadata={"a": "1", "b": "2"}, tools=[toolset()])
    agent = client.beta.agents.update(agent.id, version=1, metadata={"a": None, "c": "3"})
    assert (agent.system, agent.description, agent.metadata) == ("S", "D", {"b": "2", "c": "3"})
    assert len(agent.tools) == 1
    agent = client.beta.agents.update(agent.id, version=2, system=None, description="", tools=[])
    assert (agent.system, agent.description, agent.tools) == (None, None, [])
    assert agent.name == "Helper"


def test_a_name_cannot_be_cleared(client):
    agent = create(client)
    for name in (None, ""):
        with pytest.raises(BadRequestError) as refusal:
            client.beta.agents.update(agent.id, version=1, name=name)
        assert "name" in str(refusal.value)


def test_the_same_model_keeps_its_effort_and_another_does_not(client):
    agent = create(client, model={"id": "script/greeting", "effort": "low"})
    agent = client.beta.agents.update(agent.id, version=1, model="script/greeting", system="Changed.")
    assert raw(agent)["model"]["effort"] == {"type": "low"}
    agent = client.beta.agents.update(agent.id, version=2, model="script/shell")
    assert raw(agent)["model"]["effort"] == raw(create(client, model="script/shell"))["model"]["effort"]


def test_an_archived_agent_is_read_only(client, environment):
    agent = create(client)
    archived = conforms(client.beta.agents.archive(agent.id))
    assert archived.archived_at is not None
    assert client.beta.agents.retrieve(agent.id).archived_at == archived.archived_at
    with pytest.raises(BadRequestError):
        client.beta.agents.update(agent.id, version=1, system="Changed.")
    with pytest.raises(BadRequestError):
        client.beta.sessions.create(agent=agent.id, environment_id=environment.id)


def test_sessions_of_an_archived_agent_go_on(client, start):
    session = start("greeting")
    client.beta.agents.archive(session.agent.id)
    assert said(finished(run_turn(client, session, "Good morning."))) == ["Hello from the script."]


def test_the_list_is_paged_newest_first_and_hides_the_archived(client):
    agents = [create(client, name=f"number {number}") for number in range(5)]
    client.beta.agents.archive(agents[2].id)
    since = agents[0].created_at

    def listed(**filters):
        ours = {agent.id: index for index, agent in enumerate(agents)}
        return [
            ours[agent.id] for agent in client.beta.agents.list(created_at_gte=since, **filters) if agent.id in ours
        ]

    assert listed() == listed(limit=2) == [4, 3, 1, 0]
    assert listed(include_archived=True) == [4, 3, 2, 1, 0]
    assert listed(created_at_lte=since - timedelta(seconds=1)) == []


@pytest.mark.parametrize(
    ("name", "tools"),
    [
        ("a name of the toolset", [custom_tool("bash")]),
        ("a reserved prefix", [custom_tool("mcp__weather")]),
        ("a character that is not allowed", [custom_tool("get weather")]),
        ("the same name twice", [custom_tool("get_weather"), custom_tool("get_weather")]),
        ("two toolsets", [toolset(), toolset()]),
        ("an unknown tool in the configs", [toolset(configs=[{"name": "telepathy"}])]),
        ("an unknown type", [{"type": "agent_toolset_19700101"}]),
        ("an unknown policy", [toolset("sometimes")]),
        ("a schema that is no object", [{**custom_tool("x"), "input_schema": {"type": "string"}}]),
        (
            "a reference in a schema",
            [{**custom_tool("x"), "input_schema": {"type": "object", "properties": {"a": {"$ref": "#"}}}}],
        ),
    ],
)
def test_tools_that_cannot_work_are_refused(client, name, tools):
    with pytest.raises(BadRequestError) as refusal:
        create(client, tools=tools)
    assert "tools" in str(refusal.value), name
