"""Vaults and credentials: what is told of them, what never is, and their ends."""

from __future__ import annotations

import uuid

import pytest
from anthropic import APIStatusError, BadRequestError, ConflictError, NotFoundError

from driver import conforms, raw

SERVER = "https://mcp.example.com/mcp"
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture
def vault(client):
    made = client.beta.vaults.create(display_name="For tests")
    yield made
    client.beta.vaults.delete(made.id)


def secret() -> str:
    return f"s3cr3t-{uuid.uuid4().hex}"


def bearer(url=SERVER, **fields):
    return {"type": "static_bearer", "mcp_server_url": url, "token": secret(), **fields}


def variable(name="API_KEY", **fields):
    networking = {"type": "limited", "allowed_hosts": ["api.example.com", "*.example.org"]}
    return {
        "type": "environment_variable",
        "secret_name": name,
        "secret_value": secret(),
        "networking": networking,
        **fields,
    }


def oauth(url=SERVER, **fields):
    refresh = {
        "client_id": "client-1",
        "refresh_token": secret(),
        "token_endpoint": "https://auth.example.com/token",
        "token_endpoint_auth": {"type": "client_secret_post", "client_secret": secret()},
        "scope": "read write",
    }
    return {
        "type": "mcp_oauth",
        "mcp_server_url": url,
        "access_token": secret(),
        "expires_at": LATER,
        "refresh": refresh,
        **fields,
    }


def create(client, vault, auth, **fields):
    return client.beta.vaults.credentials.create(vault.id, auth=auth, **fields)


def test_a_vault_is_made_changed_archived_and_deleted(client):
    vault = conforms(client.beta.vaults.create(display_name="Mine", metadata={"team": "blue", "plan": "a"}))
    assert vault.id.startswith("vlt_")
    assert raw(vault)["type"] == "vault" and vault.archived_at is None
    changed = client.beta.vaults.update(vault.id, display_name="Ours", metadata={"plan": None, "cost": "1"})
    assert (changed.display_name, changed.metadata) == ("Ours", {"team": "blue", "cost": "1"})
    assert changed.updated_at >= vault.updated_at and changed.created_at == vault.created_at
    same = client.beta.vaults.update(vault.id, display_name="Ours")
    assert same.updated_at == changed.updated_at, "nothing has changed"
    assert raw(client.beta.vaults.retrieve(vault.id)) == raw(same)
    archived = conforms(client.beta.vaults.archive(vault.id))
    assert archived.archived_at is not None
    assert raw(client.beta.vaults.archive(vault.id)) == raw(archived), "once is enough"
    with pytest.raises(BadRequestError):
        client.beta.vaults.update(vault.id, display_name="Again")
    deleted = client.beta.vaults.delete(vault.id)
    assert raw(deleted) == {"id": vault.id, "type": "vault_deleted"}
    with pytest.raises(NotFoundError):
        client.beta.vaults.retrieve(vault.id)


def test_lists_are_newest_first_and_leave_archived_vaults_out(client):
    made = [client.beta.vaults.create(display_name=f"List {index}") for index in range(3)]
    client.beta.vaults.archive(made[1].id)
    listed = [vault.id for vault in client.beta.vaults.list(limit=1)]
    assert [listed.index(made[2].id), listed.index(made[0].id)] == [0, 1]
    assert made[1].id not in listed
    assert made[1].id in [vault.id for vault in client.beta.vaults.list(include_archived=True)]
    for vault in made:
        client.beta.vaults.delete(vault.id)


@pytest.mark.parametrize("auth", [bearer(), variable(), oauth()], ids=["static_bearer", "environment_variable", "mcp_oauth"])
def test_a_credential_is_read_back_without_its_secrets(client, wire, vault, auth):
    credential = conforms(create(client, vault, auth, display_name="One", metadata={"a": "b"}))
    assert credential.id.startswith("vcrd_") and credential.vault_id == vault.id
    read = wire.get(f"/v1/vaults/{vault.id}/credentials/{credential.id}").text
    listed = wire.get(f"/v1/vaults/{vault.id}/credentials").text
    secrets = [auth.get("token"), auth.get("secret_value"), auth.get("access_token")]
    refresh = auth.get("refresh", {})
    secrets += [refresh.get("refresh_token"), refresh.get("token_endpoint_auth", {}).get("client_secret")]
    for hidden in filter(None, secrets):
        assert hidden not in read and hidden not in listed and hidden not in credential.to_json()
    told = raw(credential)["auth"]
    assert told["type"] == auth["type"]
    for name in ("mcp_server_url", "secret_name", "networking"):
        assert told.get(name) == auth.get(name)
    assert raw(client.beta.vaults.credentials.retrieve(credential.id, vault_id=vault.id)) == raw(credential)


