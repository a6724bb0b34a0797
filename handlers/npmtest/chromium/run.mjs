// Runs a script in the browser: node run.mjs INSTALLATION UNPACKED SCRIPT ARGUMENT…
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [installation, unpacked, script, ...args] = process.argv.slice(2);
const require = createRequire(resolve(installation, "node_modules", "package.json"));
const { chromium } = require("playwright-core");
const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

// axe gives the findings of axe-core in a page: rule, what is wrong, and the elements. It is evaluated by the debugger, which
// the page's policy on scripts does not bind.
async function axe(page, options = {}) {
  await page.evaluate(axeSource);
  const found = await page.evaluate((o) => window.axe.run(document, o), options);
  return found.violations.map((v) => ({ rule: v.id, impact: v.impact, help: v.help, elements: v.nodes.map((n) => n.html) }));
}

const browser = await chromium.launch({
  executablePath: join(unpacked, "chromium"),
  // Containers and CI run as root, where Chromium's sandbox cannot be; it opens the tests' own pages alone.
  args: ["--no-sandbox", "--no-zygote", "--disable-gpu", "--font-render-hinting=none"],
});
try {
  const { default: run } = await import(pathToFileURL(resolve(script)));
  const result = await run({ browser, axe, args });
  await new Promise((done) => process.stdout.write(JSON.stringify(result ?? null), done));
} finally {
  await browser.close();
}
