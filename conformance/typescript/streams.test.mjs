// Streams: previews, late openings, and the bytes on the wire.
// @ts-check

import assert from "node:assert/strict";
import { test } from "node:test";
import { accumulateManagedAgentsEvent } from "@anthropic-ai/sdk/lib/sessions/accumulate";
import {
  BETA,
  Conversation,
  TEXT_TURN,
  WAIT,
  allOf,
  client,
  finished,
  history,
  idleWithoutLookingAtEvents,
  message,
  only,
  refused,
  runTurn,
  said,
  start,
  textOf,
  types,
} from "./driver.mjs";

/** @typedef {import("./driver.mjs").StreamEvent} StreamEvent */

test("the pieces of a message come between its start and the event, and add up to it", async (t) => {
  const session = await start(t, "thinks");
  const events = finished(
    await runTurn(session, "Think first.", { event_deltas: ["agent.message", "agent.thinking"] }),
  );
  const final = only(events, "agent.message");
  const about = events.filter(
    (event) =>
      (event.type === "event_start" && event.event.id === final.id) ||
      (event.type === "event_delta" && event.event_id === final.id) ||
      (event.type === "agent.message" && event.id === final.id),
  );
  assert.equal(about[0]?.type, "event_start");
  assert.equal(about.at(-1)?.type, "agent.message");
  assert(about.length > 3, "the script writes ten words, each a delta");
  const pieces = allOf(events, "event_delta").map((event) => event.delta.content.text);
  assert.equal(pieces.join(""), textOf(final));
  const thinking = only(events, "agent.thinking");
  assert(allOf(events, "event_start").some((event) => event.event.id === thinking.id));
});

test("the SDK's own accumulator follows the previews", async (t) => {
  const session = await start(t, "thinks");
  /** @type {string[]} */
  const texts = [];
  await Conversation.with(
    session,
    async (conversation) => {
      /** @type {Parameters<typeof accumulateManagedAgentsEvent>[0]} */
      let snapshot;
      for (const event of finished(await conversation.turn("Think first."))) {
        snapshot = accumulateManagedAgentsEvent(snapshot, event);
        if (snapshot) texts.push(textOf(snapshot));
      }
    },
    { event_deltas: ["agent.message"] },
  );
  assert(new Set(texts).size > 3);
  for (const text of texts) assert(texts.at(-1)?.startsWith(text));
});

test("a stream that did not ask gets no previews", async (t) => {
  const events = finished(await runTurn(await start(t, "thinks"), "Think first."));
  assert.deepEqual([...allOf(events, "event_start"), ...allOf(events, "event_delta")], []);
});

test("a type that has no previews is refused", async (t) => {
  const session = await start(t, "greeting");
  // @ts-expect-error no such type
  const refusal = await refused(() => client.beta.sessions.events.stream(session.id, { event_deltas: ["foo"] }), 400);
  assert.match(refusal.message, /event_deltas/);
});

test("a stream opened after the turn was over has the whole turn", async (t) => {
  const session = await start(t, "greeting");
  await client.beta.sessions.events.send(session.id, { events: [message("Good morning.")] });
  await idleWithoutLookingAtEvents(session);
  const events = await Conversation.with(session, (late) => late.until("session.status_idle"));
  assert.deepEqual(types(finished(events)), TEXT_TURN);
});

test("after polling the history to idle a stream is live only", async (t) => {
  const session = await start(t, "greeting");
  await client.beta.sessions.events.send(session.id, { events: [message("Good morning.")] });
  await idleWithoutLookingAtEvents(session);
  assert.equal((await history(session)).at(-1)?.type, "session.status_idle");
  const events = finished(await runTurn(session, "And now?"));
  assert.deepEqual(types(events), TEXT_TURN);
  assert.deepEqual(said(events), ["You said: And now?"]);
});

test("two streams that are open together see the same", async (t) => {
  const session = await start(t, "greeting");
  await Conversation.with(session, (one) =>
    Conversation.with(session, async (other) => {
      const first = await one.turn("Good morning.");
      assert.deepEqual(await other.until("session.status_idle"), first);
    }),
  );
});

test("the short path streams frames with names and ids, and pings", { timeout: 2 * WAIT }, async (t) => {
  const session = await start(t, "greeting");
  const response = await fetch(new URL(`/v1/sessions/${session.id}/stream`, client.baseURL), {
    headers: {
      "x-api-key": process.env["ANTHROPIC_API_KEY"] ?? "",
      "anthropic-version": "2026-10-21",
      "anthropic-beta": BETA,
    },
    signal: AbortSignal.timeout(WAIT),
  });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  await client.beta.sessions.events.send(session.id, { events: [message("Good morning.")] });
  assert(response.body);
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("event: ping\n")) break;
  }
  const frames = text.split("\n\n").filter((frame) => frame.startsWith("event: ") && !frame.startsWith("event: ping"));
  for (const frame of frames) {
    const [event, id, data] = frame.split("\n");
    assert.match(id ?? "", /^id: \d+$/);
    assert.equal(JSON.parse(data?.slice("data: ".length) ?? "").type, event?.slice("event: ".length));
  }
  assert(frames.some((frame) => frame.startsWith("event: session.status_idle\n")));
});
