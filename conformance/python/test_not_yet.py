"""What the API has and Stead has not built: refused by name, never taken and ignored.

A test that fails here because the feature now works is to be replaced by tests of the feature.
"""

from __future__ import annotations

import pytest
from anthropic import BadRequestError

from driver import toolset


def says_so(refusal, field: str) -> None:
    message = refusal.value.body["error"]["message"]
    assert field in message, message
    assert "not supported" in message and "yet" in message, message


SKILL = {"type": "anthropic", "skill_id": "xlsx"}
SERVER = {"type": "url", "name": "gh", "url": "https://mcp.example.com/mcp"}
ROSTER = {"type": "coordinator", "agents": [{"type": "self"}]}


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("skills", {"skills": [SKILL]}),
        ("mcp_servers", {"mcp_servers": [SERVER]}),
        ("multiagent", {"multiagent": ROSTER}),
        ("tools.0", {"tools": [{"type": "mcp_toolset", "mcp_server_name": "gh"}]}),
        ("web_search", {"tools": [toolset(configs=[{"name": "web_search", "enabled": True}])]}),
        ("speed", {"model": {"id": "script/greeting", "speed": "fast"}}),
    ],
)
@pytest.mark.parametrize("when", ["create", "update"])
def test_an_agent_cannot_have_it_yet(client, when, field, fields):
    if field == "web_search":
        field = "tools.0.configs.0"
    with pytest.raises(BadRequestError) as refusal:
        if when == "create":
            client.beta.agents.create(**{"name": "Helper", "model": "script/greeting", **fields})
        else:
            agent = client.beta.agents.create(name="Helper", model="script/greeting")
            client.beta.agents.update(agent.id, version=1, **fields)
    says_so(refusal, field)


def test_an_environment_with_no_packages_to_install_is_fine(client):
    packages = {"type": "packages", "apt": [], "pip": []}
    client.beta.environments.create(name="Workshop", config={"type": "cloud", "packages": packages})


REPOSITORY = {"type": "github_repository", "url": "https://github.com/rust-lang/log"}
MEMORY = {"type": "memory_store", "memory_store_id": "memstore_01nothing"}
OUTCOME = {"type": "user.define_outcome", "description": "A poem.", "rubric": {"type": "text", "content": "It rhymes."}}


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("resources.0", {"resources": [REPOSITORY]}),
        ("resources.0", {"resources": [MEMORY]}),
        ("initial_events.0", {"initial_events": [OUTCOME]}),
    ],
)
def test_a_session_cannot_have_it_yet(client, environment, make_agent, field, fields):
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.create(agent=make_agent("greeting").id, environment_id=environment.id, **fields)
    says_so(refusal, field)


def test_a_session_cannot_override_its_agent_yet(client, environment, make_agent):
    reference = {"type": "agent_with_overrides", "id": make_agent("greeting").id, "system": "Be brief."}
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.create(agent=reference, environment_id=environment.id)
    says_so(refusal, "agent")


def test_a_session_cannot_be_given_mcp_servers_yet(client, start):
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.update(start("greeting").id, agent={"mcp_servers": [SERVER]})
    says_so(refusal, "agent.mcp_servers")


def test_a_session_can_never_be_given_other_vaults(client, start):
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.update(start("greeting").id, vault_ids=["vlt_01nothing"])
    assert "vault_ids" in str(refusal.value)


def test_an_outcome_cannot_be_defined_yet(client, start):
    with pytest.raises(BadRequestError) as refusal:
        client.beta.sessions.events.send(start("greeting").id, events=[OUTCOME])
    says_so(refusal, "events.0")
