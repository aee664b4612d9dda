// Writes deterministic CBOR (RFC 8949, 4.2): equal values are equal bytes. A number that is whole is an integer.

import { ARRAY, BYTES, COUNTED, MAP, NEGATIVE, TEXT, UNSIGNED, type Value } from "./cbor_reader.ts";
import { FrameError } from "./frame_error.ts";

const MOST = 2n ** 64n;
const encoder = new TextEncoder();

/** Throws FrameError for what is no value. */
export function writeCbor(value: Value): Uint8Array {
  const out: number[] = [];
  const parts: Uint8Array[] = [];
  write(value, out, parts);
  return joined([...parts, Uint8Array.from(out)]);
}

export function joined(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((place, part) => (whole.set(part, place), place + part.length), 0);
  return whole;
}

/** Small bytes go to `out`; what is long goes to `parts` as it is, after what `out` had. */
function write(value: Value, out: number[], parts: Uint8Array[]): void {
  if (value === null) out.push(0xf6);
  else if (typeof value === "boolean") out.push(value ? 0xf5 : 0xf4);
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

/** Keys are ordered by their bytes as they are written, so the shorter come first. */
function writeMap(map: { [key: string]: Value }, out: number[], parts: Uint8Array[]): void {
  const entries = Object.entries(map).map(([key, value]) => [encoder.encode(key), value] as const);
  entries.sort(([left], [right]) => left.length - right.length || compared(left, right));
  writeHead(MAP, BigInt(entries.length), out);
  for (const [key, value] of entries) {
    writeBytes(TEXT, key, out, parts);
    write(value, out, parts);
  }
}

function writeBytes(kind: number, bytes: Uint8Array, out: number[], parts: Uint8Array[]): void {
  writeHead(kind, BigInt(bytes.length), out);
  parts.push(Uint8Array.from(out), bytes);
  out.length = 0;
}

function writeInteger(value: bigint, out: number[]): void {
  if (value >= MOST || value < -MOST) throw new FrameError(`${value} has more than 64 bits`);
  if (value < 0n) writeHead(NEGATIVE, -1n - value, out);
  else writeHead(UNSIGNED, value, out);
}

function writeHead(kind: number, size: bigint, out: number[]): void {
  if (size < 24n) {
    out.push((kind << 5) | Number(size));
    return;
  }
  const power = size < 1n << 8n ? 0 : size < 1n << 16n ? 1 : size < 1n << 32n ? 2 : 3;
  out.push((kind << 5) | (24 + power));
  for (let shift = 8 * ((1 << power) - 1); shift >= 0; shift -= 8) out.push(Number((size >> BigInt(shift)) & 0xffn));
}

/** In the shortest of three lengths that has the same value. */
function writeFloat(value: number, out: number[]): void {
  const view = new DataView(new ArrayBuffer(8));
  const short = Math.fround(value);
  const bits = Object.is(short, value) ? halfBits(value) : undefined;
  if (Number.isNaN(value)) out.push(0xf9, 0x7e, 0);
  else if (bits !== undefined) out.push(0xf9, bits >> 8, bits & 255);
  else if (Object.is(short, value)) {
    view.setFloat32(0, value);
    out.push(0xfa, ...new Uint8Array(view.buffer, 0, 4));
  } else {
    view.setFloat64(0, value);
    out.push(0xfb, ...new Uint8Array(view.buffer));
  }
}

/** Of half precision (IEEE 754), if the value has them. */
function halfBits(value: number): number | undefined {
  const sign = Object.is(value, -0) || value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size === 0) return sign;
  if (size === Infinity) return sign | 0x7c00;
  if (size > 65504) return undefined;
  const power = Math.max(Math.floor(Math.log2(size)), -14);
  const steps = size / 2 ** (power - 10);
  return Number.isInteger(steps) ? sign + (power + 14) * 1024 + steps : undefined;
}

function isWhole(value: unknown): value is number {
  return Number.isInteger(value) && Math.abs(value as number) <= COUNTED && !Object.is(value, -0);
}

function compared(left: Uint8Array, right: Uint8Array): number {
  const place = left.findIndex((byte, n) => byte !== right[n]);
  return place < 0 ? 0 : left[place]! - right[place]!;
}
