// Looks at every page in light, in dark and on a phone: ROOT {name: path} SHOTS, which is empty or asks for what it looks like.
export default async ({ browser, axe, args: [root, pages, shots] }) => {
  const windows = {
    light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
    dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
    phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true, hasTouch: true },
  };
  const host = new URL(root).host;
  const seen = [];
  for (const [kind, options] of Object.entries(windows)) {
    const context = await browser.newContext(options);
    for (const [name, path] of Object.entries(JSON.parse(pages))) {
      if (kind !== "light" && !["sources", "running", "batch", "exceptions", "config", "reset"].includes(name)) continue; // no other parts
      const page = await context.newPage();
      const said = [];
      const foreign = [];
      page.on("console", (message) => said.push(message.text()));
      page.on("pageerror", (error) => said.push(String(error)));
      page.on("dialog", (dialog) => (said.push("dialog: " + dialog.message()), dialog.dismiss()));
      page.on("requestfailed", (request) => said.push("failed: " + request.url()));
      page.on("request", (request) => new URL(request.url()).host === host || foreign.push(request.url()));
      const answer = await page.goto(root + path);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      const png = shots ? (await page.screenshot()).toString("base64") : "";
      // The elements are the same in all three, their colours are not.
      const rules = kind === "light" ? {} : { runOnly: ["color-contrast", "target-size"] };
      seen.push({
        name: name + "-" + kind, path, status: answer.status(), title: await page.title(), wide, png,
        console: said, foreign, findings: await axe(page, rules),
      });
      await page.close();
    }
    await context.close();
  }
  return seen;
};
