// What a session waits for: answers to custom tools, and permissions.
// @ts-check

import assert from "node:assert/strict";
import { test } from "node:test";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import {
  ANSWERED,
  Conversation,
  RESUMED,
  WAIT,
  allOf,
  allow,
  answer,
  client,
  customTool,
  deny,
  finished,
  history,
  message,
  only,
  refused,
  runTurn,
  said,
  start,
  system,
  textOf,
  toolset,
  types,
  waitsFor,
} from "./driver.mjs";

const BOTH = [customTool("get_weather"), customTool("get_time")];

test("the answer to a custom tool resumes the turn", async (t) => {
  const session = await start(t, "weather", { tools: [customTool("get_weather")] });
  await Conversation.with(session, async (conversation) => {
    const asked = await conversation.turn("How is the weather?");
    const use = only(asked, "agent.custom_tool_use");
    assert.deepEqual(waitsFor(asked), [use.id]);
    const [echo] = await conversation.send(answer(use.id, "sunny"));
    assert(echo?.type === "user.custom_tool_result" && echo.processed_at !== null);
    const events = finished(await conversation.until("session.status_idle"));
    assert.deepEqual(types(events), ["user.custom_tool_result", ...RESUMED, ...ANSWERED]);
    assert.deepEqual(said(events), ["The weather: sunny"]);
  });
});

test("two custom tools are answered one at a time", async (t) => {
  const session = await start(t, "weather_and_time", { tools: BOTH });
  await Conversation.with(session, async (conversation) => {
    const asked = await conversation.turn("Tell me both.");
    const [weather, clock] = allOf(asked, "agent.custom_tool_use");
    assert(weather && clock);
    assert.deepEqual(waitsFor(asked), [weather.id, clock.id]);
    await conversation.send(answer(weather.id, "sunny"));
    assert.deepEqual(waitsFor(await conversation.until("session.status_idle")), [clock.id]);
    await conversation.send(answer(clock.id, "noon"));
    assert.deepEqual(said(finished(await conversation.until("session.status_idle"))), ["I know both."]);
  });
});

test("the SDK's tool runner answers by itself", { timeout: 2 * WAIT }, async (t) => {
  const session = await start(t, "weather", { tools: [customTool("get_weather")] });
  const getWeather = betaTool({
    name: "get_weather",
    description: "The weather of a city.",
    inputSchema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    run: ({ city }) => `${city} is sunny`,
  });
  await client.beta.sessions.events.send(session.id, { events: [message("How is the weather?")] });
  const calls = [];
  const runner = client.beta.sessions.events.toolRunner(session.id, { tools: [getWeather], maxIdleMs: 200 });
  for await (const call of runner) calls.push([call.name, call.posted]);
  assert.deepEqual(calls, [["get_weather", true]]);
  assert.deepEqual(said(finished(await history(session))), ["The weather: Paris is sunny"]);
});

test("an allowed call runs", async (t) => {
  const session = await start(t, "shell", { tools: [toolset("always_ask")] });
  await Conversation.with(session, async (conversation) => {
    const asked = await conversation.turn("echo hello");
    const use = only(asked, "agent.tool_use");
    assert.equal(use.evaluated_permission, "ask");
    assert.deepEqual(waitsFor(asked), [use.id]);
    await conversation.send(allow(use.id));
    const events = finished(await conversation.until("session.status_idle"));
    assert.deepEqual(types(events), ["user.tool_confirmation", ...RESUMED, "agent.tool_result", ...ANSWERED]);
    assert.equal(textOf(only(events, "agent.tool_result")).trim(), "hello");
  });
});

test("a denied call does not run and the model reads why", async (t) => {
  const session = await start(t, "denied", { tools: [toolset("always_ask")] });
  await Conversation.with(session, async (conversation) => {
    const use = only(await conversation.turn("Clean up."), "agent.tool_use");
    await conversation.send(deny(use.id, "No: keep your hands off that."));
    const events = finished(await conversation.until("session.status_idle"));
    assert.equal(only(events, "agent.tool_result").is_error, true);
    assert.deepEqual(said(events), ["Understood."]);
  });
});

test("two calls that ask are answered one at a time", async (t) => {
  const session = await start(t, "two_commands", { tools: [toolset("always_ask")] });
  await Conversation.with(session, async (conversation) => {
    const [first, second] = allOf(await conversation.turn("Both, please."), "agent.tool_use");
    assert(first && second);
    await conversation.send(allow(second.id));
    assert.deepEqual(waitsFor(await conversation.until("session.status_idle")), [first.id]);
    await conversation.send(allow(first.id));
    finished(await conversation.until("session.status_idle"));
    assert.equal(allOf(await history(session), "agent.tool_result").length, 2);
  });
});

