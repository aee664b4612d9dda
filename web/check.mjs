// What is committed must be what its sources build to.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const BUILT = { search: "search/service/page", device: "delivery/gateway/browser" };

for (const [source, place] of Object.entries(BUILT)) {
  const stale = await staleFiles(source, place);
  if (stale.length) {
    console.error(`${place} is not what web/${source} builds to: ${stale.join(", ")}; run npm run build`);
    process.exitCode = 1;
  }
}

async function staleFiles(source, place) {
  const root = fileURLToPath(new URL(source, import.meta.url));
  const committed = fileURLToPath(new URL(`../src/lykeion/${place}`, import.meta.url));
  const fresh = mkdtempSync(join(tmpdir(), "built-"));
  try {
    await build({ root, logLevel: "error", build: { outDir: fresh } });
    const names = new Set([...readdirSync(fresh), ...readdirSync(committed)]);
    return [...names].filter((name) => read(fresh, name) !== read(committed, name));
  } finally {
    rmSync(fresh, { recursive: true });
  }
}

function read(folder, name) {
  try {
    return readFileSync(join(folder, name), "utf8");
  } catch {
    return undefined;
  }
}
