// node evaluate.js PAYLOAD UNITS: for each line of UNITS, attributes as JSON, prints the values of all flags.
import { readFileSync } from "node:fs";
import { GrowthBook } from "@growthbook/growthbook";

const [payload, units] = process.argv.slice(2).map((path) => readFileSync(path, "utf8"));
const growthbook = new GrowthBook({}).initSync({ payload: JSON.parse(payload) });
const names = Object.keys(JSON.parse(payload).features).sort();
for (const line of units.split("\n").filter((each) => each)) {
  growthbook.setAttributes(JSON.parse(line));
  console.log(JSON.stringify(names.map((name) => growthbook.evalFeature(name).value)));
}
