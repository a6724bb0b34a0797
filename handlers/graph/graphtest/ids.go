package graphtest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// Ids are made from a name, so that the same world has the same ids. They have the length and letters of Exchange's:
// URL-safe base64, with the padding kept, so that a client that does not percent-encode or that folds case is found out.

func seedBytes(name string, n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
		b = append(b, sum[:]...)
	}
	return b[:n]
}

func immutableID(name string) string {
	return "AAkALgAAAAAAHYQDEapmEc2byACqAC" + base64.URLEncoding.EncodeToString(seedBytes("immutable "+name, 49))
}

func mutableID(name string) string {
	return "AAMkADhMGI2" + base64.URLEncoding.EncodeToString(seedBytes("mutable "+name, 79))
}

func folderID(name string) string {
	return "AQMkADYAAAI" + base64.URLEncoding.EncodeToString(seedBytes("folder "+name, 61))
}

func changeKey(name string) string {
	return "CQAAABYAAAC" + base64.StdEncoding.EncodeToString(seedBytes("change "+name, 20))
}

func guid(name string) string {
	b := seedBytes("guid "+name, 16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
