"""What makes the tests read as conversations: an open stream whose waits all end, and a few words for common things."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from anthropic import Anthropic, _streaming

WAIT = 20.0
"""Seconds after which a test gives up on anything it waits for."""

BETA = "managed-agents-2026-04-01"

_STARTED = ["user.message", "session.status_running", "session.thread_status_running"]
_SPOKE = ["span.model_request_start", "agent.message", "span.model_request_end"]
WENT_IDLE = ["session.thread_status_idle", "session.usage", "session.status_idle"]

TEXT_TURN = [*_STARTED, *_SPOKE, *WENT_IDLE]
THINKING_TURN = [
    *_STARTED,
    "span.model_request_start",
    "agent.thinking",
    "agent.message",
    "span.model_request_end",
    *WENT_IDLE,
]
TOOL_TURN = [
    *_STARTED,
    "span.model_request_start",
    "agent.message",
    "agent.tool_use",
    "span.model_request_end",
    "agent.tool_result",
    *_SPOKE,
    *WENT_IDLE,
]
ASKING_TURN = [*_STARTED, "span.model_request_start", "agent.tool_use", "span.model_request_end", *WENT_IDLE]
CUSTOM_TURN = [*_STARTED, "span.model_request_start", "agent.custom_tool_use", "span.model_request_end", *WENT_IDLE]
RESUMED = ["session.status_running", "session.thread_status_running"]
ANSWERED = [*_SPOKE, *WENT_IDLE]


# === events that a client sends ===


def message(text: str) -> dict[str, Any]:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def system(text: str) -> dict[str, Any]:
    return {"type": "system.message", "content": [{"type": "text", "text": text}]}


def interrupt() -> dict[str, Any]:
    return {"type": "user.interrupt"}


def allow(tool_use_id: str) -> dict[str, Any]:
    return {"type": "user.tool_confirmation", "tool_use_id": tool_use_id, "result": "allow"}


def deny(tool_use_id: str, why: str | None = None) -> dict[str, Any]:
    reason = {} if why is None else {"deny_message": why}
    return {"type": "user.tool_confirmation", "tool_use_id": tool_use_id, "result": "deny", **reason}


def answer(custom_tool_use_id: str, text: str, **fields: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {"type": "user.custom_tool_result", "custom_tool_use_id": custom_tool_use_id, "content": content, **fields}


# === what an agent is made of ===


def toolset(policy: str = "always_allow", configs: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    default = {"permission_policy": {"type": policy}}
    return {"type": "agent_toolset_20260401", "default_config": default, "configs": list(configs)}


def custom_tool(name: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "custom", "name": name, "description": f"Call {name} for a city.", "input_schema": schema}


def budget(cents: int) -> dict[str, Any]:
    return {"type": "limit", "max_list_cost": {"amount": str(cents), "currency": "USD"}}


_played: Counter[str] = Counter()


def fresh(script: str) -> str:
    """A copy of a script that nobody has played: it fails a number of times in all conversations that begin alike."""
    lane = os.environ.get("STEAD_CONFORMANCE_LANE")
    if not lane:
        return script
    _played[script] += 1
    return f"{script}-{lane}-{_played[script]}"


# === what came back ===


def raw(thing: Any) -> dict[str, Any]:
    """What the server sent, without the fields that this SDK would add."""
    return thing.to_dict(mode="json", exclude_unset=True, warnings=False)


def conforms(thing: Any) -> Any:
    """Holds the server to the SDK's own model. Reading a response never does: the SDK forgives a missing field."""
    type(thing).model_validate(raw(thing))
    return thing


def once(events: Iterable[Any]) -> list[Any]:
    """Each event where it was first seen: a client's event may come twice, queued and then processed."""
    seen: set[str] = set()
    first = []
    for event in events:
        id = getattr(event, "id", None)
        if id is None or id not in seen:
            first.append(event)
        seen.add(id or "")
    return first


def types(events: Iterable[Any]) -> list[str]:
    return [event.type for event in once(events)]


_DECODER = inspect.getsource(_streaming)


def decoder_passes(kind: str) -> bool:
    """Whether this SDK hands on a frame of that name. Older ones drop every name that is not in their source."""
    return '"session.status_idle"' not in _DECODER or f'"{kind}"' in _DECODER


def heard(events: Iterable[Any]) -> list[str]:
    """The types that every server must get through to this SDK; compare with `audible`."""
    return audible(types(events))


def audible(kinds: Iterable[str]) -> list[str]:
    return [kind for kind in kinds if decoder_passes(kind)]


def only(events: Iterable[Any], kind: str) -> Any:
    """The one event of that type."""
    found = [event for event in once(events) if event.type == kind]
    assert len(found) == 1, f"wanted one {kind} among {types(events)}"
    return found[0]


def all_of(events: Iterable[Any], kind: str) -> list[Any]:
    return [event for event in once(events) if event.type == kind]


def text_of(event: Any) -> str:
    return "".join(block.text for block in event.content or [] if block.type == "text")


def said(events: Iterable[Any]) -> list[str]:
    return [text_of(event) for event in all_of(events, "agent.message")]


def finished(events: list[Any]) -> list[Any]:
    """Checks that the last event ends the turn well, and tells why it did not if it did not."""
    errors = [raw(event)["error"] for event in events if event.type == "session.error"]
    last = events[-1]
    assert last.type == "session.status_idle", f"the turn has not ended: {types(events)}"
    assert last.stop_reason.type == "end_turn", f"{raw(last)['stop_reason']} after {errors}"
    return events


def why_idle(events: list[Any]) -> str:
    """Why the session is idle with which the events end."""
    last = events[-1]
    assert last.type == "session.status_idle", types(events)
    return last.stop_reason.type


