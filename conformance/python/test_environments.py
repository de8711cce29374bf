"""Environments: defaults, patches, and the end of one."""

from __future__ import annotations

import pytest
from anthropic import APIStatusError, BadRequestError, NotFoundError

from driver import conforms, finished, raw, run_turn, said

NO_PACKAGES = {"type": "packages", "apt": [], "cargo": [], "gem": [], "go": [], "npm": [], "pip": []}


def create(client, **fields):
    # With a description, because the models of 0.121 know no environment without one.
    asked = {"name": "Workshop", "description": "For tests.", "config": {"type": "cloud"}, **fields}
    return client.beta.environments.create(**asked)


def limited(*hosts, **switches):
    return {"type": "cloud", "networking": {"type": "limited", "allowed_hosts": list(hosts), **switches}}


def test_a_new_environment_has_its_defaults_filled_in(client):
    environment = conforms(create(client, metadata={"team": "blue"}))
    assert environment.id.startswith("env_")
    made = raw(environment)
    assert made["type"] == "environment"
    assert made["name"] == "Workshop"
    assert made["description"] == "For tests."
    assert made["metadata"] == {"team": "blue"}
    assert made["archived_at"] is None
    assert made["config"] == {"type": "cloud", "networking": {"type": "unrestricted"}, "packages": NO_PACKAGES}


def test_an_environment_without_a_config_is_an_unrestricted_cloud(client):
    made = raw(client.beta.environments.create(name="Workshop"))
    assert made["config"] == {"type": "cloud", "networking": {"type": "unrestricted"}, "packages": NO_PACKAGES}
    assert (made["description"], made["metadata"]) == (None, {})


def test_limited_networking_is_answered_in_full(client):
    networking = raw(conforms(create(client, config=limited("example.com", "*.example.org"))))["config"]["networking"]
    assert networking == {
        "type": "limited",
        "allowed_hosts": ["example.com", "*.example.org"],
        "allow_mcp_servers": False,
        "allow_package_managers": False,
    }


@pytest.mark.parametrize("host", ["http://example.com/path", "example.com:443", "exa mple.com", "", "*", "a..b", "0x7f.1", "10.1", "a" * 64 + ".com"])
def test_a_host_that_is_no_host_is_refused(client, host):
    with pytest.raises(BadRequestError) as refusal:
        create(client, config=limited(host))
    assert "allowed_hosts" in str(refusal.value)


def test_packages_are_answered_as_they_were_asked_for(client):
    packages = {"type": "packages", "pip": ["sqlalchemy==2.0.30"], "npm": ["@types/node@20"], "apt": ["graphviz"]}
    environment = conforms(create(client, config={"type": "cloud", "packages": packages}))
    assert raw(environment)["config"]["packages"] == NO_PACKAGES | packages
    changed = client.beta.environments.update(
        environment.id, config={"type": "cloud", "packages": {"type": "packages", "npm": []}}
    )
    assert raw(changed)["config"]["packages"] == NO_PACKAGES | packages | {"npm": []}


@pytest.mark.parametrize("entry", ["", "--index-url=http://example.com", "two words", "line\nbreak", "x" * 301])
def test_a_package_that_could_be_something_else_is_refused(client, entry):
    with pytest.raises(BadRequestError) as refusal:
        create(client, config={"type": "cloud", "packages": {"type": "packages", "pip": ["pandas", entry]}})
    assert "packages.pip.1" in str(refusal.value)


def test_packages_under_limited_networking_need_the_package_managers(client):
    packages = {"type": "packages", "pip": ["pandas"]}
    with pytest.raises(BadRequestError) as refusal:
        create(client, config=limited("example.com") | {"packages": packages})
    assert "allow_package_managers" in str(refusal.value)
    create(client, config=limited(allow_package_managers=True) | {"packages": packages})


