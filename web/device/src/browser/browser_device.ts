// A browser as a device: what it is to run, its experiments, what it reports, and search by its gateway.

import type { Value } from "../protocol/cbor_reader.ts";
import { writeCbor } from "../protocol/cbor_writer.ts";
import type { AnswerFrame } from "../protocol/frames.ts";
import { BrowserIdentity } from "./browser_identity.ts";
import { ConversationStore } from "./conversation_store.ts";
import { type Attribute, checkEvent, type EventFields, type EventKind } from "./event_reports.ts";
import { type Handler, LiveConnection } from "./live_connection.ts";

export interface DeviceOptions {
  /** A one-time token of `lykeion delivery token`: your own server gives it to people it knows. Asked for once. */
  enrolment: () => Promise<string> | string;
  /** The gateway's address; by default the page's own origin. */
  gateway?: string;
  /** Told to the fleet, which finds the class and the groups by them. */
  attributes?: { [name: string]: Attribute };
  /** Of the browser's data base. */
  name?: string;
}

/** What a device is to run. */
export interface DesiredState {
  device_class: string;
  targets: { [model: string]: string };
  flags: { [name: string]: Attribute };
}

export type Query = { k?: number; where?: string } & (
  | { photo: Blob | Uint8Array }
  /** `space` names the embedder that made the vector. */
  | { vector: Float32Array; space: string }
);

export interface FoundItem {
  id: string;
  score: number;
  attributes: { [name: string]: Value };
}

/** The gateway does not answer, or says why not. */
export class SearchUnavailable extends Error {
  override name = "SearchUnavailable";
}

export class Device {
  private readonly handlers: Handler[] = [];
  private readonly stop = new AbortController();
  private readonly exposed = new Set<string>();
  private live: LiveConnection | undefined;
  private running: Promise<void> = Promise.resolve();

  private constructor(
    private readonly store: ConversationStore,
    private readonly options: DeviceOptions,
    private wanted: DesiredState | undefined,
  ) {}

  /** What was kept before is there at once; the connection is made meanwhile. Of several tabs one has it. */
  static async open(options: DeviceOptions): Promise<Device> {
    const name = options.name ?? "lykeion";
    const store = await ConversationStore.open(name);
    const device = new Device(store, options, await store.record<DesiredState>("desired"));
    device.running = device.connect(`lykeion ${name}`);
    return device;
  }

  /** Ends the connection; what was not sent is kept. */
  async close(): Promise<void> {
    this.stop.abort();
    await this.running;
    this.store.close();
  }

  /** Whether there is a connection now. */
  get isLive(): boolean {
    return this.live?.open ?? false;
  }

  /** Why there is none. */
  get problem(): string {
    return this.live ? this.live.problem : "another tab is connected";
  }

  /** Call `handler` with each message. What it returns for a command, or its promise, is sent back as done; nothing, an
   * error, or no handler, as not done. After a crash a command may come a second time, with its key. */
  on(handler: Handler): void {
    this.handlers.push(handler);
  }

  /** What the gateway said last, also without a network; undefined before. */
  get desired(): DesiredState | undefined {
    return this.wanted;
  }

  /** Of this device, by the gateway's rules. */
  get flags(): { readonly [name: string]: Attribute } {
    return this.wanted?.flags ?? {};
  }

  /** The arm of an experiment that this device is assigned to, or the flag's value; undefined if there is none. The
   * first use is reported as an exposure. */
  variant(experiment: string): Attribute | undefined {
    const { flags } = this;
    const value = Object.hasOwn(flags, experiment) ? flags[experiment] : undefined;
    const exposure = JSON.stringify([experiment, value]);
    if (value !== undefined && !this.exposed.has(exposure)) {
      this.exposed.add(exposure);
      void this.report("exposure", { experiment, variant: value }, "exposure").catch(() => this.exposed.delete(exposure));
    }
    return value;
  }

  /** Kept until it can be sent; it is on disk when the promise resolves. Rejects with EventError, StorageError. */
  async report(name: string, fields: EventFields = {}, kind: EventKind = "event"): Promise<void> {
    checkEvent(name, fields, kind);
    await this.store.addEvent(name, fields, kind);
  }

  /** Parts of the answer, best first, as they come. Leaving the loop cancels the query, and so does `signal`.
   * Throws SearchUnavailable. */
  async *search(query: Query, signal?: AbortSignal): AsyncGenerator<FoundItem[], void, void> {
    const body = await bodyOf(query);
    const parts: (AnswerFrame | undefined)[] = [];
    let come = (): void => undefined;
    const id = this.live?.ask(body, (part) => {
      parts.push(part);
      come();
    });
    if (id === undefined) throw new SearchUnavailable(`there is no connection: ${this.problem}`);
    const cancelled = (): void => come();
    signal?.addEventListener("abort", cancelled);
    try {
      for (let isLast = false; !isLast; ) {
        signal?.throwIfAborted();
        if (!parts.length) await new Promise<void>((resolve) => (come = resolve));
        if (!parts.length) continue;
        const part = parts.shift();
        if (!part) throw new SearchUnavailable(`the connection has ended: ${this.problem}`);
        isLast = part.last;
        yield resultsOf(part.body);
      }
    } finally {
      signal?.removeEventListener("abort", cancelled);
      this.live?.cancel(id);
    }
  }

  private async connect(lock: string): Promise<void> {
    const { signal } = this.stop;
    try {
      await navigator.locks.request(lock, { signal }, async () => {
        this.live = new LiveConnection(this.store, this.user(), signal);
        await this.live.ended;
      });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  private user() {
    const { store, options, handlers } = this;
    const address = (options.gateway ?? location.origin).replace(/\/$/, "");
    const attributes = options.attributes ?? {};
    const identity = new BrowserIdentity(store, address, options.enrolment, attributes);
    return {
      address,
      handlers,
      credential: () => identity.credential(),
      state: (): Value => ({ software: "lykeion.js", runtime: "browser", attributes, models: {} }),
      desired: (body: Value) => this.desire(body),
    };
  }

  private async desire(body: Value): Promise<boolean> {
    const isNew = !this.wanted || !sameValues(body, this.wanted as unknown as Value);
    if (isNew) {
      await this.store.keep("desired", body);
      this.wanted = body as unknown as DesiredState;
    }
    return isNew;
  }
}

async function bodyOf(query: Query): Promise<Value> {
  const { k = 20, where = null } = query;
  if ("photo" in query) {
    const { photo } = query;
    return { k, where, photo: photo instanceof Uint8Array ? photo : new Uint8Array(await photo.arrayBuffer()) };
  }
  const vector = new DataView(new ArrayBuffer(4 * query.vector.length));
  query.vector.forEach((value, place) => vector.setFloat32(4 * place, value, true));
  return { k, where, vector: new Uint8Array(vector.buffer), space: query.space };
}

function resultsOf(body: Value): FoundItem[] {
  const { error, results } = body as { error?: Value; results?: Value };
  if (error !== undefined) throw new SearchUnavailable(`the gateway answers: ${String(error).slice(0, 200)}`);
  return results as unknown as FoundItem[];
}

function sameValues(left: Value, right: Value): boolean {
  return String(writeCbor(left)) === String(writeCbor(right));
}