def waits_for(events: list[Any]) -> list[str]:
    """The ids that the idle session waits for."""
    assert why_idle(events) == "requires_action", raw(events[-1])
    return events[-1].stop_reason.event_ids


def code_of(refusal: Any) -> str | None:
    """The machine-readable reason of a refusal that pytest has caught, where the API defines one."""
    return refusal.value.body["error"].get("details", {}).get("error_code")


# === conversations ===


class _Ended:
    """Stands in the queue for the end of the stream."""


class Conversation:
    """A session with one open stream, read in the background so that every wait can have an end."""

    def __init__(self, client: Anthropic, session_id: str, **options: Any) -> None:
        self.client = client
        self.id = session_id
        self.seen: list[Any] = []
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stream = client.beta.sessions.events.stream(session_id, **options)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        try:
            for event in self._stream:
                self._arrived.put(event)
        except Exception as failure:
            self._arrived.put(failure)
        self._arrived.put(_Ended())

    def close(self) -> None:
        # Closing the response would not wake the reader out of its recv; ending the connection does.
        connection = self._stream.response.extensions["network_stream"].get_extra_info("socket")
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        self._reader.join(WAIT)
        assert not self._reader.is_alive(), "the stream could not be closed"

    def send(self, *events: dict[str, Any]) -> list[Any]:
        """Posts the events and gives back their echoes."""
        return list(self.client.beta.sessions.events.send(self.id, events=list(events)).data or [])

    def say(self, text: str) -> Any:
        return self.send(message(text))[0]

    def turn(self, text: str, wait: float = WAIT) -> list[Any]:
        """Says something and listens until the session is idle."""
        self.say(text)
        return self.until("session.status_idle", wait)

    def until(self, wanted: str | Callable[[Any], bool], wait: float = WAIT) -> list[Any]:
        """The events from here to the wanted one, which is the last of them."""
        matches = (lambda event: event.type == wanted) if isinstance(wanted, str) else wanted
        deadline = time.monotonic() + wait
        events: list[Any] = []
        while not (events and matches(events[-1])):
            try:
                event = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{wanted} did not come in {wait:.0f} s; came: {types(events)}") from None
            if isinstance(event, Exception):
                raise AssertionError(f"the stream broke while waiting for {wanted}; came: {types(events)}") from event
            if isinstance(event, _Ended):
                raise AssertionError(f"the stream ended before {wanted}; came: {types(events)}")
            events.append(event)
            self.seen.append(event)
        return events

    def until_closed(self, wait: float = WAIT) -> list[Any]:
        """The events from here until the server ends the stream."""
        deadline = time.monotonic() + wait
        events: list[Any] = []
        while True:
            try:
                event = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the stream was not closed in {wait:.0f} s; came: {types(events)}") from None
            if isinstance(event, Exception):
                raise AssertionError("the stream broke instead of ending") from event
            if isinstance(event, _Ended):
                return events
            events.append(event)


def run_turn(client: Anthropic, session: Any, text: str, **options: Any) -> list[Any]:
    """One message and everything until the session is idle again, over a stream that was open before."""
    with Conversation(client, session.id, **options) as conversation:
        return conversation.turn(text)


def history(client: Anthropic, session: Any, **filters: Any) -> list[Any]:
    return list(client.beta.sessions.events.list(session.id, **filters))


def eventually(look: Callable[[], Any], wait: float = WAIT) -> Any:
    """For what no event announces: asks again until the answer is true."""
    deadline = time.monotonic() + wait
    while not (found := look()):
        assert time.monotonic() < deadline, f"it did not come true in {wait:.0f} s; last answer: {found!r}"
        time.sleep(0.05)
    return found


def idle_without_looking_at_events(client: Anthropic, session: Any) -> None:
    """Waits for idle in a way that leaves every input uncovered: neither a stream nor a listing."""
    eventually(lambda: client.beta.sessions.retrieve(session.id).status == "idle")


# === the wire itself ===


@dataclass(frozen=True)
class Frame:
    event: str
    id: str | None
    data: dict[str, Any]


class Frames:
    """A stream as it is on the wire, frame by frame. A silent wire ends in httpx's own read timeout."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def next(self, wait: float = WAIT) -> Frame:
        deadline = time.monotonic() + wait
        fields: dict[str, str] = {}
        for line in self._lines:
            assert time.monotonic() < deadline, f"no frame came in {wait:.0f} s"
            if line:
                name, _, value = line.partition(":")
                # A line that begins with a colon is a comment.
                if name:
                    fields[name] = value.removeprefix(" ")
            elif fields:
                return Frame(fields.get("event", ""), fields.get("id"), json.loads(fields.get("data", "null")))
        raise AssertionError("the stream ended")

    def take_until(self, last: Callable[[list[Frame]], bool], wait: float = WAIT) -> list[Frame]:
        """The frames up to the one with which `last` holds, pings left out."""
        deadline = time.monotonic() + wait
        got: list[Frame] = []
        while not (got and last(got)):
            frame = self.next(max(0.0, deadline - time.monotonic()))
            if frame.event != "ping":
                got.append(frame)
        return got

    def until(self, kind: str, wait: float = WAIT) -> list[Frame]:
        return self.take_until(lambda got: got[-1].data["type"] == kind, wait)


@contextlib.contextmanager
def opened(
    wire: httpx.Client, session: Any, path: str = "events/stream", *, after: str | None = None, **headers: str
) -> Iterator[Frames]:
    """A stream over plain HTTP; `after` is the id of the last frame that the client had."""
    asked = {name.replace("_", "-"): value for name, value in headers.items()}
    if after is not None:
        asked["last-event-id"] = after
    with wire.stream("GET", f"/v1/sessions/{session.id}/{path}", headers=asked) as response:
        assert response.status_code == 200, response.read()
        yield Frames(response)