def test_a_retrieved_environment_is_the_created_one(client):
    environment = create(client)
    assert raw(client.beta.environments.retrieve(environment.id)) == raw(environment)


def test_an_update_keeps_what_it_leaves_out(client):
    environment = create(client, description="D", config=limited("example.com", allow_package_managers=True))
    updated = conforms(client.beta.environments.update(environment.id, name="Renamed"))
    assert (updated.name, updated.description) == ("Renamed", "D")
    assert raw(updated)["config"] == raw(environment)["config"]
    change = {"type": "cloud", "networking": {"type": "limited", "allow_mcp_servers": True}}
    networking = raw(client.beta.environments.update(environment.id, config=change))["config"]["networking"]
    assert networking == {
        "type": "limited",
        "allowed_hosts": ["example.com"],
        "allow_mcp_servers": True,
        "allow_package_managers": True,
    }
    change = {"type": "cloud", "networking": {"type": "unrestricted"}}
    networking = raw(client.beta.environments.update(environment.id, config=change))["config"]["networking"]
    assert networking == {"type": "unrestricted"}


def test_metadata_is_patched_and_an_empty_string_removes_a_key(client):
    environment = create(client, metadata={"a": "1", "b": "2", "c": "3"})
    updated = client.beta.environments.update(environment.id, metadata={"a": "", "b": None, "d": "4"})
    assert updated.metadata == {"c": "3", "d": "4"}


def test_too_much_metadata_is_refused_with_its_code(client):
    with pytest.raises(BadRequestError) as refusal:
        create(client, metadata={f"key{number}": "value" for number in range(17)})
    assert refusal.value.body["error"]["details"]["error_code"] == "invalid_metadata"


def test_the_description_can_be_cleared(client):
    environment = create(client, description="D")
    assert client.beta.environments.update(environment.id, description=None).description is None


def test_an_archived_environment_is_read_only(client, make_agent):
    environment = create(client)
    assert conforms(client.beta.environments.archive(environment.id)).archived_at is not None
    with pytest.raises(BadRequestError) as refusal:
        client.beta.environments.update(environment.id, name="Renamed")
    assert refusal.value.body["error"]["details"]["error_code"] == "environment_archived"
    with pytest.raises(BadRequestError):
        client.beta.sessions.create(agent=make_agent("greeting").id, environment_id=environment.id)


def test_sessions_of_an_archived_environment_go_on(client, make_agent):
    environment = create(client)
    session = client.beta.sessions.create(agent=make_agent("shell").id, environment_id=environment.id)
    client.beta.environments.archive(environment.id)
    assert said(finished(run_turn(client, session, "echo on"))) != []
    client.beta.sessions.delete(session.id)


def test_an_environment_is_deleted_once_no_session_needs_it(client, make_agent):
    environment = create(client)
    session = client.beta.sessions.create(agent=make_agent("greeting").id, environment_id=environment.id)
    with pytest.raises(APIStatusError) as refusal:
        client.beta.environments.delete(environment.id)
    assert refusal.value.status_code in (400, 409)
    client.beta.sessions.delete(session.id)
    deleted = conforms(client.beta.environments.delete(environment.id))
    assert raw(deleted) == {"id": environment.id, "type": "environment_deleted"}
    with pytest.raises(NotFoundError):
        client.beta.environments.retrieve(environment.id)


def test_two_environments_may_have_the_same_name(client):
    assert create(client, name="Twin").id != create(client, name="Twin").id


def test_the_list_is_paged_and_hides_the_archived(client):
    made = [create(client, name=f"number {number}") for number in range(3)]
    client.beta.environments.archive(made[1].id)

    def listed(**filters):
        ours = {environment.id: index for index, environment in enumerate(made)}
        found = client.beta.environments.list(**filters)
        return [ours[environment.id] for environment in found if environment.id in ours]

    assert listed(limit=2) == [2, 0]
    assert listed(limit=2, include_archived=True) == [2, 1, 0]
