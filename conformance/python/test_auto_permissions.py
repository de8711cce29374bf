"""The policy `auto`: each call is judged. The server of the suite judges by the rules of ../stead.toml."""

from __future__ import annotations

import pytest
from anthropic import BadRequestError
from anthropic.types import beta

from driver import (
    ANSWERED,
    ASKING_TURN,
    RESUMED,
    Conversation,
    all_of,
    allow,
    audible,
    conforms,
    deny,
    finished,
    heard,
    history,
    only,
    raw,
    run_turn,
    said,
    text_of,
    toolset,
    waits_for,
)

AUTO = [toolset("auto")]
POLICY_IS_TYPED = hasattr(beta, "BetaManagedAgentsAutoPolicy")

ONE_CALL = [
    "user.message",
    *RESUMED,
    "span.model_request_start",
    "agent.tool_use",
    "span.model_request_end",
    "agent.tool_result",
    *ANSWERED,
]


def judged(permission, reason=None):
    reason = {} if reason is None else {"reason_code": reason}
    return {"type": "auto", "evaluated_permission": {"type": permission, **reason}}


def test_the_policy_is_answered_as_it_was_given(client, start):
    bash = {"name": "bash", "permission_policy": {"type": "auto"}}
    session = start("shell", tools=[toolset(configs=[bash])])
    (tools,) = raw(session)["agent"]["tools"]
    assert tools["default_config"]["permission_policy"] == {"type": "always_allow"}
    assert tools["configs"] == [{"type": "bash", "enabled": True, **bash}]
    (tools,) = raw(start("shell", tools=AUTO))["agent"]["tools"]
    assert tools["default_config"]["permission_policy"] == {"type": "auto"}
    if POLICY_IS_TYPED:
        conforms(session)


@pytest.mark.parametrize("command", ["ls /", "echo token-allow"])
def test_a_call_that_is_judged_safe_runs(client, start, command):
    session = start("shell", tools=AUTO)
    events = finished(run_turn(client, session, command))
    assert heard(events) == audible(ONE_CALL)
    use, result = conforms(only(events, "agent.tool_use")), only(events, "agent.tool_result")
    assert use.evaluated_permission == "allow"
    assert raw(use)["evaluation"] == judged("allow")
    assert result.tool_use_id == use.id
    assert not result.is_error
    for answer in (allow(use.id), deny(use.id)):
        with pytest.raises(BadRequestError):
            client.beta.sessions.events.send(session.id, events=[answer])


@pytest.mark.parametrize("command", ["rm -rf /", "echo token-deny"])
def test_a_call_that_is_judged_dangerous_does_not_run_and_the_turn_goes_on(client, start, command):
    session = start("shell", tools=AUTO)
    events = finished(run_turn(client, session, command))
    assert heard(events) == audible(ONE_CALL)
    use, result = conforms(only(events, "agent.tool_use")), only(events, "agent.tool_result")
    assert use.evaluated_permission == "deny"
    assert raw(use)["evaluation"] == judged("deny", "high_risk")
    assert (result.tool_use_id, result.is_error) == (use.id, True)
    assert text_of(result) == "Permission to use bash has been denied."
    assert said(events) == ["Result: Permission to use bash has been denied."]


def test_a_denial_cannot_be_overridden(client, start):
    session = start("shell", tools=AUTO)
    use = only(finished(run_turn(client, session, "rm -rf /")), "agent.tool_use")
    before = len(history(client, session))
    for answer in (allow(use.id), deny(use.id)):
        with pytest.raises(BadRequestError):
            client.beta.sessions.events.send(session.id, events=[answer])
    assert len(history(client, session)) == before


@pytest.mark.parametrize(
    ("command", "printed"), [("mkdir made && ls -d made", "made"), ("echo token-ask", "token-ask")]
)
def test_a_call_that_nobody_can_judge_asks_and_runs_once_it_is_allowed(client, start, command, printed):
    session = start("shell", tools=AUTO)
    with Conversation(client, session.id) as conversation:
        events = conversation.turn(command)
        assert heard(events) == audible(ASKING_TURN)
        use = conforms(only(events, "agent.tool_use"))
        assert use.evaluated_permission == "ask"
        assert raw(use)["evaluation"] == judged("ask", "indeterminate")
        assert waits_for(events) == [use.id]
        conversation.send(allow(use.id))
        events = finished(conversation.until("session.status_idle"))
    assert heard(events) == audible(["user.tool_confirmation", *RESUMED, "agent.tool_result", *ANSWERED])
    assert text_of(only(events, "agent.tool_result")).strip() == printed


def test_a_call_that_nobody_can_judge_does_not_run_if_it_is_denied(client, start):
    session = start("shell", tools=AUTO)
    with Conversation(client, session.id) as conversation:
        (asked,) = waits_for(conversation.turn("echo token-ask"))
        conversation.send(deny(asked, "No: keep your hands off that."))
        result = only(finished(conversation.until("session.status_idle")), "agent.tool_result")
    assert result.is_error is True
    assert "keep your hands off" in text_of(result)


def test_the_calls_of_one_answer_are_judged_each_by_itself(client, start):
    session = start("three_commands", tools=AUTO)
    with Conversation(client, session.id) as conversation:
        events = conversation.turn("All three, please.")
        safe, unsure, dangerous = all_of(events, "agent.tool_use")
        assert [raw(use)["evaluation"] for use in (safe, unsure, dangerous)] == [
            judged("allow"),
            judged("ask", "indeterminate"),
            judged("deny", "high_risk"),
        ]
        assert waits_for(events) == [unsure.id]
        settled = {result.tool_use_id: bool(result.is_error) for result in all_of(events, "agent.tool_result")}
        assert settled == {safe.id: False, dangerous.id: True}
        conversation.send(allow(unsure.id))
        events = finished(conversation.until("session.status_idle"))
    assert only(events, "agent.tool_result").tool_use_id == unsure.id
    assert said(events) == ["All three are settled."]
