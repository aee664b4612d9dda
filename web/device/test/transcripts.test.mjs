// Transcripts of lykeion.v1 of every version come to what they came to when they were recorded.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { TranscriptMachine } from "./transcript_machine.mjs";

const FOLDER = new URL("../../../tests/device/transcripts/lykeion.v1/", import.meta.url);
const versions = readdirSync(FOLDER);
assert.ok(versions.length, "there are no transcripts");

for (const version of versions) {
  const folder = new URL(`${version}/`, FOLDER);
  for (const name of readdirSync(folder)) {
    test(`${version}/${name} is replayed`, () => {
      const [head, ...lines] = readFileSync(new URL(name, folder), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
      assert.equal(head.protocol, "lykeion.v1");
      assert.ok(lines.length);
      const machine = new TranscriptMachine();
      lines.forEach((step, number) => assert.deepEqual(machine.do(step), step.gives, `line ${number + 2}`));
    });
  }
}
