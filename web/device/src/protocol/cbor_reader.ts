// Reads CBOR (RFC 8949) as far as lykeion.v1 has it: no tags, no indefinite lengths, keys of text.
//
// An integer that JavaScript cannot count to is a bigint.

import { FrameError } from "./frame_error.ts";

/** Only arrays and maps that hold something count. */
export const MAX_DEPTH = 8;

export type Value = null | boolean | number | bigint | string | Uint8Array | Value[] | { [key: string]: Value };

export const UNSIGNED = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, SIMPLE = 7;
/** What JavaScript counts to. */
export const COUNTED = 2 ** 53;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads one item after the other. Every method throws FrameError. */
export class CborReader {
  private place = 0;
  private readonly view: DataView;

  constructor(private readonly data: Uint8Array) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  end(): void {
    if (this.place !== this.data.length) throw new FrameError("more bytes follow the frame");
  }

  /** From 0 to 2^53. */
  number(): number {
    const value = this.expect(UNSIGNED, "a number");
    if (value > BigInt(COUNTED)) throw new FrameError(`${value} is not a number from 0 to 2^53`);
    return Number(value);
  }

  truth(): boolean {
    const value = this.value();
    if (typeof value !== "boolean") throw new FrameError("true or false is expected");
    return value;
  }

  bytes(length: number): Uint8Array {
    const value = this.value();
    if (!(value instanceof Uint8Array) || value.length !== length) throw new FrameError(`${length} bytes are expected`);
    return value;
  }

  text(): string {
    const value = this.value();
    if (typeof value !== "string") throw new FrameError("a text is expected");
    return value;
  }

  array(): number {
    return this.length(this.expect(ARRAY, "an array"));
  }

  /** How many keys and values follow. */
  map(): number {
    return this.length(this.expect(MAP, "a map"));
  }

  value(depth = 1): Value {
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

  private items(count: number, depth: number): Value[] {
    deepEnough(count, depth);
    const items: Value[] = [];
    for (let n = 0; n < count; n++) items.push(this.value(depth + 1));
    return items;
  }

  /** Without a prototype, for a key may be `__proto__`. */
  private entries(count: number, depth: number): { [key: string]: Value } {
    deepEnough(count, depth);
    const entries = Object.create(null) as { [key: string]: Value };
    for (let n = 0; n < count; n++) {
      const key = this.text();
      if (key in entries) throw new FrameError("a key is given twice");
      entries[key] = this.value(depth + 1);
    }
    return entries;
  }

  private simple(detail: number): Value {
    if (detail === 20 || detail === 21) return detail === 21;
    if (detail === 22) return null;
    const place = this.place;
    if (detail === 25) return half(this.view.getUint16(place - 2));
    if (detail === 26) return this.view.getFloat32(place - 4);
    if (detail === 27) return this.view.getFloat64(place - 8);
    throw new FrameError("a simple value");
  }

  private expect(kind: number, what: string): bigint {
    const [found, , size] = this.head();
    if (found !== kind) throw new FrameError(`${what} is expected`);
    return size;
  }

  /** Kind, detail and argument of the next item; of a float the argument is its bits. */
  private head(): [number, number, bigint] {
    const first = this.take(1n)[0]!;
    const detail = first & 31;
    if (detail < 24) return [first >> 5, detail, BigInt(detail)];
    if (detail > 27) throw new FrameError("an item of no definite length");
    let size = 0n;
    for (const byte of this.take(BigInt(1 << (detail - 24)))) size = (size << 8n) | BigInt(byte);
    return [first >> 5, detail, size];
  }

  /** Each item has a byte at least. */
  private length(size: bigint): number {
    if (size > this.data.length - this.place) throw new FrameError("more items than there are bytes");
    return Number(size);
  }

  private take(size: bigint): Uint8Array {
    const end = this.place + this.length(size);
    const taken = this.data.subarray(this.place, end);
    this.place = end;
    return taken;
  }

  private decoded(bytes: Uint8Array): string {
    try {
      return decoder.decode(bytes);
    } catch {
      throw new FrameError("a text that is not UTF-8");
    }
  }
}

export function readCbor(data: Uint8Array): Value {
  const reader = new CborReader(data);
  const value = reader.value();
  reader.end();
  return value;
}

function half(bits: number): number {
  const power = (bits >> 10) & 31;
  const steps = bits & 1023;
  const size = power === 31 ? (steps ? NaN : Infinity) : power ? (1024 + steps) * 2 ** (power - 25) : steps * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

function counted(value: bigint): number | bigint {
  return value <= BigInt(COUNTED) && value >= -BigInt(COUNTED) ? Number(value) : value;
}

function deepEnough(count: number, depth: number): void {
  if (count && depth > MAX_DEPTH) throw new FrameError(`nested more than ${MAX_DEPTH} deep`);
}
