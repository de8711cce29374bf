"""Turns of sessions whose calls the SDK's own worker runs: what people say in between, and workers that come and go."""

from __future__ import annotations

import pytest

from driver import (
    WAIT,
    Conversation,
    all_of,
    allow,
    answer,
    custom_tool,
    deny,
    eventually,
    history,
    interrupt,
    only,
    said,
    text_of,
    toolset,
    waits_for,
)
from workers import process, served, serving

pytest.importorskip("anthropic.lib.environments", reason="this SDK has no worker")

LONG = 3 * WAIT
"""For turns of several calls, or with a lease to wait for."""


def results(events):
    return {result.tool_use_id: result for result in all_of(events, "user.tool_result")}


def test_every_tool_of_a_worker_works_on_its_own_files(client, place, key, start, tmp_path):
    session = start("elsewhere", environment_id=place.id)
    with serving(place, key, tmp_path), Conversation(client, session.id) as conversation:
        conversation.say("Make a list.")
        events = served(conversation, LONG)
    assert said(events) == ["All six agree."]
    uses = [use.id for use in all_of(events, "agent.tool_use")]
    assert sorted(results(events)) == sorted(uses), "each call has one result"
    assert not all_of(events, "agent.tool_result"), "none of the server's"
    lists = list(tmp_path.rglob("list.txt"))
    assert [path.read_text() for path in lists] == ["pears\ncherries\n"], "the files are the worker's"


def test_a_call_waits_for_its_confirmation_before_a_worker_runs_it(client, place, key, start, tmp_path):
    session = start("shell", tools=[toolset("always_ask")], environment_id=place.id)
    flag = tmp_path / "ran"
    with serving(place, key, tmp_path), Conversation(client, session.id) as conversation:
        asked = conversation.turn(f"echo ran | tee {flag}")
        use = only(asked, "agent.tool_use")
        assert (use.evaluated_permission, waits_for(asked)) == ("ask", [use.id])
        assert not flag.exists(), "nobody has allowed it"
        conversation.send(allow(use.id))
        events = served(conversation)
    assert flag.read_text() == "ran\n"
    assert text_of(results(events)[use.id]).strip() == "ran"


def test_a_denied_call_is_no_workers_and_the_model_reads_why(client, place, key, start, tmp_path):
    session = start("denied", tools=[toolset("always_ask")], environment_id=place.id)
    with serving(place, key, tmp_path), Conversation(client, session.id) as conversation:
        use = only(conversation.turn("Clean up."), "agent.tool_use")
        conversation.send(deny(use.id, "No: keep your hands off that."))
        events = served(conversation)
    assert said(events) == ["Understood."]


def test_a_client_and_a_worker_each_answer_their_own_calls(client, place, key, start, tmp_path):
    tools = [toolset(), custom_tool("get_weather")]
    session = start("weather_and_bash", tools=tools, environment_id=place.id)
    with serving(place, key, tmp_path), Conversation(client, session.id) as conversation:
        conversation.say("Tell me both.")
        custom = only(conversation.until("agent.custom_tool_use"), "agent.custom_tool_use")
        conversation.until("user.tool_result")
        conversation.send(answer(custom.id, "sunny"))
        events = served(conversation)
    assert said(events) == ["I know both."]
    whole = history(client, session)
    assert text_of(only(whole, "user.tool_result")).strip() == "from the sandbox"
    assert only(whole, "user.custom_tool_result").custom_tool_use_id == custom.id


def test_an_interrupt_ends_a_turn_whose_call_a_worker_runs(client, place, key, start, tmp_path):
    session = start("interrupted_shell", environment_id=place.id)
    begun = tmp_path / "begun"
    with serving(place, key, tmp_path), Conversation(client, session.id) as conversation:
        conversation.say(f"touch {begun}; sleep 2")
        eventually(begun.exists)
        conversation.send(interrupt())
        events = served(conversation)
        assert [result.is_error for result in results(events).values()] == [True], "the server has closed the call"
        conversation.say("echo again")
        events = served(conversation, LONG)
    assert said(events)[0].strip() == "Result: again"


def test_what_a_worker_leaves_that_dies_the_next_one_does(client, place, key, start, tmp_path):
    session = start("shell", environment_id=place.id)
    begun = tmp_path / "begun"
    with Conversation(client, session.id) as conversation:
        with process(place, key, tmp_path):
            conversation.say(f"test -e {begun} && echo there || {{ touch {begun}; sleep 600; }}")
            eventually(begun.exists)
        # Nobody has said anything: its lease runs out.
        with serving(place, key, tmp_path):
            events = served(conversation, LONG)
    assert said(events)[0].strip() == "Result: there"
    assert len(results(history(client, session))) == 1
