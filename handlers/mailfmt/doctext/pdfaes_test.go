package doctext

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"strings"
)

// encryptAES encrypts the page's content as programs do today, by AES of 256 bits: ISO 32000-2, 7.6.4.
func encryptAES(objects []string, content int, user, owner string) ([]string, string) {
	fileKey := bytes.Repeat([]byte("key:"), 8)
	none := make([]byte, aes.BlockSize)
	validation, salt := []byte("validate"), []byte("key salt")
	entry := func(password string, udata []byte) (hash, key []byte) {
		hash = append(bytes.Clone(pdfHash(password, validation, udata)), append(validation, salt...)...)
		return hash, cbc(pdfHash(password, salt, udata), none, fileKey)
	}
	u, ue := entry(user, nil)
	o, oe := entry(owner, u)
	perms := binary.LittleEndian.AppendUint32(nil, 0xFFFFFFC0)
	perms = append(perms, "\xFF\xFF\xFF\xFFTadbrand"...)
	_, body, _ := strings.Cut(objects[content], "stream\n")
	body = strings.TrimSuffix(body, "\nendstream")
	pad := aes.BlockSize - len(body)%aes.BlockSize
	body += strings.Repeat(string(rune(pad)), pad)
	objects[content] = stream("", string(none)+string(cbc(fileKey, none, []byte(body))))
	return objects, fmt.Sprintf("/ID [<00> <00>] /Encrypt << /Filter /Standard /V 5 /R 6 /Length 256 /P -64 "+
		"/CF << /StdCF << /CFM /AESV3 /AuthEvent /DocOpen /Length 32 >> >> /StmF /StdCF /StrF /StdCF "+
		"/O <%x> /U <%x> /OE <%x> /UE <%x> /Perms <%x> >>", o, u, oe, ue, cbc(fileKey, none, perms))
}

// pdfHash is algorithm 2.B.
func pdfHash(password string, salt, udata []byte) []byte {
	sum := sha256.Sum256(append(append([]byte(password), salt...), udata...))
	k := sum[:]
	for round := 0; ; round++ {
		e := cbc(k[:16], k[16:32], bytes.Repeat(append(append([]byte(password), k...), udata...), 64))
		rest := 0
		for _, c := range e[:16] {
			rest += int(c)
		}
		switch rest % 3 {
		case 0:
			sum := sha256.Sum256(e)
			k = sum[:]
		case 1:
			sum := sha512.Sum384(e)
			k = sum[:]
		default:
			sum := sha512.Sum512(e)
			k = sum[:]
		}
		if round >= 63 && int(e[len(e)-1]) <= round-31 {
			return k[:32]
		}
	}
}

// cbc encrypts whole blocks.
func cbc(key, iv, b []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key's length is ours
	}
	out := make([]byte, len(b))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, b)
	return out
}
