// Frames as bytes. What is read is bounded in size, depth and types before anything else looks at it.

import { CborReader, type Value } from "./cbor_reader.ts";
import { writeCbor } from "./cbor_writer.ts";
import { FrameError } from "./frame_error.ts";
import type { Frame, Groups, Reset } from "./frames.ts";

/** Of a frame that is no query. */
export const MAX_FRAME_BYTES = 1 << 18;
/** Of a query, which may hold a photo. */
export const MAX_QUERY_BYTES = 4 << 20;
/** Of a frame that is as long as only a query may be: items take far more memory than their bytes. */
const MAX_QUERY_ITEMS = 1_000;
/** Of any other frame. */
export const MAX_ITEMS = 16_384;
const MAX_GROUPS = 64;
const MAX_RESETS = 80;
const MAX_NAME = 80;
const MAX_REASON = 256;
const SESSION_BYTES = 16;
const UNPRINTABLE = /[\p{C}\p{Z}]/u;

type Read = (reader: CborReader) => unknown;

const number: Read = (reader) => reader.number();
const truth: Read = (reader) => reader.truth();
const session: Read = (reader) => reader.bytes(SESSION_BYTES);
const name: Read = (reader) => text(reader, MAX_NAME);
const reason: Read = (reader) => text(reader, MAX_REASON);
const body: Read = (reader) => reader.value(2);

/** Of each kind its code, and its fields in order. */
const KINDS: { [kind in Frame["kind"]]: [number, { [field: string]: Read }] } = {
  hello: [1, { session, epoch: number, received: number, first: number, next: number, limit: number, groups }],
  welcome: [2, { epoch: number, received: number, first: number, limit: number, groups, resets }],
  message: [3, { number, name, body }],
  ack: [4, { number, limit: number }],
  desired: [5, { revision: number, body }],
  broadcast: [6, { group: name, number, body }],
  query: [7, { id: number, body }],
  answer: [8, { id: number, part: number, last: truth, body }],
  cancel: [9, { id: number }],
  presence: [10, { body }],
  bye: [11, { why: reason, after_s: number }],
};
const KIND_OF = new Map(Object.entries(KINDS).map(([kind, [code]]) => [code, kind as Frame["kind"]]));

/** Equal frames give equal bytes. */
export function writeFrame(frame: Frame): Uint8Array {
  const [code, fields] = KINDS[frame.kind];
  const values = Object.keys(fields).map((field) => (frame as unknown as Record<string, Value>)[field]!);
  return writeCbor([code, ...(frame.kind === "welcome" ? [...values.slice(0, -1), plain(frame.resets)] : values)]);
}

/** Throws FrameError. */
export function readFrame(data: Uint8Array): Frame {
  const long = data.length > MAX_FRAME_BYTES;
  if (data.length > MAX_QUERY_BYTES) throw new FrameError(`${data.length} bytes; at most ${MAX_QUERY_BYTES} are read`);
  const most = long ? MAX_QUERY_ITEMS : MAX_ITEMS;
  if (hasMoreItems(data, most)) throw new FrameError(`${data.length} bytes with more than ${most} values`);
  const reader = new CborReader(data);
  const count = reader.array();
  const kind = KIND_OF.get(reader.number());
  if (!kind) throw new FrameError("there is no frame with this code");
  const fields = Object.entries(KINDS[kind][1]);
  if (count !== fields.length + 1) throw new FrameError(`${kind} has ${fields.length} fields, not ${count - 1}`);
  if (long && kind !== "query") throw new FrameError(`${kind} of ${data.length} bytes`);
  const frame: Record<string, unknown> = { kind };
  for (const [field, read] of fields) frame[field] = read(reader);
  reader.end();
  return frame as unknown as Frame;
}

function groups(reader: CborReader): Groups {
  const count = bounded(reader.map(), MAX_GROUPS, "groups");
  const found = Object.create(null) as Groups;
  for (let n = 0; n < count; n++) {
    const group = text(reader, MAX_NAME);
    if (group in found) throw new FrameError("a group is given twice");
    found[group] = reader.number();
  }
  return found;
}

function resets(reader: CborReader): Reset[] {
  const count = bounded(reader.array(), MAX_RESETS, "resets");
  return Array.from({ length: count }, () => {
    if (reader.array() !== 4) throw new FrameError("a reset has 4 fields");
    const what = text(reader, MAX_NAME);
    return { what, first: reader.number(), last: reader.number(), why: text(reader, MAX_REASON) };
  });
}

function text(reader: CborReader, most: number): string {
  const found = reader.text();
  const fits = [...found].length <= most && !UNPRINTABLE.test(found.replaceAll(" ", ""));
  if (!fits) throw new FrameError(`a text of up to ${most} printable letters is expected`);
  return found;
}

function bounded(count: number, most: number, what: string): number {
  if (count > most) throw new FrameError(`at most ${most} ${what} are read`);
  return count;
}

function plain(resets: Reset[]): Value {
  return resets.map((each) => [each.what, each.first, each.last, each.why]);
}

/** Whether there are more CBOR items, by their heads (RFC 8949, 3), whatever contains them. */
function hasMoreItems(data: Uint8Array, most: number): boolean {
  if (data.length <= most) return false;
  let items = 0;
  for (let place = 0; place < data.length && items <= most; items++) {
    const kind = data[place]! >> 5;
    const detail = data[place]! & 31;
    const more = detail >= 24 && detail < 28 ? 1 << (detail - 24) : 0;
    const value = more ? data.subarray(place + 1, place + 1 + more).reduce((size, byte) => size * 256 + byte, 0) : detail;
    place += 1 + more + (kind === 2 || kind === 3 ? value : 0);
  }
  return items > most;
}
