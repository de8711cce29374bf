// Agents, environments, lists and refusals.
// @ts-check

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import {
  WAIT,
  client,
  collect,
  environmentId,
  finished,
  history,
  makeAgent,
  message,
  refused,
  runTurn,
  start,
} from "./driver.mjs";

test("a new agent has its defaults filled in, and is found again as it was made", async () => {
  const agent = await client.beta.agents.create({
    name: "Helper",
    model: "script/greeting",
    tools: [{ type: "agent_toolset_20260401" }],
  });
  assert.deepEqual(
    { ...agent, id: null, created_at: null, updated_at: null, model: agent.model.id },
    {
      id: null,
      type: "agent",
      name: "Helper",
      description: null,
      model: "script/greeting",
      system: null,
      tools: [
        {
          type: "agent_toolset_20260401",
          default_config: { enabled: true, permission_policy: { type: "always_allow" } },
          configs: [],
        },
      ],
      mcp_servers: [],
      skills: [],
      multiagent: null,
      execution_identity: { type: "service_account" },
      metadata: {},
      version: 1,
      created_at: null,
      updated_at: null,
      archived_at: null,
    },
  );
  assert.deepEqual(await client.beta.agents.retrieve(agent.id), agent);
});

test("an update makes a version, one that changes nothing does not, and a stale one is a conflict", async () => {
  const first = await makeAgent("greeting", { system: "One." });
  const second = await client.beta.agents.update(first.id, { version: 1, system: "Two." });
  assert.equal(second.version, 2);
  assert.deepEqual(await client.beta.agents.update(first.id, { version: 2, system: "Two." }), second);
  const conflict = await refused(() => client.beta.agents.update(first.id, { version: 1, system: "Three." }), 409);
  assert(conflict instanceof Anthropic.ConflictError);
  assert.equal(conflict.headers?.get("x-should-retry"), "false");
  assert.equal((await client.beta.agents.retrieve(first.id, { version: 1 })).system, "One.");
  const versions = await collect(client.beta.agents.versions.list(first.id, { limit: 1 }));
  assert.deepEqual(
    versions.map((agent) => agent.version),
    [2, 1],
  );
});

test("limited networking is answered in full, and an update keeps what it leaves out", async () => {
  const made = await client.beta.environments.create({
    name: "Workshop",
    config: { type: "cloud", networking: { type: "limited", allowed_hosts: ["example.com"] } },
  });
  const networking = {
    type: "limited",
    allowed_hosts: ["example.com"],
    allow_mcp_servers: false,
    allow_package_managers: false,
  };
  assert(made.config.type === "cloud");
  assert.deepEqual(made.config.networking, networking);
  const renamed = await client.beta.environments.update(made.id, { name: "Renamed" });
  assert.deepEqual([renamed.name, renamed.config], ["Renamed", made.config]);
  assert((await client.beta.environments.archive(made.id)).archived_at);
  await refused(async () => client.beta.environments.update(made.id, { name: "Again" }), 400);
  assert.deepEqual(await client.beta.environments.delete(made.id), { id: made.id, type: "environment_deleted" });
});

test("pages of two add up to the history, in both orders", async (t) => {
  const session = await start(t, "shell");
  for (const command of ["echo one", "echo two"]) finished(await runTurn(session, command));
  const whole = await history(session);
  assert.deepEqual(await history(session, { limit: 2 }), whole);
  assert.deepEqual(await history(session, { limit: 2, order: "desc" }), whole.toReversed());
  const wanted = whole.filter((event) => event.type === "agent.tool_use" || event.type === "agent.tool_result");
  assert.deepEqual(await history(session, { types: ["agent.tool_use", "agent.tool_result"] }), wanted);
  let pages = 0;
  for await (const page of (await client.beta.sessions.events.list(session.id, { limit: 2 })).iterPages()) {
    assert(page.data.length <= 2);
    pages += 1;
  }
  assert.equal(pages, Math.ceil(whole.length / 2));
});

