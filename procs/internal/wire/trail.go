package wire

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// A trail is the way from a value to the part of it that is being written or
// read. It is for errors, and becomes text only in one: text for each element of
// a large slice would take longer than the element.
type trail struct {
	root  string
	steps []step
}

// A step leads from a value to one of its parts: to a field or into an
// interface, which is text, to the element at an index, or to that of a key.
type step struct {
	text  string
	index int
	key   reflect.Value
}

// push makes s the last step, and pop takes it away.
func (t *trail) push(s step) { t.steps = append(t.steps, s) }
func (t *trail) pop()        { t.steps = t.steps[:len(t.steps)-1] }

// at makes the last step lead to the element at that index.
func (t *trail) at(index int) { t.steps[len(t.steps)-1].index = index }

// String returns, for example, "CookArgs.Tools[2].mu".
func (t *trail) String() string {
	var b strings.Builder
	b.WriteString(t.root)
	for _, s := range t.steps {
		switch {
		case s.text != "":
			b.WriteString(s.text)
		case s.key.IsValid():
			fmt.Fprintf(&b, "[%v]", s.key)
		default:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		}
	}
	return b.String()
}

// beginning returns the first steps of a trail that may be thousands long.
func (t *trail) beginning() string {
	const long = 100
	s := t.String()
	return s[:min(len(s), long)]
}
