package pack

// TextCounts counts documents by what became of their text, the load file's Text Status. Sums of them are equal where all
// their counts are.
type TextCounts struct {
	Extracted    int `json:"extracted"`
	Empty        int `json:"empty"`
	NotSupported int `json:"notSupported"`
	Protected    int `json:"protected"`
	TooLarge     int `json:"tooLarge"`
	Failed       int `json:"failed"`
}

// count is that of a status; nil: the format has no such status.
func (t *TextCounts) count(status string) *int {
	switch status {
	case "Extracted":
		return &t.Extracted
	case "Empty":
		return &t.Empty
	case "NotSupported":
		return &t.NotSupported
	case "Protected":
		return &t.Protected
	case "TooLarge":
		return &t.TooLarge
	case "Failed":
		return &t.Failed
	}
	return nil
}

// CountTexts counts the texts of items. A status that the format has not is in none of the counts.
func CountTexts(rows []ItemRow) TextCounts {
	var t TextCounts
	for _, row := range rows {
		if n := t.count(row.TextStatus); n != nil {
			*n++
		}
	}
	return t
}

// Plus is the sum of two counts.
func (t TextCounts) Plus(u TextCounts) TextCounts {
	return TextCounts{
		t.Extracted + u.Extracted, t.Empty + u.Empty, t.NotSupported + u.NotSupported,
		t.Protected + u.Protected, t.TooLarge + u.TooLarge, t.Failed + u.Failed,
	}
}

// Sum is the number of documents that were counted.
func (t TextCounts) Sum() int {
	return t.Extracted + t.Empty + t.NotSupported + t.Protected + t.TooLarge + t.Failed
}
