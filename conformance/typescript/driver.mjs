// What makes the tests read as conversations: an open stream whose waits all end, and a few words for common things.
// @ts-check

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import Anthropic from "@anthropic-ai/sdk";

/** @typedef {Anthropic.Beta.Sessions.BetaManagedAgentsStreamSessionEvents} StreamEvent */
/** @typedef {Anthropic.Beta.Sessions.BetaManagedAgentsSessionEvent} ListedEvent */
/** @typedef {Anthropic.Beta.Sessions.BetaManagedAgentsEventParams} SentEvent */
/** @typedef {Anthropic.Beta.Sessions.BetaManagedAgentsSession} Session */
/** @typedef {Anthropic.Beta.Sessions.BetaManagedAgentsDeltaType} Preview */
/** @typedef {NonNullable<Anthropic.Beta.Agents.AgentCreateParams["tools"]>[number]} Tool */

/** Milliseconds after which a test gives up on anything it waits for. */
export const WAIT = 20_000;

export const BETA = "managed-agents-2026-04-01";

// Found as any client would find it, by ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY; without retries, because one that
// succeeds would hide the failure before it.
export const client = new Anthropic({ timeout: WAIT, maxRetries: 0 });

const STARTED = ["user.message", "session.status_running", "session.thread_status_running"];
const SPOKE = ["span.model_request_start", "agent.message", "span.model_request_end"];
export const WENT_IDLE = ["session.thread_status_idle", "session.usage", "session.status_idle"];
export const RESUMED = ["session.status_running", "session.thread_status_running"];
export const ANSWERED = [...SPOKE, ...WENT_IDLE];
export const TEXT_TURN = [...STARTED, ...SPOKE, ...WENT_IDLE];
export const TOOL_TURN = [
  ...STARTED,
  "span.model_request_start",
  "agent.message",
  "agent.tool_use",
  "span.model_request_end",
  "agent.tool_result",
  ...ANSWERED,
];

// === events that a client sends ===

/** @param {string} text @returns {SentEvent} */
export const message = (text) => ({ type: "user.message", content: [{ type: "text", text }] });

/** @param {string} text @returns {SentEvent} */
export const system = (text) => ({ type: "system.message", content: [{ type: "text", text }] });

/** @returns {SentEvent} */
export const interrupt = () => ({ type: "user.interrupt" });

/** @param {string} tool_use_id @returns {SentEvent} */
export const allow = (tool_use_id) => ({ type: "user.tool_confirmation", tool_use_id, result: "allow" });

/** @param {string} tool_use_id @param {string} deny_message @returns {SentEvent} */
export const deny = (tool_use_id, deny_message) => ({
  type: "user.tool_confirmation",
  tool_use_id,
  result: "deny",
  deny_message,
});

/** @param {string} custom_tool_use_id @param {string} text @returns {SentEvent} */
export const answer = (custom_tool_use_id, text) => ({
  type: "user.custom_tool_result",
  custom_tool_use_id,
  content: [{ type: "text", text }],
});

// === what a session is made of ===

/** @param {"always_allow" | "always_ask" | "auto"} policy @returns {Tool} */
export const toolset = (policy = "always_allow") => ({
  type: "agent_toolset_20260401",
  default_config: { permission_policy: { type: policy } },
});

/** @param {string} name @returns {Tool} */
export const customTool = (name) => ({
  type: "custom",
  name,
  description: `Call ${name} for a city.`,
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
});

/** @param {number} cents @returns {Anthropic.Beta.BetaManagedAgentsBudgetLimit} */
export const budget = (cents) => ({ type: "limit", max_list_cost: { amount: `${cents}`, currency: "USD" } });

/** @type {Map<string, number>} */
const played = new Map();

/**
 * A copy of a script that nobody has played: it fails a number of times in all conversations that begin alike.
 * @param {string} script
 */
export function fresh(script) {
  const lane = process.env["STEAD_CONFORMANCE_LANE"];
  if (!lane) return script;
  const number = (played.get(script) ?? 0) + 1;
  played.set(script, number);
  return `${script}-${lane}-${number}`;
}

/** @type {Promise<string> | undefined} */
let environment;

