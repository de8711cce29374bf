"""Tools that ask first: allow, deny, and what is refused."""

from __future__ import annotations

import pytest
from anthropic import BadRequestError

from driver import (
    ANSWERED,
    ASKING_TURN,
    RESUMED,
    Conversation,
    all_of,
    allow,
    answer,
    audible,
    deny,
    finished,
    heard,
    only,
    raw,
    run_turn,
    said,
    text_of,
    toolset,
    types,
    waits_for,
)

ASKING = [toolset("always_ask")]


def test_a_call_that_asks_leaves_the_session_waiting_and_runs_nothing(client, start):
    session = start("shell", tools=ASKING)
    events = run_turn(client, session, "echo hello")
    assert heard(events) == audible(ASKING_TURN)
    use = only(events, "agent.tool_use")
    assert use.evaluated_permission == "ask"
    assert raw(use)["evaluation"] == {"type": "always_ask"}
    assert waits_for(events) == [use.id]
    assert client.beta.sessions.retrieve(session.id).status == "idle"


def test_an_allowed_call_runs(client, start):
    session = start("shell", tools=ASKING)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("echo hello"), "agent.tool_use")
        (echo,) = conversation.send(allow(use.id))
        assert (echo.type, echo.tool_use_id, echo.result) == ("user.tool_confirmation", use.id, "allow")
        events = finished(conversation.until("session.status_idle"))
    assert heard(events) == audible(["user.tool_confirmation", *RESUMED, "agent.tool_result", *ANSWERED])
    result = only(events, "agent.tool_result")
    assert result.tool_use_id == use.id
    assert text_of(result).strip() == "hello"
    assert said(events)[0].strip() == "Result: hello"


def test_a_denied_call_does_not_run_and_the_model_reads_why(client, start):
    session = start("denied", tools=ASKING)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("Clean up."), "agent.tool_use")
        (echo,) = conversation.send(deny(use.id, "No: keep your hands off that."))
        assert echo.deny_message == "No: keep your hands off that."
        events = finished(conversation.until("session.status_idle"))
    assert heard(events) == audible(["user.tool_confirmation", *RESUMED, "agent.tool_result", *ANSWERED])
    result = only(events, "agent.tool_result")
    assert result.tool_use_id == use.id
    assert result.is_error is True
    assert "keep your hands off" in text_of(result)
    assert said(events) == ["Understood."]


def test_a_call_can_be_denied_without_a_reason(client, start):
    session = start("refused_tool", tools=ASKING)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("Try."), "agent.tool_use")
        conversation.send(deny(use.id))
        events = finished(conversation.until("session.status_idle"))
    assert only(events, "agent.tool_result").is_error is True
    assert "it ran" not in text_of(only(events, "agent.tool_result"))


def test_two_calls_that_ask_are_answered_one_at_a_time(client, start):
    session = start("two_commands", tools=ASKING)
    with Conversation(client, session.id) as conversation:
        events = conversation.turn("Both, please.")
        first, second = all_of(events, "agent.tool_use")
        assert waits_for(events) == [first.id, second.id]

        conversation.send(allow(first.id))
        events = conversation.until("session.status_idle")
        assert waits_for(events) == [second.id]
        assert "session.status_running" not in types(events), "it still waits"

        conversation.send(deny(second.id))
        finished(conversation.until("session.status_idle"))
        results = {result.tool_use_id: result for result in all_of(conversation.seen, "agent.tool_result")}
    assert results.keys() == {first.id, second.id}
    assert text_of(results[first.id]).strip() == "first"
    assert results[second.id].is_error is True


def test_two_calls_that_ask_are_answered_in_one_request(client, start):
    session = start("two_commands", tools=ASKING)
    with Conversation(client, session.id) as conversation:
        first, second = all_of(conversation.turn("Both, please."), "agent.tool_use")
        conversation.send(allow(first.id), allow(second.id))
        events = finished(conversation.until("session.status_idle"))
    assert len(all_of(events, "agent.tool_result")) == 2


def test_a_reason_is_refused_with_allow(client, start):
    session = start("shell", tools=ASKING)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("echo hello"), "agent.tool_use")
        with pytest.raises(BadRequestError) as refusal:
            conversation.send({**allow(use.id), "deny_message": "because"})
        assert "deny_message" in str(refusal.value)
        conversation.send(allow(use.id))
        finished(conversation.until("session.status_idle"))


@pytest.mark.parametrize("id", ["sevt_01111111111111111111111", "nonsense"])
def test_a_confirmation_of_an_unknown_call_is_refused(client, start, id):
    session = start("shell", tools=ASKING)
    run_turn(client, session, "echo hello")
    with pytest.raises(BadRequestError):
        client.beta.sessions.events.send(session.id, events=[allow(id)])


def test_a_confirmation_of_a_call_that_did_not_ask_is_refused(client, start):
    session = start("shell")
    use = only(run_turn(client, session, "echo hello"), "agent.tool_use")
    for event in (allow(use.id), deny(use.id)):
        with pytest.raises(BadRequestError):
            client.beta.sessions.events.send(session.id, events=[event])


def test_a_second_confirmation_of_the_same_call_is_refused(client, start):
    session = start("shell", tools=ASKING)
    with Conversation(client, session.id) as conversation:
        use = only(conversation.turn("echo hello"), "agent.tool_use")
        conversation.send(allow(use.id))
        finished(conversation.until("session.status_idle"))
        with pytest.raises(BadRequestError):
            conversation.send(deny(use.id))


def test_a_call_that_asks_cannot_be_answered_like_a_custom_tool(client, start):
    session = start("shell", tools=ASKING)
    use = only(run_turn(client, session, "echo hello"), "agent.tool_use")
    with pytest.raises(BadRequestError):
        client.beta.sessions.events.send(session.id, events=[answer(use.id, "mine")])


def test_the_policy_of_one_tool_overrides_the_default(client, start):
    bash = {"name": "bash", "permission_policy": {"type": "always_allow"}}
    session = start("shell", tools=[toolset("always_ask", [bash])])
    (config,) = raw(session)["agent"]["tools"][0]["configs"]
    assert config == {"type": "bash", "enabled": True, **bash}
    assert only(finished(run_turn(client, session, "echo hello")), "agent.tool_use").evaluated_permission == "allow"


def test_a_tool_that_is_switched_off_is_denied_and_the_turn_goes_on(client, start):
    session = start("refused_tool", tools=[toolset(configs=[{"name": "bash", "enabled": False}])])
    events = finished(run_turn(client, session, "Try."))
    use, result = only(events, "agent.tool_use"), only(events, "agent.tool_result")
    assert use.evaluated_permission == "deny"
    assert raw(use).get("evaluation") is None
    assert result.is_error is True
    assert "it ran" not in text_of(result)
    assert said(events) == ["I have no shell."]