def test_an_oauth_credential_tells_how_it_is_refreshed(client, vault):
    told = raw(create(client, vault, oauth()))["auth"]
    assert told["expires_at"].startswith("2099-01-01T00:00:00")
    assert told["refresh"] == {
        "client_id": "client-1",
        "token_endpoint": "https://auth.example.com/token",
        "token_endpoint_auth": {"type": "client_secret_post"},
        "scope": "read write",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"header": True, "body": True}),
        ({"injection_location": {"header": True}}, {"header": True, "body": False}),
        ({"injection_location": {"body": True}}, {"header": False, "body": True}),
    ],
)
def test_places_that_are_not_named_are_none_unless_none_is(client, vault, given, expected):
    assert raw(create(client, vault, variable(**given)))["auth"]["injection_location"] == expected


@pytest.mark.parametrize("given", [{}, {"header": False, "body": False}, None, {"header": None}])
def test_places_that_come_to_nothing_are_refused(client, vault, given):
    with pytest.raises(BadRequestError) as refusal:
        create(client, vault, variable(injection_location=given))
    assert "injection_location" in str(refusal.value)


def test_an_update_changes_secrets_and_rules_and_nothing_else(client, vault):
    credential = create(client, vault, variable())
    auth = {"type": "environment_variable", "secret_value": secret(), "networking": {"type": "unrestricted"}}
    changed = client.beta.vaults.credentials.update(credential.id, vault_id=vault.id, auth=auth, display_name="Two")
    told = raw(conforms(changed))
    assert told["auth"]["networking"] == {"type": "unrestricted"} and told["display_name"] == "Two"
    for auth in (
        {"type": "static_bearer", "token": secret()},
        {"type": "environment_variable", "secret_name": "OTHER"},
        {"type": "environment_variable", "injection_location": {"header": False, "body": False}},
    ):
        with pytest.raises(BadRequestError):
            client.beta.vaults.credentials.update(credential.id, vault_id=vault.id, auth=auth)


def test_one_server_has_one_credential_until_that_is_archived(client, vault):
    first = create(client, vault, bearer())
    for same in (SERVER, "HTTPS://MCP.example.com:443/mcp/"):
        with pytest.raises(ConflictError):
            create(client, vault, oauth(same))
    create(client, vault, bearer("https://mcp.example.com/other"))
    archived = conforms(client.beta.vaults.credentials.archive(first.id, vault_id=vault.id))
    assert archived.archived_at is not None
    second = create(client, vault, bearer())
    with pytest.raises(BadRequestError):
        client.beta.vaults.credentials.update(first.id, vault_id=vault.id, display_name="No more")
    listed = [one.id for one in client.beta.vaults.credentials.list(vault.id)]
    assert second.id in listed and first.id not in listed
    everything = client.beta.vaults.credentials.list(vault.id, include_archived=True)
    assert first.id in [one.id for one in everything]
    deleted = client.beta.vaults.credentials.delete(second.id, vault_id=vault.id)
    assert raw(deleted) == {"id": second.id, "type": "vault_credential_deleted"}
    create(client, vault, bearer())


def test_a_vault_holds_twenty_active_credentials(client, vault):
    made = [create(client, vault, variable(f"NAME_{index}")) for index in range(20)]
    with pytest.raises(APIStatusError) as refusal:
        create(client, vault, variable("NAME_20"))
    assert refusal.value.status_code == 400 and "20" in str(refusal.value)
    client.beta.vaults.credentials.archive(made[0].id, vault_id=vault.id)
    create(client, vault, variable("NAME_20"))


def test_credentials_go_with_their_vault(client):
    vault = client.beta.vaults.create(display_name="Short-lived")
    credential = create(client, vault, bearer())
    client.beta.vaults.archive(vault.id)
    assert client.beta.vaults.credentials.retrieve(credential.id, vault_id=vault.id).archived_at is not None
    with pytest.raises(BadRequestError):
        create(client, vault, variable())
    client.beta.vaults.delete(vault.id)
    with pytest.raises(NotFoundError):
        client.beta.vaults.credentials.retrieve(credential.id, vault_id=vault.id)


def test_a_credential_is_found_in_its_own_vault_alone(client, vault):
    other = client.beta.vaults.create(display_name="Other")
    credential = create(client, vault, bearer())
    for call in ("retrieve", "archive", "delete"):
        with pytest.raises(NotFoundError):
            getattr(client.beta.vaults.credentials, call)(credential.id, vault_id=other.id)
    client.beta.vaults.delete(other.id)


def test_a_session_names_the_vaults_it_may_use(client, vault, start):
    session = start("greeting", vault_ids=[vault.id])
    assert raw(client.beta.sessions.retrieve(session.id))["vault_ids"] == [vault.id]
    with pytest.raises(BadRequestError):
        client.beta.sessions.update(session.id, vault_ids=[])


def test_a_session_needs_vaults_that_can_be_used(client, start):
    with pytest.raises(NotFoundError):
        start("greeting", vault_ids=["vlt_nowhere"])
    gone = client.beta.vaults.create(display_name="Archived")
    client.beta.vaults.archive(gone.id)
    with pytest.raises(BadRequestError) as refusal:
        start("greeting", vault_ids=[gone.id])
    assert gone.id in str(refusal.value)
    client.beta.vaults.delete(gone.id)