/** The one environment of this file's tests. */
export async function environmentId() {
  environment ??= client.beta.environments
    .create({ name: "conformance", config: { type: "cloud" } })
    .then((made) => made.id);
  return environment;
}

/**
 * An agent whose model plays a script of ../scripts.
 * @param {string} script
 * @param {Partial<Anthropic.Beta.Agents.AgentCreateParams>} fields
 */
export const makeAgent = (script, fields = {}) =>
  client.beta.agents.create({
    name: `plays ${script}`,
    model: `script/${script}`,
    system: "You follow a script.",
    tools: [toolset()],
    ...fields,
  });

/**
 * A session with an agent of its own, deleted after the test.
 * @param {import("node:test").TestContext} t
 * @param {string} script
 * @param {{ tools?: Tool[] } & Partial<Anthropic.Beta.Sessions.SessionCreateParams>} options
 */
export async function start(t, script, { tools, ...fields } = {}) {
  const agent = await makeAgent(script, tools === undefined ? {} : { tools });
  const session = await client.beta.sessions.create({
    agent: agent.id,
    environment_id: await environmentId(),
    ...fields,
  });
  // A test may have deleted it, or left it running.
  t.after(() => client.beta.sessions.delete(session.id).catch(() => undefined));
  return session;
}

// === what came back ===

/**
 * Each event where it was first seen: a client's event may come twice, queued and then processed.
 * @template {{ type: string }} E
 * @param {E[]} events
 */
export function once(events) {
  const seen = new Set();
  return events.filter((event) => {
    const id = "id" in event ? event.id : undefined;
    if (id === undefined) return true;
    const first = !seen.has(id);
    seen.add(id);
    return first;
  });
}

/** @param {{ type: string }[]} events */
export const types = (events) => once(events).map((event) => event.type);

/**
 * @template {ListedEvent["type"] | StreamEvent["type"]} T
 * @param {(ListedEvent | StreamEvent)[]} events
 * @param {T} type
 */
export const allOf = (events, type) =>
  /** @type {Extract<ListedEvent | StreamEvent, { type: T }>[]} */ (once(events).filter((event) => event.type === type));

/**
 * The one event of that type.
 * @template {ListedEvent["type"] | StreamEvent["type"]} T
 * @param {(ListedEvent | StreamEvent)[]} events
 * @param {T} type
 */
export function only(events, type) {
  const found = allOf(events, type);
  assert.equal(found.length, 1, `wanted one ${type} among ${types(events)}`);
  return /** @type {Extract<ListedEvent | StreamEvent, { type: T }>} */ (found[0]);
}

/** @param {{ content?: { type: string, text?: string }[] }} event */
export const textOf = (event) => (event.content ?? []).map((block) => block.text ?? "").join("");

/** @param {(ListedEvent | StreamEvent)[]} events */
export const said = (events) => allOf(events, "agent.message").map(textOf);

/**
 * Checks that the last event ends the turn well, and tells why it did not if it did not.
 * @template {ListedEvent | StreamEvent} E
 * @param {E[]} events
 */
export function finished(events) {
  const errors = allOf(events, "session.error").map((event) => JSON.stringify(event.error));
  const last = events.at(-1);
  assert(last?.type === "session.status_idle", `the turn has not ended: ${types(events)}`);
  assert.equal(last.stop_reason.type, "end_turn", `after ${errors}`);
  return events;
}

/** Why the session is idle with which the events end. @param {StreamEvent[]} events */
export function whyIdle(events) {
  const last = events.at(-1);
  assert(last?.type === "session.status_idle", `the turn has not ended: ${types(events)}`);
  return last.stop_reason.type;
}

/** The ids that the idle session waits for. @param {StreamEvent[]} events */
export function waitsFor(events) {
  const last = events.at(-1);
  assert(last?.type === "session.status_idle" && last.stop_reason.type === "requires_action", JSON.stringify(last));
  return last.stop_reason.event_ids;
}

// === conversations ===

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {number} milliseconds
 * @param {() => string} complaint
 * @returns {Promise<T>}
 */
