// A gateway's side of lykeion.v1, without I/O: for tests of devices, which need no server then.

import type { Value } from "./cbor_reader.ts";
import { copied } from "./device_session.ts";
import type { Frame, Groups, HelloFrame, MessageFrame, Reset, WelcomeFrame } from "./frames.ts";
import { Incoming, NotInTurn, Outgoing } from "./numbered_ways.ts";

/** Messages of one device that may be under way, each way. */
const GATEWAY_WINDOW = 64;
/** Resets that are told again; of more only the last. */
const MAX_UNTOLD = 16;

/** What the store has of a device's session; of `untold` each reset with the epoch whose welcome told of it. */
export interface SessionState {
  session: Uint8Array;
  epoch: number;
  taken: number;
  first: number;
  sent: number;
  untold: [number, Reset][];
}

/** Numbers of the broadcasts to a group that are kept. */
export interface GroupLog {
  first: number;
  last: number;
}

/** With `isNew` the session is another than before: what was numbered for that is to be numbered again. */
export interface Resumption {
  state: SessionState;
  welcome: WelcomeFrame;
  isNew: boolean;
}

/** `logs` are of the device's groups. */
export function resume(hello: HelloFrame, known: SessionState | null, logs: ReadonlyMap<string, GroupLog>): Resumption {
  const resets = (known?.untold ?? []).filter(([epoch]) => epoch > hello.epoch).map(([, reset]) => reset);
  const isNew = known === null || !sameBytes(known.session, hello.session);
  const compared = begun(hello, known, isNew, resets);
  const epoch = Math.max(compared.epoch, hello.epoch) + 1;
  const told = once(resets).slice(-MAX_UNTOLD);
  const untold = told.map((reset): [number, Reset] => [toldAt(known, reset) ?? epoch, reset]);
  const state = { ...compared, epoch, untold };
  const groups = copied({});
  for (const [group, log] of logs) groups[group] = startOf(group, log, hello.groups[group], told);
  const limit = state.taken + GATEWAY_WINDOW;
  const welcome: WelcomeFrame = {
    kind: "welcome", epoch, received: state.taken, first: state.first, limit, groups, resets: told,
  };
  return { state, welcome, isNew };
}

/** A connection, from its welcome on. `kept` are the messages to the device that have a number. */
export class GatewaySession {
  readonly epoch: number;
  readonly groups: Groups;
  readonly incoming: Incoming;
  readonly outgoing: Outgoing;

  constructor(hello: HelloFrame, resumed: Resumption, kept: readonly MessageFrame[]) {
    const { state, welcome } = resumed;
    this.epoch = state.epoch;
    this.groups = copied(welcome.groups);
    this.incoming = new Incoming(state.taken, GATEWAY_WINDOW);
    this.outgoing = new Outgoing(welcome.first, kept);
    this.outgoing.opened(welcome.first - 1, hello.limit);
  }

  /** The frame, if there is something to do about it: a message is to be stored. Throws NotInTurn. */
  receive(frame: Frame): Frame | null {
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
  onDisk(number: number): void {
    this.incoming.onDisk(number);
  }

  /** How many more messages may be under way: as many as the device takes, and no more than are kept here. */
  get room(): number {
    const { limit, next, kept } = this.outgoing;
    return Math.max(0, Math.min(limit + 1 - next, GATEWAY_WINDOW - kept.length));
  }

  /** To be on disk with its number before it is sent. */
  put(name: string, body: Value): MessageFrame {
    return this.outgoing.put(name, body);
  }

  due(): Frame[] {
    return [...this.incoming.due(), ...this.outgoing.due()];
  }
}

function begun(hello: HelloFrame, known: SessionState | null, isNew: boolean, resets: Reset[]): SessionState {
  if (known && !isNew) return compare(hello, known, resets);
  const { session, first, received } = hello;
  const epoch = known?.epoch ?? 0;
  if (hello.epoch === 0) return compare(hello, { session, epoch, taken: 0, first: 1, sent: 0, untold: [] }, resets);
  resets.push({ what: "session", first: 0, last: 0, why: "the gateway does not know this session" });
  return { session, epoch, taken: first - 1, first: received + 1, sent: received, untold: [] };
}

function compare(hello: HelloFrame, known: SessionState, resets: Reset[]): SessionState {
  let { taken, first, sent } = known;
  const lost = (what: string, from: number, to: number, why: string) => resets.push({ what, first: from, last: to, why });
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

/** A device that is new in a group hears what comes from now on. */
function startOf(group: string, log: GroupLog, seen: number | undefined, resets: Reset[]): number {
  const what = `group:${group}`;
  if (seen === undefined) return log.last;
  if (seen > log.last) {
    resets.push({ what, first: log.last + 1, last: seen, why: "the gateway's file is older than the device's" });
    return log.last;
  }
  if (seen + 1 < log.first) {
    resets.push({ what, first: seen + 1, last: log.first - 1, why: "they were not kept any longer" });
  }
  return Math.max(seen, log.first - 1);
}

function once(resets: Reset[]): Reset[] {
  return resets.filter((reset, place) => resets.findIndex((each) => same(each, reset)) === place);
}

function toldAt(known: SessionState | null, reset: Reset): number | undefined {
  return known?.untold.findLast(([, each]) => same(each, reset))?.[0];
}

function same(left: Reset, right: Reset): boolean {
  return left.what === right.what && left.first === right.first && left.last === right.last && left.why === right.why;
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, place) => byte === right[place]);
}
