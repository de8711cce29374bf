// A turn, from the message to idle.
// @ts-check

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import {
  Conversation,
  RESUMED,
  TEXT_TURN,
  TOOL_TURN,
  WAIT,
  allOf,
  client,
  eventually,
  environmentId,
  finished,
  fresh,
  history,
  interrupt,
  makeAgent,
  message,
  only,
  runTurn,
  said,
  start,
  textOf,
  types,
} from "./driver.mjs";

test("a text turn has its events in order", async (t) => {
  const events = finished(await runTurn(await start(t, "greeting"), "Good morning."));
  assert.deepEqual(types(events), TEXT_TURN);
  assert.deepEqual(said(events), ["Hello from the script."]);
});

test("a turn with one bash call has its events in order", async (t) => {
  const events = finished(await runTurn(await start(t, "look_around"), "Look around."));
  assert.deepEqual(types(events), TOOL_TURN);
  const use = only(events, "agent.tool_use");
  assert.deepEqual([use.name, use.input], ["bash", { command: "echo from the sandbox" }]);
  assert.deepEqual(use.evaluation, { type: "always_allow" });
  const result = only(events, "agent.tool_result");
  assert.equal(result.tool_use_id, use.id);
  assert.equal(textOf(result).trim(), "from the sandbox");
});

test("base URL and key in the environment are all that a program needs", async (t) => {
  const plain = new Anthropic();
  const session = await start(t, "greeting");
  const stream = await plain.beta.sessions.events.stream(session.id, {}, { signal: AbortSignal.timeout(WAIT) });
  await plain.beta.sessions.events.send(session.id, { events: [message("Good morning.")] });
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if (event.type === "session.status_idle") break;
  }
  assert.deepEqual(types(events), TEXT_TURN);
});

test("usage stands directly before every idle", async (t) => {
  const session = await start(t, "shell");
  for (const command of ["echo one", "echo two"]) await runTurn(session, command);
  const kinds = types(await history(session));
  const idles = kinds.flatMap((kind, place) => (kind === "session.status_idle" ? [place] : []));
  assert.equal(idles.length, 2);
  for (const place of idles) assert.equal(kinds[place - 1], "session.usage");
});

test("a second message finds the shell as the first left it", async (t) => {
  const session = await start(t, "shell");
  finished(await runTurn(session, "mkdir -p deep && cd deep && export COLOUR=green && echo set"));
  const events = finished(await runTurn(session, 'pwd; echo "$COLOUR"'));
  assert.deepEqual(textOf(only(events, "agent.tool_result")).split("\n").slice(0, 2), ["/workspace/deep", "green"]);
});

test("initial events set the session running at creation", async (t) => {
  const session = await start(t, "greeting", {
    initial_events: [{ type: "user.message", content: [{ type: "text", text: "Good morning." }] }],
  });
  assert.equal(session.status, "running");
  const events = await Conversation.with(session, (conversation) => conversation.until("session.status_idle"));
  assert.deepEqual(said(finished(events)), ["Hello from the script."]);
});

test("a long command is stopped and the session stays usable", async (t) => {
  const session = await start(t, "interrupted_shell");
  await Conversation.with(session, async (conversation) => {
    await conversation.send(message("sleep 60"));
    await conversation.until("span.model_request_end");
    await conversation.send(interrupt());
    const events = finished(await conversation.until("session.status_idle", 10_000));
    assert.equal(only(events, "agent.tool_result").is_error, true);
    assert.deepEqual(said(finished(await conversation.turn("echo still"))).map((text) => text.trim()), [
      "Result: still",
    ]);
  });
});

test("a model that speaks is stopped, and its span still ends", async (t) => {
  const session = await start(t, "slow");
  await Conversation.with(
    session,
    async (conversation) => {
      await conversation.send(message("Go."));
      await conversation.until("event_delta");
      await conversation.send(interrupt());
      const events = finished(await conversation.until("session.status_idle", 10_000));
      assert.deepEqual(said(events), []);
      only(events, "span.model_request_end");
    },
    { event_deltas: ["agent.message"] },
  );
});

test("a model that is overloaded once is asked again", async (t) => {
  const session = await start(t, fresh("overloaded_once"));
  await Conversation.with(session, async (conversation) => {
    await conversation.send(message("Try."));
    const before = await conversation.until("session.status_rescheduled", 2 * WAIT);
    const events = [...before, ...finished(await conversation.until("session.status_idle", 2 * WAIT))];
    assert.deepEqual(said(events), ["Here at last."]);
    assert.equal(allOf(events, "session.status_running").length, 2);
    for (const { error } of allOf(events, "session.error")) assert.equal(error.retry_status.type, "retrying");
  });
});

