"""Requests that are sent again: with a key of the client's own, or without one, as SDKs do when an answer was lost."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from anthropic import Anthropic, BadRequestError, DefaultHttpxClient, UnprocessableEntityError

from driver import WAIT, Conversation, all_of, finished, history, message, raw, said, types

AGAIN = {"x-stainless-retry-count": "1"}
"""What an SDK says of its second attempt. Without it a request is new, however much it looks like another."""


def keyed():
    return {"Idempotency-Key": str(uuid.uuid4())}


def unlike_any_other(name):
    return f"{name} {uuid.uuid4()}"


def is_replayed(response):
    return response.headers.get("idempotent-replayed") == "true"


def body_of(response) -> dict[str, Any]:
    return raw(response.parse())


@pytest.fixture(params=["agent", "environment", "session", "file"])
def create(request, environment, make_agent):
    """A way to create one of the four under a name, which tells its body from others."""
    agent = make_agent("greeting") if request.param == "session" else None

    def create(client: Anthropic, name: str, headers: dict[str, str] | None = None) -> Any:
        beta, options = client.beta, {"extra_headers": headers or {}}
        if request.param == "agent":
            return beta.agents.with_raw_response.create(name=name, model="script/greeting", **options)
        if request.param == "environment":
            return beta.environments.with_raw_response.create(name=name, config={"type": "cloud"}, **options)
        if request.param == "file":
            return beta.files.with_raw_response.upload(file=("data.csv", name.encode(), "text/csv"), **options)
        return beta.sessions.with_raw_response.create(
            agent=agent.id, environment_id=environment.id, title=name, **options
        )

    return create


def send(client, session, text, headers=None):
    """One message, and the answer to it as it came."""
    return client.beta.sessions.events.with_raw_response.send(
        session.id, events=[message(text)], extra_headers=headers or {}
    )


@pytest.fixture
def forgetful() -> tuple[Anthropic, list[dict[str, Any]]]:
    """A client of the SDK that has to try once more, because the first answer is lost on its way, and what was lost."""
    lost: list[dict[str, Any]] = []

    def lose(response):
        response.read()
        if not lost:
            lost.append(response.json())
            raise ConnectionError("the answer was lost")

    http = DefaultHttpxClient(event_hooks={"response": [lose]})
    return Anthropic(timeout=WAIT, max_retries=1, http_client=http), lost


# === with a key ===


def test_the_same_key_and_body_have_one_effect_and_one_answer(client, create):
    key, name = keyed(), unlike_any_other("Once")
    first, second = create(client, name, key), create(client, name, key)
    assert (is_replayed(first), is_replayed(second)) == (False, True)
    assert body_of(first) == body_of(second)


def test_another_body_under_the_same_key_is_refused(client, create):
    key, name = keyed(), unlike_any_other("One")
    made = create(client, name, key)
    with pytest.raises(UnprocessableEntityError) as refusal:
        create(client, unlike_any_other("Other"), key)
    assert "key" in refusal.value.body["error"]["message"].lower()
    assert body_of(create(client, name, key)) == body_of(made), "the first request keeps its key"


def test_another_key_is_another_request(client, create):
    name = unlike_any_other("Twice")
    first, second = create(client, name, keyed()), create(client, name, keyed())
    assert body_of(first)["id"] != body_of(second)["id"]
    assert not is_replayed(second)


def test_the_same_key_on_another_path_is_another_request(client, start):
    key, one, other = keyed(), start("greeting"), start("greeting")
    first, second = send(client, one, "Good morning.", key), send(client, other, "Good morning.", key)
    assert (is_replayed(first), is_replayed(second)) == (False, False)
    assert body_of(first)["data"][0]["id"] != body_of(second)["data"][0]["id"]
    agent = client.beta.agents.with_raw_response.create(name="Helper", model="script/greeting", extra_headers=key)
    assert not is_replayed(agent)


def test_a_message_is_said_once_under_its_key(client, start):
    session, key = start("greeting"), keyed()
    with Conversation(client, session.id) as conversation:
        first = send(client, session, "Good morning.", key)
        finished(conversation.until("session.status_idle"))
        second = send(client, session, "Good morning.", key)
        assert is_replayed(second)
        assert body_of(second) == body_of(first), "as it was then, before it was processed"
        with pytest.raises(UnprocessableEntityError):
            send(client, session, "Good evening.", key)
        events = finished(conversation.turn("Is anyone there?"))
    assert said(events) == ["You said: Is anyone there?"]
    assert len(all_of(history(client, session), "user.message")) == 2


def test_an_update_is_not_done_again_over_a_later_one(client, start):
    session, key = start("greeting", title="First"), keyed()
    client.beta.sessions.update(session.id, title="Second", extra_headers=key)
    client.beta.sessions.update(session.id, title="Third")
    assert client.beta.sessions.update(session.id, title="Second", extra_headers=key).title == "Second"
    assert client.beta.sessions.retrieve(session.id).title == "Third"
    assert types(history(client, session)) == ["session.updated"] * 2


def test_a_refusal_leaves_the_key_free(client, start):
    session, key = start("greeting"), keyed()
    with pytest.raises(BadRequestError):
        client.beta.sessions.events.send(session.id, events=[{"type": "agent.message"}], extra_headers=key)
    assert not is_replayed(send(client, session, "Good morning.", key))


def test_a_key_that_is_sent_twice_at_once_has_one_effect(client, start):
    session, key = start("greeting"), keyed()
    patient = client.with_options(max_retries=5)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: body_of(send(patient, session, "Good morning.", key)), range(4)))
    assert all(other == answers[0] for other in answers)
    assert len(all_of(history(client, session), "user.message")) == 1


@pytest.mark.parametrize("key", ["two words", "k" * 256])
def test_a_key_is_visible_ascii_of_bounded_length(client, start, key):
    session = start("greeting")
    with pytest.raises(BadRequestError) as refusal:
        send(client, session, "Good morning.", {"Idempotency-Key": key})
    assert "idempotency-key" in str(refusal.value).lower()
    assert history(client, session) == []


# === without one ===


def test_a_second_attempt_is_given_the_first_answer(client, create):
    name = unlike_any_other("Once")
    first, second = create(client, name), create(client, name, AGAIN)
    assert body_of(first) == body_of(second)


def test_the_same_body_without_a_second_attempt_is_a_second_request(client, create):
    name = unlike_any_other("Twice")
    first, second = create(client, name), create(client, name)
    assert body_of(first)["id"] != body_of(second)["id"]
    # And an attempt to repeat it repeats the newer one.
    assert body_of(create(client, name, AGAIN))["id"] == body_of(second)["id"]


def test_a_second_attempt_whose_first_never_arrived_is_done(client, create):
    name = unlike_any_other("Late")
    late, later = create(client, name, AGAIN), create(client, name, {"x-stainless-retry-count": "2"})
    assert body_of(late) == body_of(later)


def test_a_second_attempt_with_another_body_is_another_request(client, create):
    first, second = create(client, unlike_any_other("One")), create(client, unlike_any_other("Other"), AGAIN)
    assert body_of(first)["id"] != body_of(second)["id"]


def test_a_second_attempt_at_a_message_adds_no_event(client, start):
    session = start("greeting")
    first, second = send(client, session, "Good morning."), send(client, session, "Good morning.", AGAIN)
    assert body_of(first)["data"][0]["id"] == body_of(second)["data"][0]["id"]
    assert len(all_of(history(client, session), "user.message")) == 1


def test_the_same_message_twice_is_two_messages(client, start):
    session = start("greeting")
    first, second = send(client, session, "Good morning."), send(client, session, "Good morning.")
    assert body_of(first)["data"][0]["id"] != body_of(second)["data"][0]["id"]
    assert len(all_of(history(client, session), "user.message")) == 2


# === as it happens ===


def test_what_the_sdk_repeats_because_the_answer_was_lost_is_created_once(forgetful, create):
    client, lost = forgetful
    made = body_of(create(client, unlike_any_other("Once")))
    assert [answer["id"] for answer in lost] == [made["id"]]


def test_a_message_whose_answer_was_lost_is_said_once(client, forgetful, start):
    session, (retrying, lost) = start("greeting"), forgetful
    with Conversation(client, session.id) as conversation:
        (echo,) = retrying.beta.sessions.events.send(session.id, events=[message("Good morning.")]).data
        finished(conversation.until("session.status_idle"))
    assert [event["id"] for answer in lost for event in answer["data"]] == [echo.id]
    assert [event.id for event in all_of(history(client, session), "user.message")] == [echo.id]
