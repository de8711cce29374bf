// Requests that are sent again: with a key of the client's own, or without one, as the SDK does when an answer was lost.
// @ts-check

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import Anthropic, { toFile } from "@anthropic-ai/sdk";
import { WAIT, allOf, client, environmentId, history, makeAgent, message, refused, start } from "./driver.mjs";

/** @typedef {{ headers?: Record<string, string> }} Options */

/** What an SDK says of its second attempt. Without it a request is new, however much it looks like another. */
const AGAIN = { headers: { "x-stainless-retry-count": "1" } };

const keyed = () => ({ headers: { "Idempotency-Key": randomUUID() } });

/**
 * Ways to create something under a name, which tells its body from others.
 * @type {[string, (client: Anthropic, name: string, options?: Options) => import("@anthropic-ai/sdk").APIPromise<{ id: string }>][]}
 */
const CREATIONS = [
  ["an agent", (client, name, options) => client.beta.agents.create({ name, model: "script/greeting" }, options)],
  ["an environment", (client, name, options) => client.beta.environments.create({ name, config: { type: "cloud" } }, options)],
];

/**
 * A client that has to try once more, because the first answer is lost on its way, and what was lost.
 * @returns {[Anthropic, { id: string }[]]}
 */
function forgetful() {
  /** @type {{ id: string }[]} */
  const lost = [];
  /** @type {typeof fetch} */
  const losing = async (input, init) => {
    const response = await fetch(input, init);
    if (lost.length > 0) return response;
    lost.push(/** @type {{ id: string }} */ (await response.json()));
    throw new TypeError("the answer was lost");
  };
  return [new Anthropic({ timeout: WAIT, maxRetries: 1, fetch: losing }), lost];
}

for (const [what, create] of CREATIONS) {
  test(`${what} is created once under its key, and another body is refused under it`, async () => {
    const [key, name] = [keyed(), `Once ${randomUUID()}`];
    const first = await create(client, name, key).withResponse();
    const second = await create(client, name, key).withResponse();
    assert.equal(first.response.headers.get("idempotent-replayed"), null);
    assert.equal(second.response.headers.get("idempotent-replayed"), "true");
    assert.deepEqual(second.data, first.data);
    await refused(() => create(client, "Other", key), 422);
  });

  test(`${what} is created once if only a second attempt is sent, and twice otherwise`, async () => {
    const name = `Again ${randomUUID()}`;
    const first = await create(client, name);
    assert.equal((await create(client, name, AGAIN)).id, first.id);
    assert.notEqual((await create(client, name)).id, first.id);
  });

  test(`${what} is created once if the answer is lost`, async () => {
    const [retrying, lost] = forgetful();
    const made = await create(retrying, `Once ${randomUUID()}`);
    assert.deepEqual(
      lost.map((answer) => answer.id),
      [made.id],
    );
  });
}

test("a session is created once if the answer is lost", async () => {
  const [retrying, lost] = forgetful();
  const agent = (await makeAgent("greeting")).id;
  const made = await retrying.beta.sessions.create({ agent, environment_id: await environmentId() });
  assert.deepEqual(
    lost.map((answer) => answer.id),
    [made.id],
  );
  await client.beta.sessions.delete(made.id);
});

test("a file is uploaded once if the answer is lost", async () => {
  const [retrying, lost] = forgetful();
  const file = await toFile(Buffer.from(randomUUID()), "data.csv", { type: "text/csv" });
  const made = await retrying.beta.files.upload({ file });
  assert.deepEqual(
    lost.map((answer) => answer.id),
    [made.id],
  );
});

test("a message is said once under its key, and twice without one", async (t) => {
  const session = await start(t, "greeting");
  const key = keyed();
  /** @param {Options} [options] */
  const send = async (options) => {
    const { data } = await client.beta.sessions.events.send(session.id, { events: [message("Good morning.")] }, options);
    return data?.map((event) => event.id);
  };
  const first = await send(key);
  assert.deepEqual(await send(key), first);
  const second = await send();
  assert.notDeepEqual(second, first);
  assert.deepEqual(await send(AGAIN), second);
  assert.equal(allOf(await history(session), "user.message").length, 2);
});