test("a reason with allow, and answers to nothing, are refused", async (t) => {
  const session = await start(t, "shell", { tools: [toolset("always_ask")] });
  const use = only(await runTurn(session, "echo hello"), "agent.tool_use");
  const refusal = await refused(
    () =>
      client.beta.sessions.events.send(session.id, {
        events: [{ type: "user.tool_confirmation", tool_use_id: use.id, result: "allow", deny_message: "because" }],
      }),
    400,
  );
  assert.match(refusal.message, /deny_message/);
  for (const event of [allow("sevt_01nothing"), answer("sevt_01nothing", "sunny"), answer(use.id, "mine")]) {
    await refused(() => client.beta.sessions.events.send(session.id, { events: [event] }), 400);
  }
});

/** @param {"allow" | "deny" | "ask"} type @param {string} [reason_code] */
const judged = (type, reason_code) => ({
  type: "auto",
  evaluated_permission: reason_code === undefined ? { type } : { type, reason_code },
});

test("under the policy auto a call that is judged safe runs", async (t) => {
  const session = await start(t, "shell", { tools: [toolset("auto")] });
  const events = finished(await runTurn(session, "echo token-allow"));
  const use = only(events, "agent.tool_use");
  assert.equal(use.evaluated_permission, "allow");
  assert.deepEqual(use.evaluation, judged("allow"));
  assert.equal(textOf(only(events, "agent.tool_result")).trim(), "token-allow");
});

test("under the policy auto a dangerous call does not run, and the turn goes on", async (t) => {
  const session = await start(t, "shell", { tools: [toolset("auto")] });
  const events = finished(await runTurn(session, "rm -rf /"));
  const use = only(events, "agent.tool_use");
  assert.equal(use.evaluated_permission, "deny");
  assert.deepEqual(use.evaluation, judged("deny", "high_risk"));
  assert.equal(textOf(only(events, "agent.tool_result")), "Permission to use bash has been denied.");
  assert.deepEqual(said(events), ["Result: Permission to use bash has been denied."]);
  await refused(() => client.beta.sessions.events.send(session.id, { events: [allow(use.id)] }), 400);
});

test("under the policy auto a call that nobody can judge asks", async (t) => {
  const session = await start(t, "shell", { tools: [toolset("auto")] });
  await Conversation.with(session, async (conversation) => {
    const asked = await conversation.turn("echo token-ask");
    const use = only(asked, "agent.tool_use");
    assert.deepEqual(use.evaluation, judged("ask", "indeterminate"));
    assert.deepEqual(waitsFor(asked), [use.id]);
    await conversation.send(allow(use.id));
    const events = finished(await conversation.until("session.status_idle"));
    assert.equal(textOf(only(events, "agent.tool_result")).trim(), "token-ask");
  });
});

test("a system message reaches the model with what it follows, and is refused elsewhere", async (t) => {
  const session = await start(t, "told_weather", { tools: [customTool("get_weather")] });
  await Conversation.with(session, async (conversation) => {
    const use = only(await conversation.turn("How is the weather?"), "agent.custom_tool_use");
    for (const events of [[system("Be brief.")], [message("Well?"), system("Be brief.")]]) {
      await refused(() => client.beta.sessions.events.send(session.id, { events }), 400);
    }
    await conversation.send(answer(use.id, "sunny"), system("Be brief."));
    assert.deepEqual(said(finished(await conversation.until("session.status_idle"))), ["Sunny."]);
  });
});

test("a session's tools are replaced while it is idle, and announced with the whole agent", async (t) => {
  const session = await start(t, "shell");
  await Conversation.with(session, async (conversation) => {
    const updated = await client.beta.sessions.update(session.id, {
      agent: { tools: [{ type: "agent_toolset_20260401", configs: [{ name: "bash", enabled: false }] }] },
    });
    const events = finished(await conversation.turn("echo hello"));
    const { id, processed_at, ...announced } = only(events, "session.updated");
    assert.deepEqual(announced, { type: "session.updated", agent: updated.agent });
    assert.deepEqual({ ...updated.agent, tools: [] }, { ...session.agent, tools: [] });
    const use = only(events, "agent.tool_use");
    assert.equal(use.evaluated_permission, "deny");
    assert.equal(use.evaluation, undefined);
    assert.equal(only(events, "agent.tool_result").is_error, true);
  });
});
