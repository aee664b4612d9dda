class FrameError extends Error {
  name = "FrameError";
}
const MAX_DEPTH = 8;
const UNSIGNED = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, SIMPLE = 7;
const COUNTED = 2 ** 53;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
class CborReader {
  constructor(data) {
    this.data = data;
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }
  data;
  place = 0;
  view;
  end() {
    if (this.place !== this.data.length) throw new FrameError("more bytes follow the frame");
  }
  /** From 0 to 2^53. */
  number() {
    const value = this.expect(UNSIGNED, "a number");
    if (value > BigInt(COUNTED)) throw new FrameError(`${value} is not a number from 0 to 2^53`);
    return Number(value);
  }
  truth() {
    const value = this.value();
    if (typeof value !== "boolean") throw new FrameError("true or false is expected");
    return value;
  }
  bytes(length2) {
    const value = this.value();
    if (!(value instanceof Uint8Array) || value.length !== length2) throw new FrameError(`${length2} bytes are expected`);
    return value;
  }
  text() {
    const value = this.value();
    if (typeof value !== "string") throw new FrameError("a text is expected");
    return value;
  }
  array() {
    return this.length(this.expect(ARRAY, "an array"));
  }
  /** How many keys and values follow. */
  map() {
    return this.length(this.expect(MAP, "a map"));
  }
  value(depth = 1) {
    const [kind, detail, size] = this.head();
    switch (kind) {
      case UNSIGNED:
        return counted(size);
      case NEGATIVE:
        return counted(-1n - size);
      case BYTES:
        return this.take(size).slice();
      case TEXT:
        return this.decoded(this.take(size));
      case ARRAY:
        return this.items(this.length(size), depth);
      case MAP:
        return this.entries(this.length(size), depth);
      case SIMPLE:
        return this.simple(detail);
      default:
        throw new FrameError("a tag");
    }
  }
  items(count, depth) {
    deepEnough(count, depth);
    const items = [];
    for (let n = 0; n < count; n++) items.push(this.value(depth + 1));
    return items;
  }
  /** Without a prototype, for a key may be `__proto__`. */
  entries(count, depth) {
    deepEnough(count, depth);
    const entries = /* @__PURE__ */ Object.create(null);
    for (let n = 0; n < count; n++) {
      const key = this.text();
      if (key in entries) throw new FrameError("a key is given twice");
      entries[key] = this.value(depth + 1);
    }
    return entries;
  }
  simple(detail) {
    if (detail === 20 || detail === 21) return detail === 21;
    if (detail === 22) return null;
    const place = this.place;
    if (detail === 25) return half(this.view.getUint16(place - 2));
    if (detail === 26) return this.view.getFloat32(place - 4);
    if (detail === 27) return this.view.getFloat64(place - 8);
    throw new FrameError("a simple value");
  }
  expect(kind, what) {
    const [found, , size] = this.head();
    if (found !== kind) throw new FrameError(`${what} is expected`);
    return size;
  }
  /** Kind, detail and argument of the next item; of a float the argument is its bits. */
  head() {
    const first = this.take(1n)[0];
    const detail = first & 31;
    if (detail < 24) return [first >> 5, detail, BigInt(detail)];
    if (detail > 27) throw new FrameError("an item of no definite length");
    let size = 0n;
    for (const byte of this.take(BigInt(1 << detail - 24))) size = size << 8n | BigInt(byte);
    return [first >> 5, detail, size];
  }
  /** Each item has a byte at least. */
  length(size) {
    if (size > this.data.length - this.place) throw new FrameError("more items than there are bytes");
    return Number(size);
  }
  take(size) {
    const end = this.place + this.length(size);
    const taken = this.data.subarray(this.place, end);
    this.place = end;
    return taken;
  }
  decoded(bytes) {
    try {
      return decoder.decode(bytes);
    } catch {
      throw new FrameError("a text that is not UTF-8");
    }
  }
}
function readCbor(data) {
  const reader = new CborReader(data);
  const value = reader.value();
  reader.end();
  return value;
}
function half(bits) {
  const power = bits >> 10 & 31;
  const steps = bits & 1023;
  const size = power === 31 ? steps ? NaN : Infinity : power ? (1024 + steps) * 2 ** (power - 25) : steps * 2 ** -24;
  return bits & 32768 ? -size : size;
}
function counted(value) {
  return value <= BigInt(COUNTED) && value >= -BigInt(COUNTED) ? Number(value) : value;
}
function deepEnough(count, depth) {
  if (count && depth > MAX_DEPTH) throw new FrameError(`nested more than ${MAX_DEPTH} deep`);
}
const MOST = 2n ** 64n;
const encoder = new TextEncoder();
function writeCbor(value) {
  const out = [];
  const parts = [];
  write(value, out, parts);
  return joined([...parts, Uint8Array.from(out)]);
}
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((place, part) => (whole.set(part, place), place + part.length), 0);
  return whole;
}
function write(value, out, parts) {
  if (value === null) out.push(246);
  else if (typeof value === "boolean") out.push(value ? 245 : 244);
  else if (typeof value === "bigint" || isWhole(value)) writeInteger(BigInt(value), out);
  else if (typeof value === "number") writeFloat(value, out);
  else if (typeof value === "string") writeBytes(TEXT, encoder.encode(value), out, parts);
  else if (value instanceof Uint8Array) writeBytes(BYTES, value, out, parts);
  else if (Array.isArray(value)) {
    writeHead(ARRAY, BigInt(value.length), out);
    for (const item of value) write(item, out, parts);
  } else if (typeof value === "object") writeMap(value, out, parts);
  else throw new FrameError(`${typeof value} cannot be sent`);
}
function writeMap(map, out, parts) {
  const entries = Object.entries(map).map(([key, value]) => [encoder.encode(key), value]);
  entries.sort(([left], [right]) => left.length - right.length || compared(left, right));
  writeHead(MAP, BigInt(entries.length), out);
  for (const [key, value] of entries) {
    writeBytes(TEXT, key, out, parts);
    write(value, out, parts);
  }
}
function writeBytes(kind, bytes, out, parts) {
  writeHead(kind, BigInt(bytes.length), out);
  parts.push(Uint8Array.from(out), bytes);
  out.length = 0;
}
function writeInteger(value, out) {
  if (value >= MOST || value < -MOST) throw new FrameError(`${value} has more than 64 bits`);
  if (value < 0n) writeHead(NEGATIVE, -1n - value, out);
  else writeHead(UNSIGNED, value, out);
}
function writeHead(kind, size, out) {
  if (size < 24n) {
    out.push(kind << 5 | Number(size));
    return;
  }
  const power = size < 1n << 8n ? 0 : size < 1n << 16n ? 1 : size < 1n << 32n ? 2 : 3;
  out.push(kind << 5 | 24 + power);
  for (let shift = 8 * ((1 << power) - 1); shift >= 0; shift -= 8) out.push(Number(size >> BigInt(shift) & 0xffn));
}
function writeFloat(value, out) {
  const view = new DataView(new ArrayBuffer(8));
  const short = Math.fround(value);
  const bits = Object.is(short, value) ? halfBits(value) : void 0;
  if (Number.isNaN(value)) out.push(249, 126, 0);
  else if (bits !== void 0) out.push(249, bits >> 8, bits & 255);
  else if (Object.is(short, value)) {
    view.setFloat32(0, value);
    out.push(250, ...new Uint8Array(view.buffer, 0, 4));
  } else {
    view.setFloat64(0, value);
    out.push(251, ...new Uint8Array(view.buffer));
  }
}
function halfBits(value) {
  const sign = Object.is(value, -0) || value < 0 ? 32768 : 0;
  const size = Math.abs(value);
  if (size === 0) return sign;
  if (size === Infinity) return sign | 31744;
  if (size > 65504) return void 0;
  const power = Math.max(Math.floor(Math.log2(size)), -14);
  const steps = size / 2 ** (power - 10);
  return Number.isInteger(steps) ? sign + (power + 14) * 1024 + steps : void 0;
}
function isWhole(value) {
  return Number.isInteger(value) && Math.abs(value) <= COUNTED && !Object.is(value, -0);
}
function compared(left, right) {
  const place = left.findIndex((byte, n) => byte !== right[n]);
  return place < 0 ? 0 : left[place] - right[place];
}
class NotInTurn extends Error {
  name = "NotInTurn";
}
class Outgoing {
  constructor(first = 1, kept = []) {
    this.first = first;
    this.frames = [...kept];
    this.sent = first - 1;
  }
  first;
  limit = 0;
  sent;
  frames;
  get next() {
    return this.first + this.frames.length;
  }
  /** From the oldest. */
  get kept() {
    return this.frames;
  }
  /** It is to be on disk before it is sent, or its number may be given again after a crash. */
  put(name2, body2) {
    const made = { kind: "message", number: this.next, name: name2, body: body2 };
    this.frames.push(made);
    return made;
  }
  /** Where no more can be kept. The other side is told by a reset when it next connects. */
  dropOldest() {
    this.first += 1;
    this.sent = Math.max(this.sent, this.first - 1);
    return this.frames.shift();
  }
  /** On a new connection: the other side has all up to `received`. */
  opened(received, limit) {
    this.forget(received);
    this.sent = this.first - 1;
    this.limit = limit;
  }
  /** Returns those that need not be kept. Throws NotInTurn for numbers that were not sent. */
  acknowledged(ack) {
    if (ack.number > this.sent) {
      throw new NotInTurn(`number ${ack.number} is acknowledged, but ${this.sent} was the last that was sent`);
    }
    this.limit = Math.max(this.limit, ack.limit);
    return this.forget(ack.number);
  }
  /** What may be sent now, and counts as sent. */
  due() {
    const last = Math.min(this.limit, this.next - 1);
    if (last <= this.sent) return [];
    const frames = this.frames.slice(this.sent + 1 - this.first, last + 1 - this.first);
    this.sent = last;
    return frames;
  }
  /** Number what is kept from `first` on, since the other side has these numbers of another past. */
  renumbered(first) {
    this.frames = this.frames.map((frame, place) => ({ ...frame, number: first + place }));
    this.first = first;
    this.sent = first - 1;
  }
  forget(number2) {
    const gone = this.frames.splice(0, Math.max(0, number2 + 1 - this.first));
    this.first += gone.length;
    return gone;
  }
}
class Incoming {
  constructor(stored, window) {
    this.stored = stored;
    this.window = window;
    this.taken = stored;
    this.promised = stored + window;
  }
  stored;
  window;
  taken;
  promised;
  acknowledge = false;
  /** The highest number that may be sent; it never falls. */
  get limit() {
    this.promised = Math.max(this.promised, this.stored + this.window);
    return this.promised;
  }
  /** Whether the message is new, and to be stored. Throws NotInTurn. */
  take(frame) {
    if (frame.number <= this.taken) {
      this.acknowledge ||= frame.number <= this.stored;
      return false;
    }
    if (frame.number > this.taken + 1) throw new NotInTurn(`number ${frame.number} came after ${this.taken}`);
    if (frame.number > this.limit) {
      throw new NotInTurn(`number ${frame.number} came; ${this.limit} was the highest that may be sent`);
    }
    this.taken = frame.number;
    return true;
  }
  onDisk(number2) {
    if (number2 > this.stored) {
      this.stored = number2;
      this.acknowledge = true;
    }
  }
  due() {
    if (!this.acknowledge) return [];
    this.acknowledge = false;
    return [{ kind: "ack", number: this.stored, limit: this.limit }];
  }
  /** On a new connection. */
  opened(stored) {
    this.taken = this.stored = stored;
    this.promised = stored + this.window;
    this.acknowledge = false;
  }
}
const DEVICE_WINDOW = 64;
class OldGateway extends Error {
  name = "OldGateway";
}
class DeviceSession {
  constructor(record, kept = [], first = 1, most = 1e3) {
    this.most = most;
    this.session = record.session;
    this.epoch = record.epoch;
    this.groups = copied(record.groups);
    this.outgoing = new Outgoing(first, kept);
    this.incoming = new Incoming(record.received, DEVICE_WINDOW);
  }
  most;
  session;
  outgoing;
  incoming;
  epoch;
  groups;
  open = false;
  droppedBroadcasts = 0;
  get record() {
    const { session: session2, epoch, incoming, groups: groups2 } = this;
    return { session: session2, epoch, received: incoming.stored, groups: copied(groups2) };
  }
  /** The message, to be stored before it is sent, and those that are dropped for it. */
  put(name2, body2) {
    const dropped = [];
    while (this.outgoing.kept.length + 1 > this.most) dropped.push(this.outgoing.dropOldest());
    return { made: this.outgoing.put(name2, body2), dropped };
  }
  /** Also for a connection after one that broke: what was not stored then comes again. */
  hello() {
    this.open = false;
    this.incoming.opened(this.incoming.stored);
    const { first, next } = this.outgoing;
    return { kind: "hello", ...this.record, first, next, limit: this.incoming.limit };
  }
  /** The frame, if there is something to do about it. Throws NotInTurn, OldGateway. */
  receive(frame) {
    if (frame.kind === "welcome") return this.welcomed(frame);
    if (frame.kind === "bye") return frame;
    if (!this.open) throw new NotInTurn(`${frame.kind} came before the welcome`);
    switch (frame.kind) {
      case "message":
        return this.incoming.take(frame) ? frame : null;
      case "ack":
        this.outgoing.acknowledged(frame);
        return frame;
      case "broadcast":
        return this.isNew(frame) ? frame : null;
      case "desired":
      case "answer":
        return frame;
      default:
        throw new NotInTurn(`a gateway does not send ${frame.kind}`);
    }
  }
  /** Messages up to this one are stored. */
  onDisk(number2) {
    this.incoming.onDisk(number2);
  }
  due() {
    return this.open ? [...this.incoming.due(), ...this.outgoing.due()] : [];
  }
  welcomed(frame) {
    if (this.open) throw new NotInTurn("a second welcome came");
    if (frame.epoch <= this.epoch) {
      throw new OldGateway(`the gateway gives epoch ${frame.epoch}; ${this.epoch} was given before`);
    }
    this.epoch = frame.epoch;
    this.open = true;
    this.incoming.opened(frame.first - 1);
    if (frame.resets.some((reset) => reset.what === "numbers")) this.outgoing.renumbered(frame.received + 1);
    this.outgoing.opened(frame.received, frame.limit);
    this.groups = copied(frame.groups);
    return frame;
  }
  /** One that is left out was dropped, which is counted. */
  isNew(frame) {
    const last = this.groups[frame.group];
    if (last === void 0 || frame.number <= last) return false;
    this.droppedBroadcasts += frame.number - last - 1;
    this.groups[frame.group] = frame.number;
    return true;
  }
}
function copied(groups2) {
  return Object.assign(/* @__PURE__ */ Object.create(null), groups2);
}
const MAX_FRAME_BYTES = 1 << 18;
const MAX_QUERY_BYTES = 4 << 20;
const MAX_QUERY_ITEMS = 1e3;
const MAX_ITEMS = 16384;
const MAX_GROUPS = 64;
const MAX_RESETS = 80;
const MAX_NAME = 80;
const MAX_REASON = 256;
const SESSION_BYTES = 16;
const UNPRINTABLE = /[\p{C}\p{Z}]/u;
const number = (reader) => reader.number();
const truth = (reader) => reader.truth();
const session = (reader) => reader.bytes(SESSION_BYTES);
const name = (reader) => text(reader, MAX_NAME);
const reason = (reader) => text(reader, MAX_REASON);
const body = (reader) => reader.value(2);
const KINDS$1 = {
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
  bye: [11, { why: reason, after_s: number }]
};
const KIND_OF = new Map(Object.entries(KINDS$1).map(([kind, [code]]) => [code, kind]));
function writeFrame(frame) {
  const [code, fields] = KINDS$1[frame.kind];
  const values = Object.keys(fields).map((field) => frame[field]);
  return writeCbor([code, ...frame.kind === "welcome" ? [...values.slice(0, -1), plain(frame.resets)] : values]);
}
function readFrame(data) {
  const long = data.length > MAX_FRAME_BYTES;
  if (data.length > MAX_QUERY_BYTES) throw new FrameError(`${data.length} bytes; at most ${MAX_QUERY_BYTES} are read`);
  const most = long ? MAX_QUERY_ITEMS : MAX_ITEMS;
  if (hasMoreItems(data, most)) throw new FrameError(`${data.length} bytes with more than ${most} values`);
  const reader = new CborReader(data);
  const count = reader.array();
  const kind = KIND_OF.get(reader.number());
  if (!kind) throw new FrameError("there is no frame with this code");
  const fields = Object.entries(KINDS$1[kind][1]);
  if (count !== fields.length + 1) throw new FrameError(`${kind} has ${fields.length} fields, not ${count - 1}`);
  if (long && kind !== "query") throw new FrameError(`${kind} of ${data.length} bytes`);
  const frame = { kind };
  for (const [field, read] of fields) frame[field] = read(reader);
  reader.end();
  return frame;
}
function groups(reader) {
  const count = bounded(reader.map(), MAX_GROUPS, "groups");
  const found = /* @__PURE__ */ Object.create(null);
  for (let n = 0; n < count; n++) {
    const group = text(reader, MAX_NAME);
    if (group in found) throw new FrameError("a group is given twice");
    found[group] = reader.number();
  }
  return found;
}
function resets(reader) {
  const count = bounded(reader.array(), MAX_RESETS, "resets");
  return Array.from({ length: count }, () => {
    if (reader.array() !== 4) throw new FrameError("a reset has 4 fields");
    const what = text(reader, MAX_NAME);
    return { what, first: reader.number(), last: reader.number(), why: text(reader, MAX_REASON) };
  });
}
function text(reader, most) {
  const found = reader.text();
  const fits = [...found].length <= most && !UNPRINTABLE.test(found.replaceAll(" ", ""));
  if (!fits) throw new FrameError(`a text of up to ${most} printable letters is expected`);
  return found;
}
function bounded(count, most, what) {
  if (count > most) throw new FrameError(`at most ${most} ${what} are read`);
  return count;
}
function plain(resets2) {
  return resets2.map((each) => [each.what, each.first, each.last, each.why]);
}
function hasMoreItems(data, most) {
  if (data.length <= most) return false;
  let items = 0;
  for (let place = 0; place < data.length && items <= most; items++) {
    const kind = data[place] >> 5;
    const detail = data[place] & 31;
    const more = detail >= 24 && detail < 28 ? 1 << detail - 24 : 0;
    const value = more ? data.subarray(place + 1, place + 1 + more).reduce((size, byte) => size * 256 + byte, 0) : detail;
    place += 1 + more + (kind === 2 || kind === 3 ? value : 0);
  }
  return items > most;
}
const PROTOCOL = "lykeion.v1";
const GATEWAY_WINDOW = 64;
function resume(hello, known, logs) {
  const resets2 = (known?.untold ?? []).filter(([epoch2]) => epoch2 > hello.epoch).map(([, reset]) => reset);
  const isNew = known === null || !sameBytes(known.session, hello.session);
  const compared2 = begun(hello, known, isNew, resets2);
  const epoch = Math.max(compared2.epoch, hello.epoch) + 1;
  const told = once(resets2).slice(-16);
  const untold = told.map((reset) => [toldAt(known, reset) ?? epoch, reset]);
  const state = { ...compared2, epoch, untold };
  const groups2 = copied({});
  for (const [group, log] of logs) groups2[group] = startOf(group, log, hello.groups[group], told);
  const limit = state.taken + GATEWAY_WINDOW;
  const welcome = {
    kind: "welcome",
    epoch,
    received: state.taken,
    first: state.first,
    limit,
    groups: groups2,
    resets: told
  };
  return { state, welcome, isNew };
}
class GatewaySession {
  epoch;
  groups;
  incoming;
  outgoing;
  constructor(hello, resumed, kept) {
    const { state, welcome } = resumed;
    this.epoch = state.epoch;
    this.groups = copied(welcome.groups);
    this.incoming = new Incoming(state.taken, GATEWAY_WINDOW);
    this.outgoing = new Outgoing(welcome.first, kept);
    this.outgoing.opened(welcome.first - 1, hello.limit);
  }
  /** The frame, if there is something to do about it: a message is to be stored. Throws NotInTurn. */
  receive(frame) {
    switch (frame.kind) {
      case "message":
        return this.incoming.take(frame) ? frame : null;
      case "ack":
        return this.outgoing.acknowledged(frame).length ? frame : null;
      case "query":
      case "cancel":
      case "presence":
        return frame;
      default:
        throw new NotInTurn(`a device does not send ${frame.kind} here`);
    }
  }
  /** Messages up to this one are stored. */
  onDisk(number2) {
    this.incoming.onDisk(number2);
  }
  /** How many more messages may be under way: as many as the device takes, and no more than are kept here. */
  get room() {
    const { limit, next, kept } = this.outgoing;
    return Math.max(0, Math.min(limit + 1 - next, GATEWAY_WINDOW - kept.length));
  }
  /** To be on disk with its number before it is sent. */
  put(name2, body2) {
    return this.outgoing.put(name2, body2);
  }
  due() {
    return [...this.incoming.due(), ...this.outgoing.due()];
  }
}
function begun(hello, known, isNew, resets2) {
  if (known && !isNew) return compare(hello, known, resets2);
  const { session: session2, first, received } = hello;
  const epoch = known?.epoch ?? 0;
  if (hello.epoch === 0) return compare(hello, { session: session2, epoch, taken: 0, first: 1, sent: 0 }, resets2);
  resets2.push({ what: "session", first: 0, last: 0, why: "the gateway does not know this session" });
  return { session: session2, epoch, taken: first - 1, first: received + 1, sent: received, untold: [] };
}
function compare(hello, known, resets2) {
  let { taken, first, sent } = known;
  const lost = (what, from, to, why) => resets2.push({ what, first: from, last: to, why });
  if (hello.first > taken + 1) {
    lost("up", taken + 1, hello.first - 1, "the device could not keep them");
    taken = hello.first - 1;
  } else if (hello.next <= taken) {
    lost("numbers", hello.next, taken, "the device's file is older than the gateway's");
  }
  if (hello.received > sent) {
    lost("down", sent + 1, hello.received, "the gateway's file is older than the device's");
    first = hello.received + 1;
    sent = hello.received;
  } else if (hello.received + 1 < first) {
    lost("down", hello.received + 1, first - 1, "they were not kept any longer");
  }
  first = Math.max(first, Math.min(hello.received, sent) + 1);
  return { session: known.session, epoch: known.epoch, taken, first, sent, untold: [] };
}
function startOf(group, log, seen, resets2) {
  const what = `group:${group}`;
  if (seen === void 0) return log.last;
  if (seen > log.last) {
    resets2.push({ what, first: log.last + 1, last: seen, why: "the gateway's file is older than the device's" });
    return log.last;
  }
  if (seen + 1 < log.first) {
    resets2.push({ what, first: seen + 1, last: log.first - 1, why: "they were not kept any longer" });
  }
  return Math.max(seen, log.first - 1);
}
function once(resets2) {
  return resets2.filter((reset, place) => resets2.findIndex((each) => same(each, reset)) === place);
}
function toldAt(known, reset) {
  return known?.untold.findLast(([, each]) => same(each, reset))?.[0];
}
function same(left, right) {
  return left.what === right.what && left.first === right.first && left.last === right.last && left.why === right.why;
}
function sameBytes(left, right) {
  return left.length === right.length && left.every((byte, place) => byte === right[place]);
}
function joinFrames(frames) {
  return joined(frames.flatMap((frame) => [length(frame), frame]));
}
function splitFrames(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const frames = [];
  for (let place = 0; place < data.length; ) {
    const end = place + 4 + (place + 4 <= data.length ? view.getUint32(place) : data.length);
    if (end > data.length) throw new FrameError("frames that are cut off");
    frames.push(data.slice(place + 4, end));
    place = end;
  }
  return frames;
}
function length(frame) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, frame.length);
  return bytes;
}
const FIRST_S = 1;
const MOST_S = 300;
function reconnectDelayS(failures, afterS, chance) {
  const bound = Math.min(MOST_S, FIRST_S * 2 ** Math.min(failures, 20));
  return afterS + chance() * Math.max(bound, afterS);
}
function spreadS(periodS, chance, part = 0.3) {
  return periodS * (1 - part + 2 * part * chance());
}
class FrameInbox {
  frames = [];
  ended;
  woken;
  isWoken = false;
  put(...frames) {
    this.frames.push(...frames);
    this.wake();
  }
  /** No more will come, because of `error`. */
  end(error) {
    this.ended ??= error;
    this.wake();
  }
  /** Let the reader look up: there is something to send, perhaps. */
  wake() {
    this.isWoken = true;
    this.woken?.();
  }
  /** The next frame, or undefined after `waitMs` or `wake`. Throws what ended it. */
  async next(waitMs) {
    if (!this.frames.length && !this.ended && !this.isWoken) await this.something(waitMs);
    this.isWoken = false;
    const frame = this.frames.shift();
    if (!frame && this.ended) throw this.ended;
    return frame;
  }
  async something(waitMs) {
    let timer;
    await new Promise((resolve) => {
      this.woken = resolve;
      timer = setTimeout(resolve, waitMs);
    });
    clearTimeout(timer);
    this.woken = void 0;
  }
}
const CONVERSATION = "/v1/device/conversation";
const POLL = "/v1/device/poll";
const CONNECTION = "Lykeion-Connection";
const OPEN_MS = 2e4;
const POLL_MS = 6e4;
const SOON_MS = 1e3;
class Unavailable extends Error {
  name = "Unavailable";
}
class NoWebSocket extends Unavailable {
  name = "NoWebSocket";
}
class Later extends Unavailable {
  constructor(seconds) {
    super(`the gateway asks to come back after ${seconds} s`);
    this.seconds = seconds;
  }
  seconds;
  name = "Later";
}
class WebSocketTransport {
  constructor(socket) {
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.inbox.put(new Uint8Array(data));
    socket.onclose = ({ reason: reason2 }) => this.inbox.end(new Unavailable(reason2 || "the connection has ended"));
  }
  socket;
  inbox = new FrameInbox();
  /** At `address`, an http or https URL. Throws NoWebSocket. */
  static async open(address, token) {
    const url = address.replace(/^http/, "ws") + CONVERSATION;
    const socket = new WebSocket(url, [PROTOCOL, `bearer.${token}`]);
    const made = new WebSocketTransport(socket);
    const timer = setTimeout(() => socket.close(), OPEN_MS);
    const opened = new Promise((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
      socket.addEventListener("close", () => resolve(false));
    });
    const isOpen = await opened;
    clearTimeout(timer);
    if (!isOpen) throw new NoWebSocket(`${url}: no WebSocket could be opened`);
    return made;
  }
  send(data) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data);
  }
  close() {
    this.socket.close();
  }
}
class PollTransport {
  constructor(address, token) {
    this.token = token;
    this.url = address + POLL;
  }
  token;
  inbox = new FrameInbox();
  url;
  ended = new AbortController();
  out = [];
  name = "";
  waiting;
  isBringing = false;
  send(data) {
    this.out.push(data);
    queueMicrotask(() => {
      if (!this.waiting) void this.listen();
      else void this.bring();
    });
  }
  close() {
    if (this.out.length && this.name) void this.exchange().catch(() => void 0);
    this.ended.abort();
    this.inbox.end(new Unavailable("the connection was closed"));
  }
  async listen() {
    while (!this.ended.signal.aborted) {
      this.waiting = this.receive();
      await this.waiting;
      void this.bring();
    }
  }
  async receive() {
    try {
      this.inbox.put(...await this.exchange(this.ended.signal));
    } catch (error) {
      this.ended.abort();
      this.inbox.end(error instanceof Error ? error : new Unavailable(String(error)));
    }
  }
  /** Frames that come back were taken after those of the request that waits: its answer is under way, then. */
  async bring() {
    if (!this.name || this.isBringing || !this.out.length || this.ended.signal.aborted) return;
    this.isBringing = true;
    const waiting = this.waiting;
    try {
      const frames = await this.exchange(this.ended.signal);
      if (frames.length) await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, SOON_MS))]);
      this.inbox.put(...frames);
    } catch (error) {
      this.ended.abort();
      this.inbox.end(error);
    } finally {
      this.isBringing = false;
    }
    void this.bring();
  }
  /** Throws Later, Unavailable, FrameError. */
  async exchange(signal) {
    const headers = {
      "Authorization": `Bearer ${this.token}`,
      "Content-Type": "application/octet-stream"
    };
    if (this.name) headers[CONNECTION] = this.name;
    const body2 = joinFrames(this.out.splice(0));
    const answer = await asked(this.url, { method: "POST", headers, body: body2, cache: "no-store", keepalive: !signal }, signal);
    this.name = answer.headers.get(CONNECTION) ?? "";
    const frames = splitFrames(new Uint8Array(await answer.arrayBuffer()));
    if (!this.name) {
      this.inbox.put(...frames);
      throw new Unavailable("the gateway has ended the connection");
    }
    return frames;
  }
}
async function asked(url, request, signal) {
  const late = AbortSignal.timeout(POLL_MS);
  let answer;
  try {
    answer = await fetch(url, { ...request, signal: signal ? AbortSignal.any([signal, late]) : late });
  } catch (error) {
    throw new Unavailable(`${url}: ${String(error)}`);
  }
  if (answer.status === 429 || answer.status === 503) throw new Later(Number(answer.headers.get("Retry-After")) || 1);
  if (!answer.ok) throw new Unavailable(`${url}: the gateway answers ${answer.status}: ${(await answer.text()).slice(0, 200)}`);
  return answer;
}
const RENEW_BEFORE_S = 600;
class BrowserIdentity {
  constructor(store, address, enrolment, attributes) {
    this.store = store;
    this.address = address;
    this.enrolment = enrolment;
    this.attributes = attributes;
  }
  store;
  address;
  enrolment;
  attributes;
  /** One that is valid for a while, renewed if need be. Throws Later, Unavailable. */
  async credential() {
    const known = await this.store.record("credential");
    if (known && known.expires - Date.now() / 1e3 >= RENEW_BEFORE_S) return known.token;
    const made = known ? await this.renewed(known.device) : await this.enrolled();
    await this.store.keep("credential", made);
    return made.token;
  }
  /** The key is kept before it is sent: after an error the same may be repeated. */
  async enrolled() {
    const { publicKey } = await this.key() ?? await this.newKey();
    const raw = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
    return this.ask("/v1/device/enrol", {
      token: await this.enrolment(),
      public_key: hexOf(raw),
      attributes: this.attributes
    });
  }
  async renewed(device) {
    const key = await this.key();
    if (!key) throw new Error("this browser has lost its key");
    const at = Math.floor(Date.now() / 1e3);
    const said = new TextEncoder().encode(`lykeion device renewal
${device}
${at}`);
    const signature = hexOf(new Uint8Array(await crypto.subtle.sign("Ed25519", key.privateKey, said)));
    return this.ask("/v1/device/renew", { device, at, signature });
  }
  async ask(path, body2) {
    const headers = { "Content-Type": "application/json" };
    const answer = await asked(this.address + path, { method: "POST", headers, body: JSON.stringify(body2) });
    return await answer.json();
  }
  key() {
    return this.store.record("key");
  }
  async newKey() {
    const made = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    await this.store.keep("key", made);
    return made;
  }
}
function hexOf(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
class StorageError extends Error {
  name = "StorageError";
}
class IndexedBase {
  constructor(base) {
    this.base = base;
  }
  base;
  /** `upgrade` makes the stores of a base that is new. */
  static async open(name2, upgrade) {
    const asked2 = indexedDB.open(name2, 1);
    asked2.onupgradeneeded = () => upgrade(asked2.result);
    return new IndexedBase(await answered(asked2));
  }
  close() {
    this.base.close();
  }
  /** What `work` does is on disk when the promise resolves, or nothing of it is. */
  async change(work) {
    const change = this.base.transaction([...this.base.objectStoreNames], "readwrite", { durability: "strict" });
    const done = new Promise((resolve, reject) => {
      change.oncomplete = () => resolve();
      change.onabort = () => reject(new StorageError(String(change.error ?? "a change was given up")));
    });
    done.catch(() => void 0);
    try {
      const result = await work((name2) => change.objectStore(name2));
      await done;
      return result;
    } catch (error) {
      if (change.error === null) abort(change);
      throw error;
    }
  }
  read(store, work) {
    return answered(work(this.base.transaction(store).objectStore(store)));
  }
}
function answered(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(new StorageError(String(request.error)));
  });
}
function abort(change) {
  try {
    change.abort();
  } catch {
  }
}
const KINDS = ["event", "outcome", "health", "exposure"];
const MAX_EVENTS = 1e4;
const MAX_FIELDS_LETTERS = 4096;
const MAX_BATCH_BYTES = MAX_FRAME_BYTES / 2;
const MAX_BATCH_ITEMS = MAX_ITEMS - 100;
const EVENT_ITEMS = 11;
const NAME = /^[a-z][a-z0-9_.]{0,63}$/;
class EventError extends Error {
  name = "EventError";
}
function checkEvent(name2, fields, kind) {
  if (!NAME.test(name2)) throw new EventError(`${name2.slice(0, 64)} is not the name of an event`);
  if (!KINDS.includes(kind)) throw new EventError(`there are only events of the kinds ${KINDS.join(", ")}`);
  for (const [field, value] of Object.entries(fields)) {
    const fits = typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
    if (!fits) throw new EventError(`event ${name2}: ${field.slice(0, 64)} is no text, number or truth value`);
  }
  if (JSON.stringify(fields).length > MAX_FIELDS_LETTERS) throw new EventError(`event ${name2}: its fields are too long`);
}
async function withoutTheOldest(events, records) {
  if (await answered(events.count()) <= MAX_EVENTS) return;
  const [least] = await answered(events.index("rank").getAll(null, 1));
  const counters = await answered(records.get("dropped")) ?? {};
  const [counter, totals] = Object.entries(counters)[0] ?? [newCounter(), {}];
  events.delete(least.id);
  records.put({ [counter]: { ...totals, [least.kind]: (totals[least.kind] ?? 0) + 1 } }, "dropped");
}
function plainEvent({ id, kind, name: name2, at, fields }) {
  return { id, kind, name: name2, at, fields };
}
function withinAFrame(events) {
  let bytes = MAX_BATCH_BYTES;
  let items = MAX_BATCH_ITEMS;
  const end = events.findIndex((event) => {
    bytes -= writeCbor(plainEvent(event)).length;
    items -= EVENT_ITEMS + 2 * Object.keys(event.fields).length;
    return Math.min(bytes, items) < 0;
  });
  return end < 0 ? events : events.slice(0, end);
}
function newCounter() {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
const MAX_KEPT = 1e3;
const MAX_EVENTS_AT_ONCE = 500;
const RECORDS = "records", OUTGOING = "outgoing", INCOMING = "incoming", EVENTS = "events";
class ConversationStore {
  constructor(base) {
    this.base = base;
  }
  base;
  session;
  static async open(name2) {
    const base = await IndexedBase.open(name2, (made) => {
      made.createObjectStore(RECORDS);
      made.createObjectStore(OUTGOING, { keyPath: "number" });
      made.createObjectStore(INCOMING, { keyPath: "number" });
      made.createObjectStore(EVENTS, { keyPath: "id", autoIncrement: true }).createIndex("rank", "rank");
    });
    return new ConversationStore(base);
  }
  close() {
    this.base.close();
  }
  record(name2) {
    return this.base.read(RECORDS, (store) => store.get(name2));
  }
  keep(name2, value) {
    return this.base.change((store) => void store(RECORDS).put(value, name2));
  }
  /** What is on disk, also if something could not be written. */
  async reload() {
    const known = await this.record("session");
    const { first, ...record } = known ?? { ...newSession(), first: 1 };
    const kept = await this.base.read(OUTGOING, (store) => store.getAll(IDBKeyRange.lowerBound(first)));
    this.session = new DeviceSession(record, kept, first, MAX_KEPT);
    if (!known) await this.base.change((store) => this.save(store));
    return this.session;
  }
  /** Another message to send. */
  put(name2, body2) {
    return this.base.change((store) => this.add(store, name2, body2));
  }
  /** The session has forgotten some of what it kept. */
  acknowledged() {
    return this.base.change((store) => this.forget(store));
  }
  /** It may be acknowledged then. */
  async take(frame) {
    await this.base.change((store) => {
      store(INCOMING).add(frame);
      this.save(store, { ...this.session.record, received: frame.number });
    });
    this.session.onDisk(frame.number);
  }
  /** The session has an epoch, and may have other numbers. */
  welcomed() {
    return this.base.change((store) => {
      store(OUTGOING).clear();
      for (const frame of this.session.outgoing.kept) store(OUTGOING).add(frame);
      this.save(store);
    });
  }
  /** A broadcast was handled. */
  heard() {
    return this.base.change((store) => this.save(store));
  }
  /** The oldest message that came and was not handled. */
  async toHandle() {
    const [frame] = await this.base.read(INCOMING, (store) => store.getAll(null, 1));
    return frame;
  }
  /** With its result, if it has one, in the same change. */
  handled(number2, result) {
    return this.base.change((store) => {
      store(INCOMING).delete(number2);
      if (result !== void 0) this.add(store, "result", result);
    });
  }
  /** Kept until it can be sent; where there are too many, those that matter least are dropped, and counted. */
  addEvent(name2, fields, kind) {
    const event = { kind, rank: KINDS.indexOf(kind), name: name2, at: Date.now() / 1e3, fields };
    return this.base.change(async (store) => {
      store(EVENTS).add(event);
      await withoutTheOldest(store(EVENTS), store(RECORDS));
    });
  }
  /** The oldest events become a message. Whether there were any. */
  sendEvents() {
    return this.base.change(async (store) => {
      const events = withinAFrame(await answered(store(EVENTS).getAll(null, MAX_EVENTS_AT_ONCE)));
      if (!events.length) return false;
      const dropped = await answered(store(RECORDS).get("dropped")) ?? {};
      this.add(store, "events", { events: events.map(plainEvent), dropped });
      store(EVENTS).delete(IDBKeyRange.upperBound(events.at(-1).id));
      return true;
    });
  }
  add(store, name2, body2) {
    const { made, dropped } = this.session.put(name2, body2);
    store(OUTGOING).add(made);
    if (dropped.length) this.forget(store);
  }
  forget(store) {
    store(OUTGOING).delete(IDBKeyRange.upperBound(this.session.outgoing.first, true));
    this.save(store);
  }
  save(store, record = this.session.record) {
    const stored = { ...record, groups: { ...record.groups }, first: this.session.outgoing.first };
    store(RECORDS).put(stored, "session");
  }
}
function newSession() {
  return { session: crypto.getRandomValues(new Uint8Array(16)), epoch: 0, received: 0, groups: {} };
}
const LISTEN_MS = 1e3;
const REPORT_S = 10;
const MAX_UNDER_WAY = 8;
class LiveConnection {
  /** Runs until `stop` is aborted. */
  constructor(store, user, stop) {
    this.store = store;
    this.user = user;
    this.stop = stop;
    stop.addEventListener("abort", () => this.wake());
    addEventListener("online", () => this.endOfPause?.(), { signal: stop });
    this.ended = this.run();
  }
  store;
  user;
  stop;
  open = false;
  /** Why there is no connection now. */
  problem = "";
  ended;
  askers = /* @__PURE__ */ new Map();
  toAsk = [];
  results = [];
  transport;
  nextId = 1;
  isHandling = false;
  polls = false;
  hasToTell = false;
  reportAt = 0;
  endOfPause;
  /** The number of a query that was sent; undefined where there is no connection. */
  ask(body2, asker) {
    if (!this.open) return void 0;
    const id = this.nextId++;
    this.askers.set(id, asker);
    this.toAsk.push({ kind: "query", id, body: body2 });
    this.wake();
    return id;
  }
  cancel(id) {
    if (!this.askers.delete(id)) return;
    this.toAsk.push({ kind: "cancel", id });
    this.wake();
  }
  /** There is something to do. */
  wake() {
    this.transport?.inbox.wake();
    if (this.stop.aborted) this.endOfPause?.();
  }
  async run() {
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
  async converse() {
    const { address } = this.user;
    const token = await this.user.credential();
    const transport = this.polls ? new PollTransport(address, token) : await WebSocketTransport.open(address, token);
    this.transport = transport;
    try {
      return await this.talk(transport, await this.store.reload());
    } finally {
      this.transport = void 0;
      transport.close();
    }
  }
  async talk(transport, session2) {
    transport.send(writeFrame(session2.hello()));
    this.reportAt = 0;
    while (!this.stop.aborted) {
      const data = await transport.inbox.next(LISTEN_MS);
      const given = data && this.received(transport, session2, data);
      if (given?.kind === "bye") {
        this.problem = `the gateway has ended the connection: ${given.why}`;
        return given.after_s;
      }
      if (given) await this.given(given);
      if (session2.open) await this.sendWhatIsDue(transport, session2);
    }
    return 0;
  }
  /** Says bye to a gateway that is out of turn. */
  received(transport, session2, data) {
    try {
      return session2.receive(readFrame(data));
    } catch (error) {
      const why = String(error).replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 250);
      transport.send(writeFrame({ kind: "bye", why, after_s: 0 }));
      throw error;
    }
  }
  async given(frame) {
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
  async sendWhatIsDue(transport, session2) {
    await this.handOut();
    if (this.hasToTell) {
      this.hasToTell = false;
      await this.store.put("state", this.user.state());
    }
    if (Date.now() >= this.reportAt) await this.report(session2);
    for (const frame of [...session2.due(), ...this.toAsk.splice(0)]) transport.send(writeFrame(frame));
  }
  async report(session2) {
    while (session2.outgoing.kept.length < MAX_UNDER_WAY) {
      if (await this.store.sendEvents()) continue;
      this.reportAt = Date.now() + 1e3 * spreadS(REPORT_S, Math.random);
      return;
    }
  }
  /** Commands are handled one after the other, beside the conversation: a handler may ask the gateway. */
  async handOut() {
    for (const [number2, result] of this.results.splice(0)) {
      await this.store.handled(number2, result);
      this.isHandling = false;
    }
    const frame = this.isHandling ? void 0 : await this.store.toHandle();
    if (!frame) return;
    this.isHandling = true;
    void this.resultOf(frame).then((result) => {
      this.results.push([frame.number, result]);
      this.wake();
    });
  }
  async resultOf({ name: name2, body: body2 }) {
    if (name2 !== "command" || body2 === null || typeof body2 !== "object" || !("key" in body2)) return void 0;
    const key = String(body2["key"]);
    if (!body2["for_s"]) return { key, ok: false, said: "expired" };
    const message = { kind: "command", name: String(body2["name"]), body: body2["body"] ?? null, key };
    const [said, failed] = await this.tell(message);
    return { key, ok: said !== null && !failed, said: failed || said };
  }
  /** What the first handler that has an answer says, and what went wrong in one. */
  async tell(message) {
    let said = null;
    let failed = "";
    for (const handler of [...this.user.handlers]) {
      try {
        const answer = await handler(message) ?? null;
        checkResult({ key: message.key, ok: true, said: answer });
        said = said === null ? answer : said;
      } catch (error) {
        failed ||= String(error).slice(0, 300);
      }
    }
    return [said, failed];
  }
  answered(frame) {
    const asker = this.askers.get(frame.id);
    if (frame.last) this.askers.delete(frame.id);
    asker?.(frame);
  }
  end() {
    this.open = false;
    this.toAsk.length = 0;
    for (const asker of this.askers.values()) asker(void 0);
    this.askers.clear();
  }
  async pause(seconds) {
    if (this.stop.aborted) return;
    let timer;
    await new Promise((resolve) => {
      this.endOfPause = resolve;
      timer = setTimeout(resolve, 1e3 * seconds);
    });
    clearTimeout(timer);
    this.endOfPause = void 0;
  }
}
function checkResult(body2) {
  readFrame(writeFrame({ kind: "message", number: 1, name: "result", body: body2 }));
}
class SearchUnavailable extends Error {
  name = "SearchUnavailable";
}
class Device {
  constructor(store, options, wanted) {
    this.store = store;
    this.options = options;
    this.wanted = wanted;
  }
  store;
  options;
  wanted;
  handlers = [];
  stop = new AbortController();
  exposed = /* @__PURE__ */ new Set();
  live;
  running = Promise.resolve();
  /** What was kept before is there at once; the connection is made meanwhile. Of several tabs one has it. */
  static async open(options) {
    const name2 = options.name ?? "lykeion";
    const store = await ConversationStore.open(name2);
    const device = new Device(store, options, await store.record("desired"));
    device.running = device.connect(`lykeion ${name2}`);
    return device;
  }
  /** Ends the connection; what was not sent is kept. */
  async close() {
    this.stop.abort();
    await this.running;
    this.store.close();
  }
  /** Whether there is a connection now. */
  get isLive() {
    return this.live?.open ?? false;
  }
  /** Why there is none. */
  get problem() {
    return this.live ? this.live.problem : "another tab is connected";
  }
  /** Call `handler` with each message. What it returns for a command, or its promise, is sent back as done; nothing, an
   * error, or no handler, as not done. After a crash a command may come a second time, with its key. */
  on(handler) {
    this.handlers.push(handler);
  }
  /** What the gateway said last, also without a network; undefined before. */
  get desired() {
    return this.wanted;
  }
  /** Of this device, by the gateway's rules. */
  get flags() {
    return this.wanted?.flags ?? {};
  }
  /** The arm of an experiment that this device is assigned to, or the flag's value; undefined if there is none. The
   * first use is reported as an exposure. */
  variant(experiment) {
    const { flags } = this;
    const value = Object.hasOwn(flags, experiment) ? flags[experiment] : void 0;
    const exposure = JSON.stringify([experiment, value]);
    if (value !== void 0 && !this.exposed.has(exposure)) {
      this.exposed.add(exposure);
      void this.report("exposure", { experiment, variant: value }, "exposure").catch(() => this.exposed.delete(exposure));
    }
    return value;
  }
  /** Kept until it can be sent; it is on disk when the promise resolves. Rejects with EventError, StorageError. */
  async report(name2, fields = {}, kind = "event") {
    checkEvent(name2, fields, kind);
    await this.store.addEvent(name2, fields, kind);
  }
  /** Parts of the answer, best first, as they come. Leaving the loop cancels the query, and so does `signal`.
   * Throws SearchUnavailable. */
  async *search(query, signal) {
    const body2 = await bodyOf(query);
    const parts = [];
    let come = () => void 0;
    const id = this.live?.ask(body2, (part) => {
      parts.push(part);
      come();
    });
    if (id === void 0) throw new SearchUnavailable(`there is no connection: ${this.problem}`);
    const cancelled = () => come();
    signal?.addEventListener("abort", cancelled);
    try {
      for (let isLast = false; !isLast; ) {
        signal?.throwIfAborted();
        if (!parts.length) await new Promise((resolve) => come = resolve);
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
  async connect(lock) {
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
  user() {
    const { store, options, handlers } = this;
    const address = (options.gateway ?? location.origin).replace(/\/$/, "");
    const attributes = options.attributes ?? {};
    const identity = new BrowserIdentity(store, address, options.enrolment, attributes);
    return {
      address,
      handlers,
      credential: () => identity.credential(),
      state: () => ({ software: "lykeion.js", runtime: "browser", attributes, models: {} }),
      desired: (body2) => this.desire(body2)
    };
  }
  async desire(body2) {
    const isNew = !this.wanted || !sameValues(body2, this.wanted);
    if (isNew) {
      await this.store.keep("desired", body2);
      this.wanted = body2;
    }
    return isNew;
  }
}
async function bodyOf(query) {
  const { k = 20, where = null } = query;
  if ("photo" in query) {
    const { photo } = query;
    return { k, where, photo: photo instanceof Uint8Array ? photo : new Uint8Array(await photo.arrayBuffer()) };
  }
  const vector = new DataView(new ArrayBuffer(4 * query.vector.length));
  query.vector.forEach((value, place) => vector.setFloat32(4 * place, value, true));
  return { k, where, vector: new Uint8Array(vector.buffer), space: query.space };
}
function resultsOf(body2) {
  const { error, results } = body2;
  if (error !== void 0) throw new SearchUnavailable(`the gateway answers: ${String(error).slice(0, 200)}`);
  return results;
}
function sameValues(left, right) {
  return String(writeCbor(left)) === String(writeCbor(right));
}
export {
  CborReader,
  Device,
  DeviceSession,
  EventError,
  FrameError,
  GatewaySession,
  Incoming,
  MAX_DEPTH,
  MAX_FRAME_BYTES,
  MAX_QUERY_BYTES,
  NotInTurn,
  OldGateway,
  Outgoing,
  PROTOCOL,
  SearchUnavailable,
  StorageError,
  joinFrames,
  readCbor,
  readFrame,
  reconnectDelayS,
  resume,
  splitFrames,
  spreadS,
  writeCbor,
  writeFrame
};
