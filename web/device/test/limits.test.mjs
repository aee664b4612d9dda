// What no transcript has: frames of more than 4 MiB, values that are none, and waits that are random.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as v1 from "../../../src/lykeion/delivery/gateway/browser/lykeion.mjs";

const query = (bytes) => v1.writeFrame({ kind: "query", id: 1, body: { photo: new Uint8Array(bytes) } });

test("a query of 4 MiB is read, and a longer one is no frame", () => {
  const longest = v1.MAX_QUERY_BYTES - (query(1 << 20).length - (1 << 20));
  assert.equal(query(longest).length, v1.MAX_QUERY_BYTES);
  assert.equal(v1.readFrame(query(longest)).body.photo.length, longest);
  assert.throws(() => v1.readFrame(query(longest + 1)), v1.FrameError);
});

test("what is no value is refused before it is sent", () => {
  for (const value of [undefined, () => 1, Symbol("a"), 2n ** 64n, -(2n ** 64n) - 1n, [undefined], { a: undefined }]) {
    assert.throws(() => v1.writeCbor(value), v1.FrameError);
  }
});

test("a map is read without a prototype, whatever its keys are", () => {
  const read = v1.readCbor(v1.writeCbor(JSON.parse('{"__proto__": {"polluted": true}, "toString": 1}')));
  assert.equal({}.polluted, undefined);
  assert.deepEqual(Object.keys(read), ["toString", "__proto__"]);
});

test("devices that come back together come back apart, and after what the server asked for", () => {
  const waits = Array.from({ length: 1_000 }, () => v1.reconnectDelayS(4, 0, Math.random)).sort((a, b) => a - b);
  assert.ok(waits[0] < 1 && waits.at(-1) > 15 && waits.at(-1) <= 16);
  assert.equal(v1.reconnectDelayS(50, 0, () => 1), 300);
  assert.equal(v1.reconnectDelayS(0, 20, () => 0), 20);
  assert.equal(v1.reconnectDelayS(0, 20, () => 1), 40);
  assert.equal(Math.round(v1.spreadS(30, () => 0)), 21);
  assert.equal(Math.round(v1.spreadS(30, () => 1)), 39);
});
