// Prints, as JSON, the custom metadata of a target that tuf-js has verified, and the digest of what it downloaded.
// node read.js DIRECTORY METADATA_URL TARGETS_URL PATH
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { Updater } from "tuf-js";

const [directory, metadataBaseUrl, targetBaseUrl, path] = process.argv.slice(2);
mkdirSync(`${directory}/targets`, { recursive: true });
const updater = new Updater({
  metadataDir: directory,
  metadataBaseUrl,
  targetDir: `${directory}/targets`,
  targetBaseUrl,
  config: { fetchRetries: 0 },
});
try {
  const target = await updater.getTargetInfo(path);
  if (!target) {
    console.log("null");
  } else {
    const downloaded = readFileSync(await updater.downloadTarget(target));
    const sha256 = createHash("sha256").update(downloaded).digest("hex");
    console.log(JSON.stringify({ custom: target.custom, sha256 }));
  }
} catch (error) {
  console.log(JSON.stringify({ error: error.constructor.name, message: error.message }));
}
