package console

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"chainmail/handlers/config"
	"chainmail/handlers/settings"
	"chainmail/handlers/vault"
)

// lists is the folder of lists of individuals.
const lists = "individuals/"

// reasonHeader says why a file is replaced, as the query's reason does.
const reasonHeader = "Reason"

// sourcesFile: GET /config, the file as the customer has written it, which need not be in force.
func (c *Console) sourcesFile(q *request) (reply, error) { return c.file(q, config.File, mediaJSON) }

// list: GET /individuals/{file}.
func (c *Console) list(q *request) (reply, error) {
	name, err := c.listName(q)
	if err != nil {
		return reply{}, err
	}
	return c.file(q, name, mediaCSV)
}

func (c *Console) file(q *request, name, media string) (reply, error) {
	data, version, err := c.Written.GetVersion(q.ctx, name)
	if err == nil && !version.Exists() {
		err = missing("file", "PUT it here, or upload "+name+" to the container config of the state account.")
	}
	return reply{data: data, media: media, etag: etag(data)}, err
}

// listFile is what the sources' schema lets a list be called.
var listFile = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)

// listName is the blob that a path below /individuals/ stands for: the list of that name in the folder individuals, or,
// where a source's list lies elsewhere, the one that the source names so.
func (c *Console) listName(q *request) (string, error) {
	file := q.args["file"]
	if !listFile.MatchString(file) || len(lists+file) > 200 || file == config.File {
		return "", missing("list", "A list's name has letters, digits, dots, hyphens, underscores and slashes.")
	}
	force, err := c.Config.Current(q.ctx)
	if err != nil {
		return "", err
	}
	named := false
	for _, s := range force.Sources {
		if s.Individuals.File == lists+file {
			return lists + file, nil
		}
		named = named || s.Individuals.File == file
	}
	if named {
		return file, nil
	}
	return lists + file, nil
}

// putSourcesFile: PUT /config.
func (c *Console) putSourcesFile(q *request) (reply, error) {
	sources, err := c.Config.Check(q.ctx, q.body)
	if found := (settings.Faults)(nil); errors.As(err, &found) {
		return reply{}, refused(found)
	}
	if err != nil {
		return reply{}, err
	}
	names := []string{}
	for _, s := range sources {
		names = append(names, s.Name)
	}
	return c.put(q, config.File, map[string]any{"sources": names}, func(ctx context.Context, said map[string]any) {
		// It is in force from here on, without waiting for plan, which does the same.
		force, err := c.Config.Accept(ctx)
		if err != nil {
			c.Log.WarnContext(ctx, "config not accepted yet", "error", err)
		}
		said["inForce"] = err == nil && force.SHA256 == hash(q.body)
	})
}

// putList: PUT /individuals/{file}. A bad row refuses the whole list, other than in a file that is uploaded: whoever sends it
// here can mend it at once.
func (c *Console) putList(q *request) (reply, error) {
	name, err := c.listName(q)
	if err != nil {
		return reply{}, err
	}
	people, lines, err := settings.ParseIndividuals(q.body)
	var found settings.Faults
	if err != nil {
		found = append(found, settings.Fault{Problem: err.Error()})
	}
	for _, l := range lines {
		found = append(found, settings.Fault{Path: fmt.Sprintf("line %d", l.Line), Problem: l.Problem})
	}
	if len(found) > 0 {
		return reply{}, refused(found)
	}
	return c.put(q, name, map[string]any{"individuals": len(people)}, func(_ context.Context, said map[string]any) {
		said["note"] = "The list is read at the next run of people."
	})
}

func refused(found settings.Faults) error {
	p := failed(http.StatusUnprocessableEntity, "The file has faults",
		"Nothing was changed. Mend what stands in faults, and send it again.")
	p.Faults = found
	return p
}

// put replaces a file that is good, or with ?check=true says that it is. said is the answer, which after adds to.
func (c *Console) put(q *request, name string, said map[string]any, after func(context.Context, map[string]any)) (reply, error) {
	said["sha256"] = hash(q.body)
	check, err := q.flag("check")
	if err != nil {
		return reply{}, err
	}
	if check {
		said["valid"] = true
		return reply{value: said}, nil
	}
	reason, err := q.fileReason()
	if err != nil {
		return reply{}, err
	}
	old, version, err := c.Written.GetVersion(q.ctx, name)
	if err != nil {
		return reply{}, err
	}
	if err := matches(q.header, old, version); err != nil {
		return reply{}, err
	}
	said["changed"] = !version.Exists() || hash(old) != hash(q.body)
	if said["changed"] == true {
		a := action{Action: "put", File: name, SHA256: hash(q.body), Reason: reason}
		if version.Exists() {
			a.Was = hash(old)
		}
		if said["record"], err = c.record(q, a, q.body); err != nil {
			return reply{}, err
		}
		err = c.Written.Replace(q.ctx, name, q.body, version)
		if errors.Is(err, vault.ErrChanged) {
			return reply{}, overtaken()
		}
		if err != nil {
			return reply{}, err
		}
	}
	after(q.ctx, said)
	return reply{value: said, etag: etag(q.body)}, nil
}

// fileReason is why a file is replaced, whose body has no place for it.
func (q *request) fileReason() (string, error) {
	reason := cmp.Or(q.query.Get("reason"), q.header.Get(reasonHeader))
	var f faults
	checkReason(&f, "reason", reason)
	return reason, f.problem(http.StatusUnprocessableEntity)
}

// matches holds that the file is still what the operator has seen.
func matches(h http.Header, old []byte, version vault.Version) error {
	match := strings.TrimSpace(h.Get("If-Match"))
	switch {
	case !version.Exists() && match == "":
		return nil
	case !version.Exists():
		return overtaken()
	case match == "":
		return failed(http.StatusPreconditionRequired, "The file is there already",
			"GET it, and send its ETag as the header If-Match, so that nobody's change is overwritten unseen.")
	case match != etag(old):
		return overtaken()
	}
	return nil
}

func overtaken() *problem {
	return failed(http.StatusPreconditionFailed, "The file is no longer as it was read",
		"Somebody else has changed it: GET it again, and make the change in what is there now.")
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func etag(data []byte) string { return `"` + hash(data) + `"` }
