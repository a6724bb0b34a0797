// Does what operators do by the keyboard alone: ROOT [{from, keys: [[what has the focus, what is typed]]}]
export default async ({ browser, args: [root, tasks] }) => {
  const named = () => {
    const e = document.activeElement;
    return (e.labels?.[0] ?? e).textContent.trim();
  };
  const context = await browser.newContext();
  const done = [];
  for (const { from, keys } of JSON.parse(tasks)) {
    const page = await context.newPage();
    const said = [];
    page.on("console", (message) => said.push(message.text()));
    await page.goto(root + from);
    for (const [what, typed] of keys) {
      for (let n = 0; (await page.evaluate(named)) !== what; n++) {
        if (n > 200) throw new Error(`${from}: the focus does not come to ${what}`);
        await page.keyboard.press("Tab");
      }
      if (typed !== "Enter" && typed !== "Space") await page.keyboard.insertText(typed);
      else if (typed === "Space") await page.keyboard.press("Space");
      else await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    }
    const note = page.locator(".note[role]");
    done.push({ from, said, note: (await note.count()) ? await note.first().innerText() : "", at: new URL(page.url()).pathname });
    await page.close();
  }
  return done;
};
