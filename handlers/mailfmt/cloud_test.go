package mailfmt

import (
	"reflect"
	"strings"
	"testing"
)

func TestLinksToFilesOfCloudServicesAreListed(t *testing.T) {
	t.Parallel()
	m := read(t, strings.ReplaceAll(`From: anna@contoso.example
Subject: Budget
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

Plain: https://contoso.sharepoint.com/sites/finance/Shared%20Documents/Plain.docx, and (https://1drv.ms/w/s!Abc).
--b
Content-Type: text/html; charset=utf-8

<p>See <a href="https://contoso-my.sharepoint.com/:x:/g/personal/anna/Eab?e=1">Budget
 2026.xlsx</a> and again <a href="https://contoso-my.sharepoint.com/:x:/g/personal/anna/Eab?e=1">here</a></p>
<p><a href="https://nam02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fcontoso.sharepoint.us%2F%3Ab%3A%2Fs%2Fa%2Fplan.pdf&amp;data=05">plan.pdf</a>
<a href="https://contoso.sharepoint.com/sites/news/SitePages/Home.aspx">our site</a>
<a href="https://contoso.sharepoint.com/_layouts/15/Doc.aspx?sourcedoc=%7B1%7D">Notes.docx</a>
<a href="https://www.dropbox.com/s/1/a.zip">https://www.dropbox.com/s/1/a.zip</a>
<a href="https://sharepoint.com.evil.example/x/y.docx">y.docx</a> <a href="https://contoso.sharepoint.com/">root</a></p>
--b--
`, "\n", "\r\n"))
	want := []CloudFile{
		{"Budget 2026.xlsx", "https://contoso-my.sharepoint.com/:x:/g/personal/anna/Eab?e=1"},
		{"plan.pdf", "https://contoso.sharepoint.us/:b:/s/a/plan.pdf"},
		{"Notes.docx", "https://contoso.sharepoint.com/_layouts/15/Doc.aspx?sourcedoc=%7B1%7D"},
		{"", "https://www.dropbox.com/s/1/a.zip"},
		{"", "https://contoso.sharepoint.com/sites/finance/Shared%20Documents/Plain.docx"},
		{"", "https://1drv.ms/w/s!Abc"},
	}
	if !reflect.DeepEqual(m.CloudFiles, want) {
		t.Errorf("CloudFiles =\n%q, want\n%q", m.CloudFiles, want)
	}
}

func TestCloudFilesAreBounded(t *testing.T) {
	t.Parallel()
	var body strings.Builder
	for i := range 3 * maxCloudFiles {
		body.WriteString("https://a.sharepoint.com/x/" + strings.Repeat("y", i%2000) + "\r\n")
	}
	if m := read(t, "Subject: many\r\n\r\n"+body.String()); len(m.CloudFiles) != maxCloudFiles {
		t.Errorf("%d files are listed, want %d", len(m.CloudFiles), maxCloudFiles)
	}
}
