package verify

// splits holds that a batch whose failed custodians were split off, and the batch that holds them, name each other.
func (c *check) splits(s *source) {
	byID := map[string]*batch{}
	for _, b := range s.batches {
		byID[b.id] = b
	}
	for _, b := range s.batches {
		if b.manifest == nil {
			continue
		}
		if into := b.manifest.SplitInto; into != "" {
			switch other := byID[into]; {
			case other == nil && c.options.Collecting: // it is on its way
			case other == nil:
				c.found.add(b.file(), "its splitInto names batch %s, which is not there", word(into))
			case other.manifest != nil && other.manifest.SplitOf != b.id:
				c.found.add(b.file(), "its splitInto names batch %s, whose splitOf does not name this one", word(into))
			}
		}
		if of := b.manifest.SplitOf; of != "" {
			switch other := byID[of]; {
			case other == nil:
				c.found.add(b.file(), "its splitOf names batch %s, which is not there", word(of))
			case other.manifest != nil && other.manifest.SplitInto != b.id:
				c.found.add(b.file(), "its splitOf names batch %s, whose splitInto does not name this one", word(of))
			}
		}
	}
}
