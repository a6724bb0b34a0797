package mailfmt

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// A CloudFile is a file that the message does not hold but links to: Outlook attaches files of SharePoint and OneDrive so,
// and those of a few other services.
type CloudFile struct {
	Name string // what the link is called, which is mostly the file's name; empty where a text has the bare link
	URL  string // where it leads, what Safe Links (Defender) wraps around it undone
}

// maxCloudFiles bounds how many are listed; all links stand in the text.
const maxCloudFiles = 1000

// cloudHosts are the services; a name with a dot before it stands for every host below it.
var cloudHosts = []string{
	".sharepoint.com", ".sharepoint.us", ".sharepoint-mil.us", ".sharepoint.cn", "1drv.ms", "onedrive.live.com", "d.docs.live.net",
	"drive.google.com", "docs.google.com", ".dropbox.com", ".box.com",
}

// cloudFile tells a link to a file of a cloud service. A page of SharePoint is none, unless it shows a file.
func cloudFile(link string) (address string, ok bool) {
	u, err := url.Parse(link)
	if err != nil {
		return "", false
	}
	if strings.HasSuffix(strings.ToLower(u.Hostname()), ".safelinks.protection.outlook.com") {
		if u, err = url.Parse(u.Query().Get("url")); err != nil {
			return "", false
		}
	}
	host := strings.ToLower(u.Hostname())
	if u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") == "" || !slices.ContainsFunc(cloudHosts, func(known string) bool {
		return host == known || known[0] == '.' && strings.HasSuffix(host, known)
	}) {
		return "", false
	}
	if q := u.Query(); strings.EqualFold(path.Ext(u.Path), ".aspx") && q.Get("sourcedoc") == "" && q.Get("id") == "" {
		return "", false
	}
	return u.String(), true
}

// linksTo lists a link if it leads to a file of a cloud service, each file once.
func (p *parser) linksTo(name, link string) {
	if len(p.mail.CloudFiles) >= maxCloudFiles {
		return
	}
	address, ok := cloudFile(link)
	if !ok || slices.ContainsFunc(p.mail.CloudFiles, func(c CloudFile) bool { return c.URL == address }) {
		return
	}
	if _, bare := cloudFile(name); bare {
		name = ""
	}
	p.mail.CloudFiles = append(p.mail.CloudFiles, CloudFile{Name: shorten(strings.Join(strings.Fields(name), " "), maxName), URL: address})
}

// linksWithin lists the links that a text has written out.
func (p *parser) linksWithin(text string) {
	for text != "" {
		start, end := link(text)
		p.linksTo("", strings.TrimRight(text[start:end], ".,;!?'"))
		text = text[end:]
	}
}
