// A task that keeps a device in conversation with its gateway, and comes back when the connection has ended.

import type { Value } from "../protocol/cbor_reader.ts";
import type { DeviceSession } from "../protocol/device_session.ts";
import { readFrame, writeFrame } from "../protocol/frame_codec.ts";
import type { AnswerFrame, CancelFrame, Frame, MessageFrame, QueryFrame } from "../protocol/frames.ts";
import { reconnectDelayS, spreadS } from "../protocol/reconnecting.ts";
import type { ConversationStore } from "./conversation_store.ts";
import { type FrameTransport, Later, NoWebSocket, PollTransport, WebSocketTransport } from "./frame_transports.ts";

const LISTEN_MS = 1_000;
/** How often events are sent, more or less. */
const REPORT_S = 10;
/** Batches of events that wait for an acknowledgement. */
const MAX_UNDER_WAY = 8;

/** `command`: `name` and `body` are the sender's, and what the handler returns is sent back; `key` is the same if it is
 * handed out again. `broadcast`: `name` is the group. `desired`: `body` is the state to run. `reset`: `body` says what
 * was lost, and why. */
export interface DeviceMessage {
  kind: "command" | "broadcast" | "desired" | "reset";
  name: string;
  body: Value;
  key: string;
}

export type Handler = (message: DeviceMessage) => unknown;

/** What a connection needs of its device. `desired` keeps what is to run, and says whether that is new. */
export interface ConnectionUser {
  address: string;
  credential(): Promise<string>;
  state(): Value;
  desired(body: Value): Promise<boolean>;
  handlers: readonly Handler[];
}

/** Called with each part of an answer, or with undefined if none will come. */
export type Asker = (answer: AnswerFrame | undefined) => void;

export class LiveConnection {
  open = false;
  /** Why there is no connection now. */
  problem = "";
  readonly ended: Promise<void>;
  private readonly askers = new Map<number, Asker>();
  private readonly toAsk: (QueryFrame | CancelFrame)[] = [];
  private readonly results: [number, Value | undefined][] = [];
  private transport: FrameTransport | undefined;
  private nextId = 1;
  private isHandling = false;
  private polls = false;
  private hasToTell = false;
  private reportAt = 0;
  private endOfPause: (() => void) | undefined;

  /** Runs until `stop` is aborted. */
  constructor(
    private readonly store: ConversationStore,
    private readonly user: ConnectionUser,
    private readonly stop: AbortSignal,
  ) {
    stop.addEventListener("abort", () => this.wake());
    addEventListener("online", () => this.endOfPause?.(), { signal: stop });
    this.ended = this.run();
  }

  /** The number of a query that was sent; undefined where there is no connection. */
  ask(body: Value, asker: Asker): number | undefined {
    if (!this.open) return undefined;
    const id = this.nextId++;
    this.askers.set(id, asker);
    this.toAsk.push({ kind: "query", id, body });
    this.wake();
    return id;
  }

  cancel(id: number): void {
    if (!this.askers.delete(id)) return;
    this.toAsk.push({ kind: "cancel", id });
    this.wake();
  }