test("a session that waits to ask the model again is stopped, and answers the next message", async (t) => {
  const session = await start(t, fresh("backs_off_once"));
  await Conversation.with(session, async (conversation) => {
    await conversation.send(message("Try."));
    await conversation.until("session.thread_status_rescheduled");
    await conversation.send(interrupt());
    finished(await conversation.until("session.status_idle", 10_000));
    assert.deepEqual(said(finished(await conversation.turn("Try again."))), ["Here at last."]);
  });
});

test("a refused key ends the turn, and the session answers the next message", async (t) => {
  const session = await start(t, fresh("unauthorized_once"));
  const events = await runTurn(session, "Try.");
  assert.equal(only(events, "session.error").error.retry_status.type, "exhausted");
  assert.equal(only(events, "session.status_idle").stop_reason.type, "retries_exhausted");
  assert.deepEqual(said(finished(await runTurn(session, "Try again."))), ["Here at last."]);
});

test("an update is announced with what changed, and one that changes nothing is not", async (t) => {
  const session = await start(t, "greeting", { title: "Before" });
  await Conversation.with(session, async (conversation) => {
    await client.beta.sessions.update(session.id, { title: "Before" });
    await client.beta.sessions.update(session.id, { title: "After" });
    const events = await conversation.until("session.updated");
    assert.deepEqual(types(events), ["session.updated"]);
    const { id, processed_at, ...announced } = only(events, "session.updated");
    assert.deepEqual(announced, { type: "session.updated", title: "After" });
  });
});

test("an archived session is terminated and takes no events", async (t) => {
  const session = await start(t, "greeting");
  await runTurn(session, "Good morning.");
  await Conversation.with(session, async (conversation) => {
    assert.equal((await client.beta.sessions.archive(session.id)).status, "terminated");
    await conversation.until("session.status_terminated");
    await assert.rejects(conversation.send(message("Still there?")), Anthropic.APIError);
  });
  assert.deepEqual(said(await history(session)), ["Hello from the script."]);
});

test("a deleted session says so on its stream and closes it", async (t) => {
  const session = await start(t, "greeting");
  await Conversation.with(session, async (conversation) => {
    assert.deepEqual(await client.beta.sessions.delete(session.id), { id: session.id, type: "session_deleted" });
    assert.deepEqual(types(await conversation.untilClosed()), ["session.deleted"]);
  });
});

test("what a session writes to its outputs can be downloaded", async (t) => {
  const session = await start(t, "shell");
  finished(await runTurn(session, "printf 'the report' > /mnt/session/outputs/report.txt; echo written"));
  const file = await eventually(async () => {
    const page = await client.beta.files.list({ scope_id: session.id, betas: ["managed-agents-2026-04-01"] });
    return page.data[0];
  });
  assert.deepEqual([file?.filename, file?.downloadable], ["report.txt", true]);
  assert.deepEqual(file?.scope, { type: "session", id: session.id });
  assert.equal(await (await client.beta.files.download(file?.id ?? "")).text(), "the report");
});

test("an uploaded file is mounted for the agent and cannot be downloaded", async (t) => {
  const file = await client.beta.files.upload({ file: new File(["a,b\n1,2\n"], "data.csv", { type: "text/csv" }) });
  assert.deepEqual([file.filename, file.mime_type, file.size_bytes], ["data.csv", "text/csv", 8]);
  await assert.rejects(
    async () => client.beta.files.download(file.id),
    (error) => error instanceof Anthropic.BadRequestError && error.errorCode === "file_not_downloadable",
  );
  const session = await start(t, "shell", {
    resources: [{ type: "file", file_id: file.id, mount_path: "/in/data.csv" }],
  });
  const events = finished(await runTurn(session, "cat /mnt/session/uploads/in/data.csv"));
  assert.equal(textOf(only(events, "agent.tool_result")).trim(), "a,b\n1,2");
});

test("a session that is asked twice at once answers both", async (t) => {
  const session = await start(t, "greeting");
  await Conversation.with(session, async (conversation) => {
    await Promise.all([conversation.send(message("One.")), conversation.send(message("Two."))]);
    await eventually(async () => (await client.beta.sessions.retrieve(session.id)).status === "idle");
    const asked = allOf(await history(session), "user.message");
    assert.deepEqual(asked.map(textOf).sort(), ["One.", "Two."]);
    assert(asked.every((event) => event.processed_at !== null));
  });
});

test("an agent made by the SDK plays in an environment made by the SDK", async () => {
  const agent = await makeAgent("greeting");
  const session = await client.beta.sessions.create({
    agent: { type: "agent", id: agent.id, version: agent.version },
    environment_id: await environmentId(),
  });
  assert.equal(session.agent.id, agent.id);
  const kinds = types(finished(await runTurn(session, "Good morning.")));
  for (const kind of RESUMED) assert(kinds.includes(kind));
  await client.beta.sessions.delete(session.id);
});
