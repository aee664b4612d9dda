import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// The built file is committed, so that no Node is needed to install or run a gateway. It ends in .mjs for Node 18.
export default defineConfig({
  build: {
    outDir: "../../src/lykeion/delivery/gateway/browser",
    emptyOutDir: true,
    target: "es2022",
    minify: false,
    lib: { entry: fileURLToPath(new URL("src/lykeion.ts", import.meta.url)), formats: ["es"], fileName: () => "lykeion.mjs" },
  },
});
