// Self-hosted environments: the SDK's own worker serves sessions as it comes.
// @ts-check

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  Conversation,
  allOf,
  allow,
  client,
  finished,
  message,
  only,
  said,
  start,
  textOf,
  toolset,
  waitsFor,
} from "./driver.mjs";

/**
 * An environment with a worker that serves it until the test ends.
 * @param {import("node:test").TestContext} t
 */
async function served(t) {
  const place = await client.beta.environments.create({ name: "Elsewhere", config: { type: "self_hosted" } });
  /** @type {{ key: string }} */
  const made = await client.post("/v1/stead/keys", { body: { environment_id: place.id, name: "test" } });
  const directory = await mkdtemp(join(tmpdir(), "worker-"));
  const ended = new AbortController();
  const worker = client.beta.environments.work.worker({
    environmentId: place.id,
    environmentKey: made.key,
    workdir: directory,
    maxIdleMs: 1_000,
    signal: ended.signal,
  });
  const running = worker.run().catch((error) => {
    if (!ended.signal.aborted) throw error;
  });
  t.after(async () => {
    ended.abort();
    await running;
  });
  return { environment_id: place.id, directory };
}

/**
 * The events until the turn is over: between calls, the session is idle as well.
 * @param {Conversation} conversation
 */
async function whole(conversation) {
  const events = [];
  for (;;) {
    events.push(...(await conversation.until("session.status_idle")));
    const last = events.at(-1);
    if (last?.type === "session.status_idle" && last.stop_reason.type !== "requires_action") return finished(events);
  }
}

test("every tool of a worker works on its own files", async (t) => {
  const { environment_id, directory } = await served(t);
  const session = await start(t, "elsewhere", { environment_id });
  await Conversation.with(session, async (conversation) => {
    await conversation.send(message("Make a list."));
    const events = await whole(conversation);
    assert.deepEqual(said(events), ["All six agree."]);
    const uses = allOf(events, "agent.tool_use").map((use) => use.id);
    const results = allOf(events, "user.tool_result").map((result) => result.tool_use_id);
    assert.deepEqual(results.sort(), uses.sort());
    assert.deepEqual(allOf(events, "agent.tool_result"), []);
  });
  const files = await readdir(directory, { recursive: true });
  const list = files.find((file) => file.endsWith("list.txt"));
  assert(list, `the files are the worker's: ${files}`);
  assert.equal(await readFile(join(directory, list), "utf8"), "pears\ncherries\n");
});

test("a call waits for its confirmation before a worker runs it", async (t) => {
  const { environment_id } = await served(t);
  const session = await start(t, "shell", { environment_id, tools: [toolset("always_ask")] });
  await Conversation.with(session, async (conversation) => {
    const asked = await conversation.turn("echo allowed");
    const use = only(asked, "agent.tool_use");
    assert.deepEqual(waitsFor(asked), [use.id]);
    await conversation.send(allow(use.id));
    const events = await whole(conversation);
    assert.equal(textOf(only(events, "user.tool_result")).trim(), "allowed");
  });
});

test("two sessions are served one after the other", async (t) => {
  const { environment_id } = await served(t);
  for (const word of ["one", "two"]) {
    const session = await start(t, "shell", { environment_id });
    await Conversation.with(session, async (conversation) => {
      await conversation.send(message(`echo ${word}`));
      assert.equal(said(await whole(conversation))[0]?.trim(), `Result: ${word}`);
    });
  }
});
