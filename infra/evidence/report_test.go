package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"chainmail/handlers/npmtest/chromium"
	"chainmail/infra/evidence/evidencetest"
)

// inBrowser opens a page light, dark and on paper.
const inBrowser = `export default async ({ browser, axe, args }) => {
  const said = [], asked = [], looks = {};
  for (const colorScheme of ["light", "dark"]) {
    const page = await browser.newPage({ colorScheme, viewport: { width: 1000, height: 1400 } });
    page.on("console", m => said.push(m.text()));
    page.on("pageerror", e => said.push(String(e)));
    page.on("request", r => asked.push(r.url()));
    await page.goto(args[0]);
    const style = await page.evaluate(() => {
      const s = getComputedStyle(document.body);
      return { ink: s.color, paper: s.backgroundColor, wide: document.documentElement.scrollWidth > innerWidth };
    });
    looks[colorScheme] = { ...style, findings: (await axe(page)).map(f => f.rule), image: (await page.screenshot()).length };
    if (colorScheme === "light") {
      looks.title = await page.title();
      looks.headings = await page.$$eval("h1, h2, h3", all => all.map(h => h.textContent));
      looks.pdf = (await page.pdf({ preferCSSPageSize: true })).toString("latin1");
    }
    await page.close();
  }
  return { said, asked, ...looks };
};`

// seen is what the browser tells of the page.
type seen struct {
	Said, Asked, Headings []string
	Title, PDF            string
	Light, Dark           struct {
		Ink, Paper string
		Wide       bool
		Findings   []string
		Image      int
	}
}

func TestTheReportIsAPageToBePrintedAndHandedOn(t *testing.T) {
	t.Parallel()
	dir, file := evidencetest.Sample().Lay(t), filepath.Join(t.TempDir(), "report.html")
	if got := command(t, nil, "verify", dir, "-report", file); got.code != exitSound {
		t.Fatalf("%+v", got)
	}
	out, err := chromium.Run(t.Context(), t.Output(), inBrowser, "file://"+file)
	if err != nil {
		t.Fatal(err)
	}
	var s seen
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Said) > 0 || len(s.Asked) != 2 || s.Asked[0] != "file://"+file {
		t.Errorf("console %q, requests %q", s.Said, s.Asked)
	}
	if s.Light.Paper != "rgb(255, 255, 255)" || s.Dark.Paper == s.Light.Paper || s.Dark.Ink == s.Light.Ink ||
		s.Light.Wide || s.Dark.Wide {
		t.Errorf("light %+v, dark %+v", s.Light, s.Dark)
	}
	if len(s.Light.Findings)+len(s.Dark.Findings) > 0 || s.Light.Image < 10_000 || s.Dark.Image < 10_000 {
		t.Errorf("accessibility: light %v, dark %v", s.Light.Findings, s.Dark.Findings)
	}
	if !strings.HasPrefix(s.Title, "Verification of evidence, ") || len(s.Headings) < 5 ||
		s.Headings[0] != "Certificate of verification" {
		t.Errorf("title %q, headings %q", s.Title, s.Headings)
	}
	pages := len(regexp.MustCompile(`/Type\s*/Page\b[^s]`).FindAllString(s.PDF, -1))
	if !strings.HasPrefix(s.PDF, "%PDF") || pages < 1 || pages > 4 {
		t.Errorf("on paper: %d bytes, %d pages", len(s.PDF), pages)
	}
}

func TestTheReportSaysWhatVerifyPrints(t *testing.T) {
	t.Parallel()
	tr := evidencetest.Sample()
	altered := evidencetest.Two.Seal()
	tr[altered] = append(tr[altered], ' ')
	tr["<script>alert(1)</script>"] = []byte("x")
	dir, file := tr.Lay(t), filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte("an older one"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := command(t, nil, "verify", "-report", file, dir)
	page, err := os.ReadFile(file)
	if err != nil || got.code != exitUnsound {
		t.Fatalf("%v, %+v", err, got)
	}
	hash := sha256.Sum256(page)
	if want := fmt.Sprintf("report: %s, SHA-256 %s\n", file, hex.EncodeToString(hash[:])); !strings.HasSuffix(got.stdout, want) {
		t.Errorf("stdout %q, want %q at its end", got.stdout, want)
	}
	for _, want := range []string{
		"No: 2 findings", altered, "its SHA-256 is not the one that the manifest names", "&lt;script&gt;alert(1)", "is a stranger",
		"excluded: NotFound", "75.00 %", "1 exception closed", "whole, sequence 1 to 3", "folder " + filepath.Base(dir),
	} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not hold %q", want)
		}
	}
	if text := string(page); strings.Contains(text, "<script") || strings.Contains(text, evidencetest.Canary) ||
		strings.Contains(text, dir) {
		t.Error("the page has a script, mail, or the machine's own path")
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".chainmail-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAReportIsRefusedWhereItMayNotLie(t *testing.T) {
	t.Parallel()
	dir := evidencetest.Sample().Lay(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "report.html"):                 "lies in the evidence",
		filepath.Join(dir, "o365-mail", "report.html"):    "lies in the evidence",
		filepath.Join(link, "report.html"):                "lies in the evidence",
		filepath.Join(t.TempDir(), "none", "report.html"): "there is no folder",
		t.TempDir(): "is there, and no file",
	} {
		got := command(t, nil, "verify", dir, "-report", file)
		if got.code != exitRefused || got.stdout != "" || !strings.Contains(got.stderr, "-report: ") ||
			!strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v, want %q", file, got, want)
		}
	}
	if got := command(t, nil, "verify", dir); got.code != exitSound {
		t.Errorf("something was written into the evidence: %+v", got)
	}
}
