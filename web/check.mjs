// The committed page must be what its sources build to.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("search", import.meta.url));
const committed = fileURLToPath(new URL("../src/lykeion/search/service/page", import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), "page-"));
try {
  await build({ root, logLevel: "error", build: { outDir: fresh } });
  const names = [...new Set([...readdirSync(fresh), ...readdirSync(committed)])];
  const read = (folder, name) => {
    try {
      return readFileSync(join(folder, name), "utf8");
    } catch {
      return undefined;
    }
  };
  const stale = names.filter((name) => read(fresh, name) !== read(committed, name));
  if (stale.length) {
    console.error(`the committed page is not what its sources build to: ${stale.join(", ")}; run npm run build`);
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true });
}
