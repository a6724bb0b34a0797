package mailfmt

// Decode turns a text of the declared charset, which may be empty or wrong, into valid UTF-8, as it does with a mail's.
func Decode(text []byte, charset string, isHTML bool) string {
	s, _ := decodeText(text, charset, isHTML)
	return s
}

// HTMLText lays HTML out as plain text by the rules of a mail's; lines end in LF.
func HTMLText(source string) string { return htmlToText(source, func(string, string) {}) }
