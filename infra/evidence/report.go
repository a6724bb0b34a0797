package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"chainmail/infra/evidence/verify"
)

// checkReport refuses a report that could not be written, or would lie in the evidence, before anything is read.
func checkReport(file string, w where) error {
	if file == "" {
		return nil
	}
	folder := filepath.Dir(file)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return refuse("-report: there is no folder %s", folder)
	}
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		return refuse("-report: %s is there, and no file", file)
	}
	if w.connection != "" || strings.Contains(w.place, "://") {
		return nil
	}
	evidence, err1 := real(w.place)
	at, err2 := real(folder)
	if err1 != nil || err2 != nil {
		return nil // there is no such folder of evidence, which is said when it is opened
	}
	if in, err := filepath.Rel(evidence, at); err == nil && in != ".." && !strings.HasPrefix(in, ".."+string(filepath.Separator)) {
		return refuse("-report: %s lies in the evidence, where nothing may be added: give a file elsewhere", file)
	}
	return nil
}

// real is a folder's path without links.
func real(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// writeReport writes the page, whole or not at all, and says by which hash it can be known again.
func writeReport(r *verify.Report, file string, w where, stdout io.Writer) error {
	var page bytes.Buffer
	if err := r.WritePage(&page, verify.Occasion{Place: w.named(), At: time.Now(), Program: program()}); err != nil {
		return fmt.Errorf("-report: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".chainmail-report-*_inprogress")
	if err != nil {
		return fmt.Errorf("-report: %w", err)
	}
	defer func() { _, _ = tmp.Close(), os.Remove(tmp.Name()) }()
	_, err = tmp.Write(page.Bytes())
	for _, step := range []func() error{
		tmp.Sync, tmp.Close, func() error { return os.Chmod(tmp.Name(), 0o644) }, func() error { return os.Rename(tmp.Name(), file) },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return fmt.Errorf("-report: %w", err)
	}
	fmt.Fprintf(stdout, "report: %s, SHA-256 %x\n", file, sha256.Sum256(page.Bytes()))
	return nil
}

// named is the evidence as a reader of the report knows it: a container's address, or a folder's own name, which tells nothing
// of the machine that it lies on.
func (w where) named() string {
	switch {
	case w.connection != "":
		return "container " + w.place
	case strings.Contains(w.place, "://"):
		return w.place
	}
	if dir, err := filepath.Abs(w.place); err == nil {
		return "folder " + filepath.Base(dir)
	}
	return "folder " + filepath.Base(w.place)
}

// program is this program's version and commit, as far as it was built with them.
func program() string {
	t := tool()
	if t.Commit == "" {
		t.Commit = "unknown"
	}
	return fmt.Sprintf("evidence verify, version %s, commit %s", t.Version, t.Commit[:min(len(t.Commit), 12)])
}
