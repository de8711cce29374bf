// What bounds a session: its budget, and its model's window. Answers of the priced scripts cost two cents.
// @ts-check

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ANSWERED,
  Conversation,
  RESUMED,
  budget,
  client,
  environmentId,
  finished,
  fresh,
  history,
  interrupt,
  makeAgent,
  message,
  only,
  refused,
  runTurn,
  said,
  start,
  textOf,
  types,
  whyIdle,
} from "./driver.mjs";

test("the request that crosses the cap is finished, and usage tells the budget", async (t) => {
  const session = await start(t, "priced", { budget: budget(2) });
  assert.deepEqual(session.budget, budget(2));
  const events = await runTurn(session, "Hello.");
  assert.deepEqual(said(events), ["You said: Hello."]);
  assert.equal(only(events, "session.thread_status_idle").stop_reason.type, "end_turn");
  assert.equal(whyIdle(events), "budget_reached");
  const told = events.at(-2);
  assert(told?.type === "session.usage");
  assert.deepEqual(told.budget, budget(2));
  assert.deepEqual(told.usage.list_cost, { amount: "2", currency: "USD" });
});

test("at the cap a message is refused, and an interrupt leaves nothing", async (t) => {
  const session = await start(t, "priced_shell", { budget: budget(2) });
  assert.equal(whyIdle(await runTurn(session, "echo hello")), "budget_reached");
  const before = await history(session);
  const refusal = await refused(() => client.beta.sessions.events.send(session.id, { events: [message("More.")] }), 400);
  for (const kind of ["user.tool_confirmation", "user.tool_result", "user.custom_tool_result", "user.interrupt"]) {
    assert(refusal.message.includes(kind), refusal.message);
  }
  await client.beta.sessions.events.send(session.id, { events: [interrupt()] });
  assert.deepEqual(await history(session), before);
});

for (const more of [budget(100), null]) {
  test(`a turn that the budget stopped goes on once that is ${more ? "raised" : "removed"}`, async (t) => {
    const session = await start(t, "priced_shell", { budget: budget(2) });
    await Conversation.with(session, async (conversation) => {
      const stopped = await conversation.turn("echo hello");
      assert.equal(whyIdle(stopped), "budget_reached");
      assert.equal(textOf(only(stopped, "agent.tool_result")).trim(), "hello");
      const updated = await client.beta.sessions.update(session.id, { budget: more });
      assert.deepEqual([updated.budget, updated.status], [more, "running"]);
      const events = finished(await conversation.until("session.status_idle"));
      assert.deepEqual(types(events), ["session.updated", ...RESUMED, ...ANSWERED]);
      const { id, processed_at, ...announced } = only(events, "session.updated");
      assert.deepEqual(announced, { type: "session.updated", budget: more });
      assert.deepEqual(said(events).map((text) => text.trim()), ["Result: hello"]);
    });
  });
}

test("a budget that cannot be had is refused with the reason", async (t) => {
  const environment_id = await environmentId();
  const agent = (await makeAgent("greeting")).id;
  const bounded = await start(t, "priced", { budget: budget(100) });
  const free = await start(t, "priced");
  finished(await runTurn(bounded, "Hello."));
  /** @type {[() => PromiseLike<unknown>, string | null, RegExp][]} */
  const cases = [
    [() => client.beta.sessions.create({ agent, environment_id, budget: budget(2500) }), "model_not_budgetable", /budget/],
    [() => client.beta.sessions.update(bounded.id, { budget: budget(2) }), "budget_not_raised", /consumed list cost/],
    [() => client.beta.sessions.update(free.id, { budget: budget(100) }), "budget_create_only", /budget/],
    [() => client.beta.sessions.update(bounded.id, { budget: budget(25.5) }), null, /budget\.max_list_cost\.amount/],
  ];
  for (const [call, code, text] of cases) {
    const refusal = await refused(call, 400);
    assert.equal(refusal.errorCode, code);
    assert.match(refusal.message, text);
  }
  assert.deepEqual((await client.beta.sessions.retrieve(bounded.id)).budget, budget(100));
});

test("a conversation that fills the window is summed up and goes on", async (t) => {
  const session = await start(t, "small_talk", { tools: [] });
  for (const text of ["Begin.", "Next.", "Next."]) finished(await runTurn(session, text));
  const events = finished(await runTurn(session, "And now?"));
  const summedUp = ["span.model_request_start", "agent.thread_context_compacted", "span.model_request_end"];
  assert.deepEqual(types(events), ["user.message", ...RESUMED, ...summedUp, ...ANSWERED]);
  assert.deepEqual(said(events), ["Four."]);
});

test("a conversation that the provider finds too long is summed up and goes on", async (t) => {
  const session = await start(t, "overflows", { tools: [] });
  finished(await runTurn(session, "Good morning."));
  const events = finished(await runTurn(session, "Again."));
  assert(types(events).includes("agent.thread_context_compacted"));
  assert.deepEqual(said(events), ["It fits."]);
});

test("summing up in vain ends the turn, and the next message starts anew", async (t) => {
  const session = await start(t, fresh("never_fits_once"), { tools: [] });
  const events = await runTurn(session, "Good morning.");
  const { error } = only(events, "session.error");
  assert.deepEqual([error.type, error.retry_status.type], ["compaction_limit_reached_error", "exhausted"]);
  assert.equal(whyIdle(events), "retries_exhausted");
  assert.deepEqual(said(finished(await runTurn(session, "Shorter, please."))), ["Here at last."]);
});
