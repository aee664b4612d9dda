// node transcript_lines.mjs: each line is a list of steps, which a new machine does; prints what they give.
import { createInterface } from "node:readline";
import { TranscriptMachine } from "./transcript_machine.mjs";


for await (const line of createInterface({ input: process.stdin })) {
  const steps = JSON.parse(line);
  const machine = new TranscriptMachine();
  console.log(JSON.stringify(steps.map((step) => machine.do(step))));
}
