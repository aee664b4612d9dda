// A device's side of lykeion.v1, without I/O: what to send, what to keep, what came.
//
// Whoever runs it calls `hello` when a connection has opened and `receive` for each frame, stores what they return, says
// so by `onDisk`, and sends what is `due`.

import type { Value } from "./cbor_reader.ts";
import type { BroadcastFrame, Frame, Groups, HelloFrame, MessageFrame, WelcomeFrame } from "./frames.ts";
import { Incoming, NotInTurn, Outgoing } from "./numbered_ways.ts";

/** Messages to a device that may be under way. */
const DEVICE_WINDOW = 64;

/** A gateway that does not know of a later connection of this session: it is cut off from the others. */
export class OldGateway extends Error {
  override name = "OldGateway";
}

/** What a device keeps of its session over restarts; `received` is on its disk. */
export interface SessionRecord {
  session: Uint8Array;
  epoch: number;
  received: number;
  groups: Groups;
}

/** `most` messages are kept for a gateway that does not come; the oldest are dropped then, and counted. */
export class DeviceSession {
  readonly session: Uint8Array;
  readonly outgoing: Outgoing;
  readonly incoming: Incoming;
  epoch: number;
  groups: Groups;
  open = false;
  droppedBroadcasts = 0;

  constructor(
    record: SessionRecord,
    kept: readonly MessageFrame[] = [],
    first = 1,
    private readonly most = 1_000,
  ) {
    this.session = record.session;
    this.epoch = record.epoch;
    this.groups = copied(record.groups);
    this.outgoing = new Outgoing(first, kept);
    this.incoming = new Incoming(record.received, DEVICE_WINDOW);
  }

  get record(): SessionRecord {
    const { session, epoch, incoming, groups } = this;
    return { session, epoch, received: incoming.stored, groups: copied(groups) };
  }

  /** The message, to be stored before it is sent, and those that are dropped for it. */
  put(name: string, body: Value): { made: MessageFrame; dropped: MessageFrame[] } {
    const dropped: MessageFrame[] = [];
    while (this.outgoing.kept.length + 1 > this.most) dropped.push(this.outgoing.dropOldest());
    return { made: this.outgoing.put(name, body), dropped };
  }

  /** Also for a connection after one that broke: what was not stored then comes again. */
  hello(): HelloFrame {
    this.open = false;
    this.incoming.opened(this.incoming.stored);
    const { first, next } = this.outgoing;
    return { kind: "hello", ...this.record, first, next, limit: this.incoming.limit };
  }

  /** The frame, if there is something to do about it. Throws NotInTurn, OldGateway. */
  receive(frame: Frame): Frame | null {
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
  onDisk(number: number): void {
    this.incoming.onDisk(number);
  }

  due(): Frame[] {
    return this.open ? [...this.incoming.due(), ...this.outgoing.due()] : [];
  }

  private welcomed(frame: WelcomeFrame): WelcomeFrame {
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
  private isNew(frame: BroadcastFrame): boolean {
    const last = this.groups[frame.group];
    if (last === undefined || frame.number <= last) return false;
    this.droppedBroadcasts += frame.number - last - 1;
    this.groups[frame.group] = frame.number;
    return true;
  }
}

/** Without a prototype, so that no group has a name that is there already. */
export function copied(groups: Groups): Groups {
  return Object.assign(Object.create(null) as Groups, groups);
}
