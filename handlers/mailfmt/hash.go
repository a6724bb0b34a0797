package mailfmt

import (
	"bufio"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// mih is the EDRM message identification hash, version 1.0: the MD5 of the Message-ID's value with its angle brackets.
// A message without one has none.
func mih(messageID string) string {
	if messageID == "" {
		return ""
	}
	sum := md5.Sum([]byte(messageID))
	return hex.EncodeToString(sum[:])
}

// hashVersion stands at the beginning of what is hashed, so that another rule can never give the same value by chance.
const hashVersion = "chainmail/email/1"

// documentHash is the SHA-256, in lower-case hexadecimal, over what makes two emails the same to a reader. Hashed are, in
// this order: the version; the list of the first author's address; the subject; the lists of the addresses of To, CC and BCC; the sent date,
// RFC 3339 in UTC, or nothing; the body; the list of the names of all attachments, embedded ones included.
//
// A text is written as its length in bytes, 8 bytes big-endian, and its UTF-8; a list as the number of its texts, written
// alike, and the texts. Addresses are in lower case and sorted within their list; a person without an address counts by the
// name. So nothing that Exchange makes anew whenever it renders a message is in it: no boundary, folding, order of fields or
// transfer encoding.
func documentHash(m *Mail) string {
	sum := sha256.New()
	h := canonical{bufio.NewWriter(sum)}
	h.text(hashVersion)
	h.list(bare(m.From[:min(len(m.From), 1)]))
	h.text(m.Subject)
	for _, l := range [][]string{m.To, m.CC, m.BCC} {
		h.list(bare(l))
	}
	date := ""
	if !m.Sent.IsZero() {
		date = m.Sent.Format(time.RFC3339)
	}
	h.text(date)
	h.text(m.Body)
	var names []string
	for _, a := range m.Attachments {
		names = append(names, a.Name)
	}
	h.list(names)
	_ = h.Flush() // a hash takes everything
	return hex.EncodeToString(sum.Sum(nil))
}

// bare takes the addresses out of a list of persons.
func bare(people []string) []string {
	all := make([]string, len(people))
	for i, p := range people {
		if open := strings.LastIndex(p, " <"); open >= 0 && strings.HasSuffix(p, ">") {
			p = p[open+2 : len(p)-1]
		}
		all[i] = strings.ToLower(p)
	}
	slices.Sort(all)
	return all
}

// canonical writes texts so that no two sequences of them look alike.
type canonical struct{ *bufio.Writer }

func (c canonical) number(n int) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	_, _ = c.Write(b[:])
}

func (c canonical) text(s string) {
	c.number(len(s))
	_, _ = c.WriteString(s)
}

func (c canonical) list(l []string) {
	c.number(len(l))
	for _, s := range l {
		c.text(s)
	}
}
