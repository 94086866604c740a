package tree

// A Share is what one of several producers sends: every Of'th file of the
// plan, beginning with file Index. Neighbours in the list go to different
// producers, so that a folder of large files does not fall to one of them.
type Share struct {
	Index, Of int
}

// Files yields the numbers of the share's files in the order in which they
// are sent.
func (s Share) Files(p *Plan) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := s.Index; i < len(p.Files); i += s.Of {
			if !yield(i) {
				return
			}
		}
	}
}

// Chunks reports how many chunks the share has.
func (s Share) Chunks(p *Plan) int {
	n := 0
	for i := range s.Files(p) {
		n += p.Files[i].Chunks()
	}
	return n
}

// Locate reports which file of the share is on its way, and which chunk of
// that file is next, when sent chunks of the share have been sent. It is
// false if that was all.
func (s Share) Locate(p *Plan, sent int) (file, chunk int, ok bool) {
	for i := range s.Files(p) {
		n := p.Files[i].Chunks()
		if sent < n {
			return i, sent, true
		}
		sent -= n
	}
	return 0, 0, false
}
