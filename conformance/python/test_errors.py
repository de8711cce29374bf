"""Refusals: the right status, the right envelope, and a message that helps."""

from __future__ import annotations

import os
from typing import Union, get_args, get_origin

import httpx
import pytest
from anthropic import Anthropic, AuthenticationError, BadRequestError, NotFoundError
from anthropic.types import AnthropicBetaParam

from driver import BETA, WAIT

NOTHING = {
    "agents": "agent_011CZkYpogX7uDKUyvBTophP",
    "environments": "env_011CZkZ9X2dpNyB7HsEFoRfW",
    "sessions": "sesn_011CZkZAtmR3yMPDzynEDxu7",
    "files": "file_011CZkZAtmR3yMPDzynEDxu7",
}


def refused(answer: httpx.Response, status: int, kind: str) -> str:
    """Checks the envelope and gives back the message."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["type"] == "error"
    assert body["error"]["type"] == kind
    assert body["request_id"] == answer.headers["request-id"]
    assert body["request_id"].startswith("req_")
    return body["error"]["message"]


def invalid(answer: httpx.Response) -> str:
    return refused(answer, 400, "invalid_request_error")


def without(wire: httpx.Client, header: str, method: str, url: str) -> httpx.Response:
    request = wire.build_request(method, url)
    del request.headers[header]
    return wire.send(request)


def agent_body(**fields):
    return {"name": "Helper", "model": "script/greeting", **fields}


# === bodies ===


@pytest.mark.parametrize("body", ["{", "", "[1, 2", '{"name": "x",}', "\x00"])
def test_malformed_json_is_refused(wire, body):
    invalid(wire.post("/v1/agents", content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize("body", ["[]", "null", '"text"', "7"])
def test_a_body_that_is_no_object_is_refused(wire, body):
    invalid(wire.post("/v1/agents", content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (agent_body(name=5), "name"),
        (agent_body(name=""), "name"),
        (agent_body(name="x" * 257), "name"),
        (agent_body(name=None), "name"),
        (agent_body(model=5), "model"),
        (agent_body(model={"id": "script/greeting", "effort": "huge"}), "model.effort"),
        (agent_body(system=["Be brief."]), "system"),
        (agent_body(description={"text": "x"}), "description"),
        (agent_body(tools="all"), "tools"),
        (agent_body(tools=[5]), "tools.0"),
        (agent_body(metadata=[]), "metadata"),
        (agent_body(metadata={"key": 5}), "metadata.key"),
        (agent_body(metadata={"k" * 65: "value"}), "metadata"),
        (agent_body(metadata={"key": "v" * 513}), "metadata.key"),
        (agent_body(metadata={str(number): "value" for number in range(17)}), "metadata"),
        (agent_body(colour="red"), "colour"),
    ],
)
def test_a_wrong_value_is_refused_and_its_field_is_named(wire, body, field):
    assert field in invalid(wire.post("/v1/agents", json=body))


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/agents", {"model": "script/greeting"}, "name"),
        ("/v1/agents", {"name": "Helper"}, "model"),
        ("/v1/agents", agent_body(tools=[{"name": "x"}]), "tools.0.type"),
        (
            "/v1/agents",
            agent_body(tools=[{"type": "custom", "description": "d", "input_schema": {"type": "object"}}]),
            "tools.0.name",
        ),
        (
            "/v1/agents",
            agent_body(tools=[{"type": "custom", "name": "x", "input_schema": {"type": "object"}}]),
            "tools.0.description",
        ),
        ("/v1/agents", agent_body(tools=[{"type": "custom", "name": "x", "description": "d"}]), "tools.0.input_schema"),
        ("/v1/environments", {}, "name"),
        ("/v1/environments", {"name": "x", "config": {}}, "config.type"),
        ("/v1/sessions", {"environment_id": NOTHING["environments"]}, "agent"),
        ("/v1/sessions", {"agent": NOTHING["agents"]}, "environment_id"),
    ],
)
def test_a_missing_field_is_refused_and_named(wire, path, body, field):
    assert field in invalid(wire.post(path, json=body))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "events"),
        ({"events": []}, "events"),
        ({"events": "hello"}, "events"),
        ({"events": [{}]}, "events.0.type"),
        ({"events": [{"type": "user.shout"}]}, "events.0.type"),
        ({"events": [{"type": "agent.message", "content": []}]}, "events.0.type"),
        ({"events": [{"type": "user.message"}]}, "events.0.content"),
        ({"events": [{"type": "user.message", "content": []}]}, "events.0.content"),
        ({"events": [{"type": "user.message", "content": [{"type": "text"}]}]}, "events.0.content.0.text"),
        ({"events": [{"type": "user.message", "content": [{"type": "redacted"}]}]}, "events.0.content.0"),
        ({"events": [{"type": "user.tool_confirmation", "result": "allow"}]}, "events.0.tool_use_id"),
        ({"events": [{"type": "user.tool_confirmation", "tool_use_id": "x"}]}, "events.0.result"),
        ({"events": [{"type": "user.tool_confirmation", "tool_use_id": "x", "result": "maybe"}]}, "events.0.result"),
        ({"events": [{"type": "user.custom_tool_result"}]}, "events.0.custom_tool_use_id"),
    ],
)
def test_events_that_are_none_are_refused_and_the_field_is_named(wire, start, body, field):
    assert field in invalid(wire.post(f"/v1/sessions/{start('greeting').id}/events", json=body))


def test_the_sdk_shows_what_was_refused(client):
    with pytest.raises(BadRequestError) as refusal:
        client.beta.agents.create(name="", model="script/greeting")
    assert refusal.value.status_code == 400
    assert refusal.value.request_id.startswith("req_")
    assert "name" in refusal.value.message


def test_an_unknown_model_is_refused_and_the_configured_ones_are_named(client):
    with pytest.raises(BadRequestError) as refusal:
        client.beta.agents.create(name="Helper", model="no-such-model")
    message = refusal.value.body["error"]["message"]
    assert "no-such-model" in message
    assert "script/" in message


# === ids ===


@pytest.mark.parametrize("kind", ["agents", "environments", "sessions", "files"])
@pytest.mark.parametrize("id", ["real looking", "nonsense", "of another kind"])
def test_an_unknown_id_is_not_found(wire, kind, id):
    other = NOTHING["files" if kind == "agents" else "agents"]
    id = {"real looking": NOTHING[kind], "nonsense": "nonsense", "of another kind": other}[id]
    refused(wire.get(f"/v1/{kind}/{id}"), 404, "not_found_error")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/agents/{agents}"),
        ("POST", "/v1/agents/{agents}/archive"),
        ("GET", "/v1/agents/{agents}/versions"),
        ("POST", "/v1/environments/{environments}"),
        ("POST", "/v1/environments/{environments}/archive"),
        ("DELETE", "/v1/environments/{environments}"),
        ("POST", "/v1/sessions/{sessions}"),
        ("POST", "/v1/sessions/{sessions}/archive"),
        ("DELETE", "/v1/sessions/{sessions}"),
        ("GET", "/v1/sessions/{sessions}/events"),
        ("GET", "/v1/sessions/{sessions}/events/stream"),
        ("GET", "/v1/sessions/{sessions}/stream"),
        ("GET", "/v1/sessions/{sessions}/resources"),
        ("GET", "/v1/sessions/{sessions}/threads"),
        ("GET", "/v1/files/{files}/content"),
        ("DELETE", "/v1/files/{files}"),
    ],
)
def test_every_route_of_an_unknown_object_is_not_found(wire, method, path):
    body = {"json": {}} if method == "POST" else {}
    refused(wire.request(method, path.format(**NOTHING), **body), 404, "not_found_error")


def test_a_path_that_is_no_route_is_not_found_in_the_same_envelope(wire):
    refused(wire.get("/v1/nonsense"), 404, "not_found_error")


def test_the_sdk_raises_not_found(client):
    with pytest.raises(NotFoundError) as missing:
        client.beta.sessions.retrieve(NOTHING["sessions"])
    assert missing.value.request_id.startswith("req_")


# === headers ===


@pytest.mark.parametrize(
    "path", ["agents", "environments", "sessions", f"sessions/{NOTHING['sessions']}/events/stream"]
)
def test_without_the_beta_header_there_is_no_such_route(wire, path):
    refused(without(wire, "anthropic-beta", "GET", f"/v1/{path}"), 404, "not_found_error")


def test_a_session_that_exists_has_no_stream_without_the_beta_header(wire, start):
    refused(
        without(wire, "anthropic-beta", "GET", f"/v1/sessions/{start('greeting').id}/events/stream"),
        404,
        "not_found_error",
    )


def test_an_unknown_beta_is_refused_and_named(client, wire):
    message = invalid(wire.get("/v1/agents", headers={"anthropic-beta": f"{BETA},time-travel-2026-01-01"}))
    assert "Unexpected value(s) `time-travel-2026-01-01` for the `anthropic-beta` header" in message
    with pytest.raises(BadRequestError):
        client.beta.agents.list(betas=["time-travel-2026-01-01"])


def betas_that_the_sdk_knows() -> list[str]:
    known: list[str] = []
    for part in get_args(AnthropicBetaParam):
        known += [value for value in get_args(part) if isinstance(value, str)]
    assert get_origin(AnthropicBetaParam) is Union and BETA in known
    return known


def test_every_beta_that_the_sdk_knows_is_taken_beside_the_right_one(wire):
    def status(beta: str) -> int:
        return wire.get("/v1/agents?limit=1", headers={"anthropic-beta": f"{beta},{BETA}"}).status_code

    assert {beta: status(beta) for beta in betas_that_the_sdk_knows() if status(beta) != 200} == {}


def test_betas_may_be_spread_over_headers_and_spaces(wire):
    assert (
        wire.get("/v1/agents?limit=1", headers={"anthropic-beta": f"files-api-2025-04-14, {BETA}"}).status_code == 200
    )
    with httpx.Client(base_url=wire.base_url, timeout=WAIT, trust_env=False) as plain:
        twice = [
            (name, value)
            for name, value in wire.headers.items()
            if name in ("x-api-key", "authorization", "anthropic-version")
        ]
        twice += [("anthropic-beta", "files-api-2025-04-14"), ("anthropic-beta", BETA)]
        assert plain.get("/v1/agents?limit=1", headers=twice).status_code == 200


def test_a_wrong_key_is_refused_in_either_header(wire):
    for header in ({"x-api-key": "wrong"}, {"authorization": "Bearer wrong"}):
        with httpx.Client(base_url=wire.base_url, timeout=WAIT, trust_env=False) as plain:
            headers = {"anthropic-version": "2023-06-01", "anthropic-beta": BETA, **header}
            refused(plain.get("/v1/agents", headers=headers), 401, "authentication_error")


def test_no_key_is_refused(wire):
    with httpx.Client(base_url=wire.base_url, timeout=WAIT, trust_env=False) as plain:
        headers = {"anthropic-version": "2023-06-01", "anthropic-beta": BETA}
        refused(plain.get("/v1/agents", headers=headers), 401, "authentication_error")


def test_the_sdk_raises_authentication_error_for_a_wrong_key():
    with pytest.raises(AuthenticationError):
        Anthropic(api_key="wrong", max_retries=0, timeout=WAIT).beta.agents.list()


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize("scheme", ["x-api-key", "bearer"])
def test_either_header_carries_the_key_under_either_version(wire, version, scheme):
    key = os.environ["ANTHROPIC_API_KEY"]
    header = {"x-api-key": key} if scheme == "x-api-key" else {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=wire.base_url, timeout=WAIT, trust_env=False) as plain:
        headers = {"anthropic-version": version, "anthropic-beta": BETA, **header}
        assert plain.get("/v1/agents", headers=headers).status_code == 200


def test_the_query_of_older_sdks_and_unknown_headers_change_nothing(wire):
    answer = wire.get("/v1/agents?beta=true&limit=1", headers={"x-stainless-helper": "testing"})
    assert answer.status_code == 200
    assert answer.headers["request-id"].startswith("req_")


def test_the_server_is_healthy_without_a_key(wire):
    with httpx.Client(base_url=wire.base_url, timeout=WAIT, trust_env=False) as plain:
        assert plain.get("/health").status_code == 200
