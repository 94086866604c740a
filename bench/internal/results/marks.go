package results

import (
	"fmt"
	"os"
	"strings"
)

// A document has a place for a table between two marks, which a reader of the
// page does not see:
//
//	<!-- bench: size -->
//	… is replaced …
//	<!-- bench end -->
const (
	markBegin = "<!-- bench: "
	markClose = " -->"
	markEnd   = "<!-- bench end -->"
)

// Fill replaces what is between the marks of the document by the tables of
// those names, and reports how many places it filled. A mark whose table
// cannot be made from these rows keeps what it has. ErrNoMarks says that there
// is no mark at all.
func Fill(path string, tables map[string]string) (filled int, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var out strings.Builder
	rest, marks := string(b), 0
	for {
		before, after, found := strings.Cut(rest, markBegin)
		out.WriteString(before)
		if !found {
			break
		}
		marks++
		name, after, ok := strings.Cut(after, markClose)
		old, after, ok2 := strings.Cut(after, markEnd)
		if !ok || !ok2 {
			return 0, fmt.Errorf("%s: the mark of %q has no end", path, name)
		}
		text, have := tables[name]
		if have {
			filled++
			text = "\n" + text
		} else {
			text = old
		}
		out.WriteString(markBegin + name + markClose + text + markEnd)
		rest = after
	}
	if marks == 0 {
		return 0, fmt.Errorf("%s: %w", path, ErrNoMarks)
	}
	if out.String() == string(b) {
		return filled, nil
	}
	return filled, os.WriteFile(path, []byte(out.String()), 0o644)
}
