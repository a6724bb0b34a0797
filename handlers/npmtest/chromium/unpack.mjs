// Unpacks the browser below the directory for temporary files: node unpack.mjs INSTALLATION
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const sparticuz = resolve(process.argv[2], "node_modules", "@sparticuz", "chromium");
const { inflate } = await import(pathToFileURL(join(sparticuz, "build", "index.js")));
await Promise.all(["chromium.br", "fonts.tar.br", "al2023.tar.br"].map((name) => inflate(join(sparticuz, "bin", name))));
