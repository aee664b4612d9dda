// What a device has to tell: bounded, and what had to be dropped is counted by kind.

import type { Value } from "../protocol/cbor_reader.ts";
import { writeCbor } from "../protocol/cbor_writer.ts";
import { MAX_FRAME_BYTES, MAX_ITEMS } from "../protocol/frame_codec.ts";
import { answered } from "./indexed_base.ts";

/** Those that are dropped first come first: an outcome without its exposure would be counted for nobody. */
export const KINDS = ["event", "outcome", "health", "exposure"] as const;
export type EventKind = (typeof KINDS)[number];
export type Attribute = string | number | boolean;
export type EventFields = { [name: string]: Attribute };

const MAX_EVENTS = 10_000;
const MAX_FIELDS_LETTERS = 4_096;
const MAX_BATCH_BYTES = MAX_FRAME_BYTES / 2;
const MAX_BATCH_ITEMS = MAX_ITEMS - 100;
/** Of an event without its fields. */
const EVENT_ITEMS = 11;
const NAME = /^[a-z][a-z0-9_.]{0,63}$/;

export interface ReportedEvent {
  id: number;
  kind: EventKind;
  rank: number;
  name: string;
  at: number;
  fields: EventFields;
}

/** An event that cannot be reported: its name or its fields are not what they may be. */
export class EventError extends Error {
  override name = "EventError";
}

/** Throws EventError. */
export function checkEvent(name: string, fields: EventFields, kind: EventKind): void {
  if (!NAME.test(name)) throw new EventError(`${name.slice(0, 64)} is not the name of an event`);
  if (!KINDS.includes(kind)) throw new EventError(`there are only events of the kinds ${KINDS.join(", ")}`);
  for (const [field, value] of Object.entries(fields)) {
    const fits = typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
    if (!fits) throw new EventError(`event ${name}: ${field.slice(0, 64)} is no text, number or truth value`);
  }
  if (JSON.stringify(fields).length > MAX_FIELDS_LETTERS) throw new EventError(`event ${name}: its fields are too long`);
}

/** In a change: drops what is beyond the bound. `records` has by counter how many of each kind were dropped in all. */
export async function withoutTheOldest(events: IDBObjectStore, records: IDBObjectStore): Promise<void> {
  if ((await answered(events.count())) <= MAX_EVENTS) return;
  const [least] = (await answered(events.index("rank").getAll(null, 1))) as ReportedEvent[];
  const counters = ((await answered(records.get("dropped"))) ?? {}) as { [counter: string]: { [kind: string]: number } };
  const [counter, totals] = Object.entries(counters)[0] ?? [newCounter(), {}];
  events.delete(least!.id);
  records.put({ [counter]: { ...totals, [least!.kind]: (totals[least!.kind] ?? 0) + 1 } }, "dropped");
}

export function plainEvent({ id, kind, name, at, fields }: ReportedEvent): Value {
  return { id, kind, name, at, fields };
}

/** The first events, as many as fit in a frame. */
export function withinAFrame(events: ReportedEvent[]): ReportedEvent[] {
  let bytes = MAX_BATCH_BYTES;
  let items = MAX_BATCH_ITEMS;
  const end = events.findIndex((event) => {
    bytes -= writeCbor(plainEvent(event)).length;
    items -= EVENT_ITEMS + 2 * Object.keys(event.fields).length;
    return Math.min(bytes, items) < 0;
  });
  return end < 0 ? events : events.slice(0, end);
}

function newCounter(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