test("sessions are listed by agent and status, in pages that lead back", async () => {
  const agent = await makeAgent("greeting");
  const ids = [];
  for (let number = 0; number < 3; number += 1) {
    ids.unshift((await client.beta.sessions.create({ agent: agent.id, environment_id: await environmentId() })).id);
  }
  /** @type {Anthropic.Beta.SessionListParams} */
  const filter = { agent_id: agent.id, limit: 2, statuses: ["idle"] };
  assert.deepEqual(
    (await collect(client.beta.sessions.list(filter))).map((session) => session.id),
    ids,
  );
  const first = await client.beta.sessions.list(filter);
  assert.equal(first.prev_page, null);
  const second = await client.beta.sessions.list({ ...filter, page: first.next_page ?? "" });
  assert.equal(second.next_page, null);
  const back = await client.beta.sessions.list({ ...filter, page: second.prev_page ?? "" });
  // By their ids, because the seconds that a session has existed go on.
  assert.deepEqual(
    back.data.map((session) => session.id),
    first.data.map((session) => session.id),
  );
  for (const id of ids) await client.beta.sessions.delete(id);
});

test("refusals are of the class, the status and the message that help", async (t) => {
  const session = await start(t, "greeting");
  const plain = new Anthropic({ apiKey: "wrong", maxRetries: 0, timeout: WAIT });
  /** @type {[() => PromiseLike<unknown>, number, Function, RegExp][]} */
  const cases = [
    [() => client.beta.sessions.retrieve("sesn_01nothing"), 404, Anthropic.NotFoundError, /./],
    [() => plain.beta.agents.list(), 401, Anthropic.AuthenticationError, /./],
    [() => client.beta.agents.list({ betas: ["time-travel-2026-01-01"] }), 400, Anthropic.BadRequestError, /time-travel-2026-01-01/],
    [() => client.beta.agents.create({ name: "Helper", model: "no-such-model" }), 400, Anthropic.BadRequestError, /script\//],
    // @ts-expect-error the name is missing
    [() => client.beta.agents.create({ model: "script/greeting" }), 400, Anthropic.BadRequestError, /name/],
    // @ts-expect-error the name is no string
    [() => client.beta.agents.create({ name: 5, model: "script/greeting" }), 400, Anthropic.BadRequestError, /name/],
    // @ts-expect-error no such event
    [() => client.beta.sessions.events.send(session.id, { events: [{ type: "user.shout" }] }), 400, Anthropic.BadRequestError, /events\.0/],
    [() => client.beta.sessions.events.send("sesn_01nothing", { events: [message("Hello?")] }), 404, Anthropic.NotFoundError, /./],
    [() => client.beta.sessions.events.stream("sesn_01nothing"), 404, Anthropic.NotFoundError, /./],
  ];
  for (const [call, status, kind, text] of cases) {
    const refusal = await refused(call, status);
    assert(refusal instanceof kind, `${call} gave ${refusal.name}`);
    assert.match(refusal.message, text);
  }
});

test("what is not built yet is refused by name", async () => {
  const environment_id = await environmentId();
  const agent = (await makeAgent("greeting")).id;
  /** @type {[string, () => PromiseLike<unknown>][]} */
  const cases = [
    ["skills", () => makeAgent("greeting", { skills: [{ type: "anthropic", skill_id: "xlsx" }] })],
    ["mcp_servers", () => makeAgent("greeting", { mcp_servers: [{ type: "url", name: "gh", url: "https://mcp.example.com/mcp" }] })],
    ["multiagent", () => makeAgent("greeting", { multiagent: { type: "coordinator", agents: [{ type: "self" }] } })],
  ];
  for (const [field, call] of cases) {
    const { message } = await refused(call, 400);
    assert(message.includes(field) && message.includes("not supported") && message.includes("yet"), message);
  }
});
