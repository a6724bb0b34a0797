package chromium

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const titled = `export default async ({ browser, axe, args }) => {
  const page = await browser.newPage();
  await page.setContent(args[0]);
  const width = await page.evaluate(() => document.querySelector("h1").getBoundingClientRect().width);
  return { title: await page.title(), width, rules: (await axe(page)).map((f) => f.rule) };
};`

func TestAScriptSeesThePageAsABrowserShowsIt(t *testing.T) {
	t.Parallel()
	out, err := Run(t.Context(), t.Output(), titled,
		`<html lang="en"><title>Größe</title><main><h1 style="float:left">Wide words</h1><img src="data:,"></main>`)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Title string
		Width float64 // nothing without a font
		Rules []string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Title != "Größe" || got.Width < 50 || strings.Join(got.Rules, " ") != "image-alt" {
		t.Errorf("%s", out)
	}
}

func TestWhatAScriptThrowsIsSaid(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), t.Output(), `export default async () => { throw new Error("no such button"); };`)
	if err == nil || !strings.Contains(err.Error(), "no such button") {
		t.Errorf("%v", err)
	}
}

func TestAScriptEndsWithItsContext(t *testing.T) {
	t.Parallel()
	if _, err := install(t.Context(), t.Output()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	began := time.Now()
	_, err := Run(ctx, t.Output(), `export default () => new Promise((done) => setTimeout(done, 600000));`)
	if err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) || time.Since(began) > time.Minute {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
