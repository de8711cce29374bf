"""The session's own machine: its files and its shell outlive the turn."""

from __future__ import annotations

import pytest

from driver import Conversation, all_of, finished, only, run_turn, said, text_of


@pytest.fixture
def run(client, start):
    """Runs commands one turn after another in one session, and gives back what each printed."""
    session = start("shell")

    def run(command: str) -> str:
        return text_of(only(finished(run_turn(client, session, command)), "agent.tool_result"))

    return run


def test_the_shell_keeps_its_directory_and_its_variables_between_turns(run):
    run("mkdir -p deep/down && cd deep/down && export COLOUR=green && echo set")
    assert run('pwd; echo "$COLOUR"').split() == ["/workspace/deep/down", "green"]


def test_files_stay_between_turns(run):
    run("echo kept > note.txt; echo written")
    assert run("cat note.txt").strip() == "kept"


def test_the_shell_begins_in_the_workspace(run):
    assert run("pwd").strip() == "/workspace"


def test_background_jobs_and_functions_stay_between_turns(run):
    run("greet() { echo hello $1; }; sleep 300 & echo started")
    assert run("greet you; jobs -p | wc -l").split() == ["hello", "you", "1"]
    run("kill $!; echo done")


def test_standard_error_is_part_of_the_output(run):
    assert run("echo out; echo err >&2").split() == ["out", "err"]


def test_a_command_that_fails_is_an_error_result_with_its_output(client, start):
    events = finished(run_turn(client, start("shell"), "echo before; exit_code() { return 3; }; exit_code"))
    result = only(events, "agent.tool_result")
    assert result.is_error is True
    assert "before" in text_of(result)


def test_a_command_without_output_still_has_a_result(client, start):
    events = finished(run_turn(client, start("shell"), "true"))
    result = only(events, "agent.tool_result")
    assert not result.is_error
    assert said(events)[0].startswith("Result:")


def test_a_command_cannot_wait_for_input(run):
    assert run("cat; echo read nothing").strip() == "read nothing"


def test_text_beyond_ascii_survives(run):
    assert run("echo 'Grüße, 世界 🌍' > g.txt; cat g.txt").strip() == "Grüße, 世界 🌍"


def test_two_sessions_share_no_files(client, start):
    one, other = start("shell"), start("shell")
    finished(run_turn(client, one, "echo mine > /workspace/mine.txt; echo written"))
    events = finished(run_turn(client, other, "ls /workspace; echo listed"))
    assert "mine.txt" not in text_of(only(events, "agent.tool_result"))


def test_the_file_tools_agree_with_each_other(client, start):
    events = finished(run_turn(client, start("file_tools"), "Go through them."))
    uses, results = all_of(events, "agent.tool_use"), all_of(events, "agent.tool_result")
    assert [use.name for use in uses] == ["write", "edit", "read", "grep", "glob"]
    assert not any(result.is_error for result in results), [text_of(result) for result in results]
    printed = {use.name: text_of(result) for use, result in zip(uses, results)}
    assert printed["read"].splitlines() == ["apples", "cherries"]
    assert printed["grep"].strip() == "/workspace/notes/list.txt:2:cherries"
    assert printed["glob"].strip() == "/workspace/notes/list.txt"
    assert said(events) == ["All five agree."]


def test_a_restarted_shell_has_forgotten_its_variables(client, start):
    with Conversation(client, start("shell_restart").id) as conversation:
        events = finished(conversation.turn("Start anew."))
    assert [use.input.get("restart") for use in all_of(events, "agent.tool_use")] == [None, True, None]
    assert said(events)[-1].strip() == "Result: kept=no"