async function within(promise, milliseconds, complaint) {
  const timer = new AbortController();
  const late = sleep(Math.max(0, milliseconds), undefined, { signal: timer.signal }).then(() => {
    throw new assert.AssertionError({ message: complaint() });
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}

/** A session with one open stream. */
export class Conversation {
  /** @param {string} id @param {import("@anthropic-ai/sdk/streaming").Stream<StreamEvent>} stream */
  constructor(id, stream) {
    this.id = id;
    this.stream = stream;
    this.events = stream[Symbol.asyncIterator]();
  }

  /**
   * Opens the stream, runs the body, and closes the stream.
   * @template T
   * @param {{ id: string }} session
   * @param {(conversation: Conversation) => Promise<T>} body
   * @param {{ event_deltas?: Preview[] }} params
   */
  static async with(session, body, params = {}) {
    const stream = await client.beta.sessions.events.stream(session.id, params);
    try {
      return await body(new Conversation(session.id, stream));
    } finally {
      stream.controller.abort();
    }
  }

  /** Posts the events and gives back their echoes. @param {...SentEvent} events */
  async send(...events) {
    return (await client.beta.sessions.events.send(this.id, { events })).data ?? [];
  }

  /** Says something and listens until the session is idle. @param {string} text */
  async turn(text) {
    await this.send(message(text));
    return this.until("session.status_idle");
  }

  /**
   * The events from here to the wanted one, which is the last of them.
   * @param {StreamEvent["type"]} wanted
   * @param {number} wait
   */
  async until(wanted, wait = WAIT) {
    const deadline = Date.now() + wait;
    /** @type {StreamEvent[]} */
    const events = [];
    while (events.at(-1)?.type !== wanted) {
      const complaint = () => `${wanted} did not come in ${wait} ms; came: ${types(events)}`;
      const { done, value } = await within(this.events.next(), deadline - Date.now(), complaint);
      assert(!done, `the stream ended before ${wanted}; came: ${types(events)}`);
      events.push(value);
    }
    return events;
  }

  /** The events from here until the server ends the stream. */
  async untilClosed(wait = WAIT) {
    const deadline = Date.now() + wait;
    /** @type {StreamEvent[]} */
    const events = [];
    for (;;) {
      const complaint = () => `the stream was not closed in ${wait} ms; came: ${types(events)}`;
      const { done, value } = await within(this.events.next(), deadline - Date.now(), complaint);
      if (done) return events;
      events.push(value);
    }
  }
}

/**
 * One message and everything until the session is idle again, over a stream that was open before.
 * @param {{ id: string }} session
 * @param {string} text
 * @param {{ event_deltas?: Preview[] }} params
 */
export const runTurn = (session, text, params = {}) =>
  Conversation.with(session, (conversation) => conversation.turn(text), params);

/**
 * @param {{ id: string }} session
 * @param {Anthropic.Beta.Sessions.EventListParams} params
 */
export const history = (session, params = {}) => collect(client.beta.sessions.events.list(session.id, params));

/** @template T @param {AsyncIterable<T>} items */
export async function collect(items) {
  const all = [];
  for await (const item of items) all.push(item);
  return all;
}

/**
 * For what no event announces: asks again until the answer is true.
 * @template T
 * @param {() => Promise<T>} look
 */
export async function eventually(look, wait = WAIT) {
  const deadline = Date.now() + wait;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert(Date.now() < deadline, `it did not come true in ${wait} ms; last answer: ${found}`);
    await sleep(50);
  }
}

/** Waits for idle in a way that leaves every input uncovered: neither a stream nor a listing.
 * @param {{ id: string }} session */
export const idleWithoutLookingAtEvents = (session) =>
  eventually(async () => (await client.beta.sessions.retrieve(session.id)).status === "idle");

/**
 * That the call is refused with that status, and the refusal for a closer look.
 * @param {() => PromiseLike<unknown>} call
 * @param {number} status
 */
export async function refused(call, status) {
  const refusal = await Promise.resolve()
    .then(call)
    .then(
      () => assert.fail(`it was accepted; wanted ${status}`),
      (/** @type {unknown} */ error) => error,
    );
  assert(refusal instanceof Anthropic.APIError, `${refusal}`);
  assert.equal(refusal.status, status, refusal.message);
  assert(refusal.requestID?.startsWith("req_"));
  return refusal;
}
