// node follow.js HOST KEY FLAG ATTRIBUTES: prints the flag's value, then each value that it gets while it listens.
import { GrowthBook, setPolyfills } from "@growthbook/growthbook";
import { EventSource } from "eventsource";

const [apiHost, clientKey, flag, attributes] = process.argv.slice(2);
setPolyfills({ EventSource });
const growthbook = new GrowthBook({ apiHost, clientKey, attributes: JSON.parse(attributes) });
const found = await growthbook.init({ timeout: 30000, streaming: true });
const say = () => console.log(JSON.stringify(growthbook.getFeatureValue(flag, null)));
growthbook.setRenderer(say);
console.log(JSON.stringify({ success: found.success, source: found.source }));
say();