  /** There is something to do. */
  wake(): void {
    this.transport?.inbox.wake();
    if (this.stop.aborted) this.endOfPause?.();
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.stop.aborted) {
      let afterS = 0;
      try {
        afterS = await this.converse();
        failures = 0;
        this.polls = false;
      } catch (error) {
        failures = this.open ? 1 : failures + 1;
        this.problem = error instanceof Error ? error.message : String(error);
        this.polls = error instanceof NoWebSocket;
        if (error instanceof Later) afterS = error.seconds;
      }
      this.end();
      await this.pause(reconnectDelayS(failures, afterS, Math.random));
    }
  }

  /** Until the gateway says bye; after how many seconds to come back. */
  private async converse(): Promise<number> {
    const { address } = this.user;
    const token = await this.user.credential();
    const transport = this.polls ? new PollTransport(address, token) : await WebSocketTransport.open(address, token);
    this.transport = transport;
    try {
      return await this.talk(transport, await this.store.reload());
    } finally {
      this.transport = undefined;
      transport.close();
    }
  }

  private async talk(transport: FrameTransport, session: DeviceSession): Promise<number> {
    transport.send(writeFrame(session.hello()));
    this.reportAt = 0;
    while (!this.stop.aborted) {
      const data = await transport.inbox.next(LISTEN_MS);
      const given = data && this.received(transport, session, data);
      if (given?.kind === "bye") {
        this.problem = `the gateway has ended the connection: ${given.why}`;
        return given.after_s;
      }
      if (given) await this.given(given);
      if (session.open) await this.sendWhatIsDue(transport, session);
    }
    return 0;
  }

  /** Says bye to a gateway that is out of turn. */
  private received(transport: FrameTransport, session: DeviceSession, data: Uint8Array): Frame | null {
    try {
      return session.receive(readFrame(data));
    } catch (error) {
      const why = String(error).replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 250);
      transport.send(writeFrame({ kind: "bye", why, after_s: 0 }));
      throw error;
    }
  }

  private async given(frame: Frame): Promise<void> {
    switch (frame.kind) {
      case "welcome":
        await this.store.welcomed();
        this.open = this.hasToTell = true;
        this.problem = "";
        for (const { what, first, last, why } of frame.resets) {
          void this.tell({ kind: "reset", name: what, body: { what, first, last, why }, key: "" });
        }
        break;
      case "ack":
        await this.store.acknowledged();
        break;
      case "message":
        await this.store.take(frame);
        break;
      case "broadcast":
        void this.tell({ kind: "broadcast", name: frame.group, body: frame.body, key: "" });
        await this.store.heard();
        break;
      case "desired":
        if (await this.user.desired(frame.body)) void this.tell({ kind: "desired", name: "", body: frame.body, key: "" });
        break;
      case "answer":
        this.answered(frame);
    }
  }

  private async sendWhatIsDue(transport: FrameTransport, session: DeviceSession): Promise<void> {
    await this.handOut();
    if (this.hasToTell) {
      this.hasToTell = false;
      await this.store.put("state", this.user.state());
    }
    if (Date.now() >= this.reportAt) await this.report(session);
    for (const frame of [...session.due(), ...this.toAsk.splice(0)]) transport.send(writeFrame(frame));
  }

  private async report(session: DeviceSession): Promise<void> {
    while (session.outgoing.kept.length < MAX_UNDER_WAY) {
      if (await this.store.sendEvents()) continue;
      this.reportAt = Date.now() + 1_000 * spreadS(REPORT_S, Math.random);
      return;
    }
  }

  /** Commands are handled one after the other, beside the conversation: a handler may ask the gateway. */
  private async handOut(): Promise<void> {
    for (const [number, result] of this.results.splice(0)) {
      await this.store.handled(number, result);
      this.isHandling = false;
    }
    const frame = this.isHandling ? undefined : await this.store.toHandle();
    if (!frame) return;
    this.isHandling = true;
    void this.resultOf(frame).then((result) => {
      this.results.push([frame.number, result]);
      this.wake();
    });
  }

  private async resultOf({ name, body }: MessageFrame): Promise<Value | undefined> {
    if (name !== "command" || body === null || typeof body !== "object" || !("key" in body)) return undefined;
    const key = String(body["key"]);
    if (!body["for_s"]) return { key, ok: false, said: "expired" };
    const message = { kind: "command", name: String(body["name"]), body: body["body"] ?? null, key } as const;
    const [said, failed] = await this.tell(message);
    return { key, ok: said !== null && !failed, said: failed || said };
  }

  /** What the first handler that has an answer says, and what went wrong in one. */
  private async tell(message: DeviceMessage): Promise<[Value, string]> {
    let said: Value = null;
    let failed = "";
    for (const handler of [...this.user.handlers]) {
      try {
        const answer = ((await handler(message)) ?? null) as Value;
        checkResult({ key: message.key, ok: true, said: answer });
        said = said === null ? answer : said;
      } catch (error) {
        failed ||= String(error).slice(0, 300);
      }
    }
    return [said, failed];
  }

  private answered(frame: AnswerFrame): void {
    const asker = this.askers.get(frame.id);
    if (frame.last) this.askers.delete(frame.id);
    asker?.(frame);
  }

  private end(): void {
    this.open = false;
    this.toAsk.length = 0;
    for (const asker of this.askers.values()) asker(undefined);
    this.askers.clear();
  }

  private async pause(seconds: number): Promise<void> {
    if (this.stop.aborted) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.endOfPause = resolve;
      timer = setTimeout(resolve, 1_000 * seconds);
    });
    clearTimeout(timer);
    this.endOfPause = undefined;
  }
}

/** What no gateway would read must not be kept: it would end every connection. Throws FrameError. */
function checkResult(body: Value): void {
  readFrame(writeFrame({ kind: "message", number: 1, name: "result", body }));
}
