// The two ways of a conversation. Each side numbers what it sends from 1 on, without gaps, keeps it until the other
// side has it on disk, and takes each number once, in order.

import type { Value } from "./cbor_reader.ts";
import type { AckFrame, MessageFrame } from "./frames.ts";

/** A number after a gap, or beyond what may be sent: the connection is closed, and the session resumed. */
export class NotInTurn extends Error {
  override name = "NotInTurn";
}

/** What this side sends. `first` is the lowest number that is kept, `next` that of the next message. */
export class Outgoing {
  limit = 0;
  private sent: number;
  private frames: MessageFrame[];

  constructor(
    public first = 1,
    kept: readonly MessageFrame[] = [],
  ) {
    this.frames = [...kept];
    this.sent = first - 1;
  }

  get next(): number {
    return this.first + this.frames.length;
  }

  /** From the oldest. */
  get kept(): readonly MessageFrame[] {
    return this.frames;
  }

  /** It is to be on disk before it is sent, or its number may be given again after a crash. */
  put(name: string, body: Value): MessageFrame {
    const made: MessageFrame = { kind: "message", number: this.next, name, body };
    this.frames.push(made);
    return made;
  }

  /** Where no more can be kept. The other side is told by a reset when it next connects. */
  dropOldest(): MessageFrame {
    this.first += 1;
    this.sent = Math.max(this.sent, this.first - 1);
    return this.frames.shift()!;
  }

  /** On a new connection: the other side has all up to `received`. */
  opened(received: number, limit: number): void {
    this.forget(received);
    this.sent = this.first - 1;
    this.limit = limit;
  }

  /** Returns those that need not be kept. Throws NotInTurn for numbers that were not sent. */
  acknowledged(ack: AckFrame): MessageFrame[] {
    if (ack.number > this.sent) {
      throw new NotInTurn(`number ${ack.number} is acknowledged, but ${this.sent} was the last that was sent`);
    }
    this.limit = Math.max(this.limit, ack.limit);
    return this.forget(ack.number);
  }

  /** What may be sent now, and counts as sent. */
  due(): MessageFrame[] {
    const last = Math.min(this.limit, this.next - 1);
    if (last <= this.sent) return [];
    const frames = this.frames.slice(this.sent + 1 - this.first, last + 1 - this.first);
    this.sent = last;
    return frames;
  }

  /** Number what is kept from `first` on, since the other side has these numbers of another past. */
  renumbered(first: number): void {
    this.frames = this.frames.map((frame, place) => ({ ...frame, number: first + place }));
    this.first = first;
    this.sent = first - 1;
  }

  private forget(number: number): MessageFrame[] {
    const gone = this.frames.splice(0, Math.max(0, number + 1 - this.first));
    this.first += gone.length;
    return gone;
  }
}

/** What this side takes: `taken` is the last number that came, `stored` the last that is on disk. At most `window`
 * messages are under way. */
export class Incoming {
  taken: number;
  private promised: number;
  private acknowledge = false;

  constructor(
    public stored: number,
    private readonly window: number,
  ) {
    this.taken = stored;
    this.promised = stored + window;
  }

  /** The highest number that may be sent; it never falls. */
  get limit(): number {
    this.promised = Math.max(this.promised, this.stored + this.window);
    return this.promised;
  }

  /** Whether the message is new, and to be stored. Throws NotInTurn. */
  take(frame: MessageFrame): boolean {
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

  onDisk(number: number): void {
    if (number > this.stored) {
      this.stored = number;
      this.acknowledge = true;
    }
  }

  due(): AckFrame[] {
    if (!this.acknowledge) return [];
    this.acknowledge = false;
    return [{ kind: "ack", number: this.stored, limit: this.limit }];
  }

  /** On a new connection. */
  opened(stored: number): void {
    this.taken = this.stored = stored;
    this.promised = stored + this.window;
    this.acknowledge = false;
  }
}
