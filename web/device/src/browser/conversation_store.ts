// What a device keeps of its conversation: its session, what it has to send, and what came and was not handled.

import type { Value } from "../protocol/cbor_reader.ts";
import { DeviceSession, type SessionRecord } from "../protocol/device_session.ts";
import type { MessageFrame } from "../protocol/frames.ts";
import { type EventFields, type EventKind, KINDS, plainEvent, type ReportedEvent, withinAFrame, withoutTheOldest } from "./event_reports.ts";
import { answered, IndexedBase } from "./indexed_base.ts";

const MAX_KEPT = 1_000;
const MAX_EVENTS_AT_ONCE = 500;
const RECORDS = "records", OUTGOING = "outgoing", INCOMING = "incoming", EVENTS = "events";

type Stores = (name: string) => IDBObjectStore;
type StoredSession = SessionRecord & { first: number };

/** What a method has done is on disk when its promise resolves. The session is used by one task at a time. */
export class ConversationStore {
  session!: DeviceSession;

  private constructor(private readonly base: IndexedBase) {}

  static async open(name: string): Promise<ConversationStore> {
    const base = await IndexedBase.open(name, (made) => {
      made.createObjectStore(RECORDS);
      made.createObjectStore(OUTGOING, { keyPath: "number" });
      made.createObjectStore(INCOMING, { keyPath: "number" });
      made.createObjectStore(EVENTS, { keyPath: "id", autoIncrement: true }).createIndex("rank", "rank");
    });
    return new ConversationStore(base);
  }

  close(): void {
    this.base.close();
  }

  record<T>(name: string): Promise<T | undefined> {
    return this.base.read(RECORDS, (store) => store.get(name) as IDBRequest<T | undefined>);
  }

  keep(name: string, value: unknown): Promise<void> {
    return this.base.change((store) => void store(RECORDS).put(value, name));
  }

  /** What is on disk, also if something could not be written. */
  async reload(): Promise<DeviceSession> {
    const known = await this.record<StoredSession>("session");
    const { first, ...record } = known ?? { ...newSession(), first: 1 };
    const kept = await this.base.read(OUTGOING, (store) => store.getAll(IDBKeyRange.lowerBound(first)));
    this.session = new DeviceSession(record, kept as MessageFrame[], first, MAX_KEPT);
    if (!known) await this.base.change((store) => this.save(store));
    return this.session;
  }

  /** Another message to send. */
  put(name: string, body: Value): Promise<void> {
    return this.base.change((store) => this.add(store, name, body));
  }

  /** The session has forgotten some of what it kept. */
  acknowledged(): Promise<void> {
    return this.base.change((store) => this.forget(store));
  }

  /** It may be acknowledged then. */
  async take(frame: MessageFrame): Promise<void> {
    await this.base.change((store) => {
      store(INCOMING).add(frame);
      this.save(store, { ...this.session.record, received: frame.number });
    });
    this.session.onDisk(frame.number);
  }

  /** The session has an epoch, and may have other numbers. */
  welcomed(): Promise<void> {
    return this.base.change((store) => {
      store(OUTGOING).clear();
      for (const frame of this.session.outgoing.kept) store(OUTGOING).add(frame);
      this.save(store);
    });
  }

  /** A broadcast was handled. */
  heard(): Promise<void> {
    return this.base.change((store) => this.save(store));
  }

  /** The oldest message that came and was not handled. */
  async toHandle(): Promise<MessageFrame | undefined> {
    const [frame] = await this.base.read(INCOMING, (store) => store.getAll(null, 1));
    return frame as MessageFrame | undefined;
  }

  /** With its result, if it has one, in the same change. */
  handled(number: number, result: Value | undefined): Promise<void> {
    return this.base.change((store) => {
      store(INCOMING).delete(number);
      if (result !== undefined) this.add(store, "result", result);
    });
  }

  /** Kept until it can be sent; where there are too many, those that matter least are dropped, and counted. */
  addEvent(name: string, fields: EventFields, kind: EventKind): Promise<void> {
    const event = { kind, rank: KINDS.indexOf(kind), name, at: Date.now() / 1_000, fields };
    return this.base.change(async (store) => {
      store(EVENTS).add(event);
      await withoutTheOldest(store(EVENTS), store(RECORDS));
    });
  }

  /** The oldest events become a message. Whether there were any. */
  sendEvents(): Promise<boolean> {
    return this.base.change(async (store) => {
      const events = withinAFrame((await answered(store(EVENTS).getAll(null, MAX_EVENTS_AT_ONCE))) as ReportedEvent[]);
      if (!events.length) return false;
      const dropped = ((await answered(store(RECORDS).get("dropped"))) ?? {}) as { [counter: string]: Value };
      this.add(store, "events", { events: events.map(plainEvent), dropped });
      store(EVENTS).delete(IDBKeyRange.upperBound(events.at(-1)!.id));
      return true;
    });
  }

  private add(store: Stores, name: string, body: Value): void {
    const { made, dropped } = this.session.put(name, body);
    store(OUTGOING).add(made);
    if (dropped.length) this.forget(store);
  }

  private forget(store: Stores): void {
    store(OUTGOING).delete(IDBKeyRange.upperBound(this.session.outgoing.first, true));
    this.save(store);
  }

  private save(store: Stores, record: SessionRecord = this.session.record): void {
    const stored: StoredSession = { ...record, groups: { ...record.groups }, first: this.session.outgoing.first };
    store(RECORDS).put(stored, "session");
  }
}

function newSession(): SessionRecord {
  return { session: crypto.getRandomValues(new Uint8Array(16)), epoch: 0, received: 0, groups: {} };
}
