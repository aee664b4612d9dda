import { defineConfig } from "vite";

// The built page is committed, so file names carry no digest, and no Node is needed to install or run the service.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../../src/lykeion/search/service/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rollupOptions: {
      output: { entryFileNames: "search.js", assetFileNames: "search[extname]" },
    },
  },
});
