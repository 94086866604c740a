package mpqueue_test

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// What a queue of a given capacity is, as a state machine for porcupine: each
// operation takes effect at one moment between its call and its return. The
// machine knows deaths:
//
//   - A Put whose process was killed may have put, may have left a hole (a place
//     that it had claimed: no message, but it counts until the messages before it
//     are gone), or nothing.
//   - A Get whose process was killed may have taken a message, which may come back
//     to its place at any time after the death.
//
// Of an operation without a return nothing is known, and it may as well take
// effect when all is over: then it had none.

// kind is what an operation is.
type kind int

const (
	putKind kind = iota
	getKind
	closeKind
	backKind // what the killed process proc was getting may come back
)

// linInput and linOutput are an operation.
type linInput struct {
	kind  kind
	value int
	proc  int
}

type linOutput struct {
	result result64
	value  int
}

// result64 is how an operation ended.
type result64 int64

const (
	unknown result64 = iota // its process was killed
	fine
	isEmpty
	isFull
	isBusy
	isClosed
)

var resultNames = [...]string{"killed", "ok", "empty", "full", "busy", "closed"}

// linState is a state of the queue.
type linState struct {
	next   int    // position of the next put
	items  string // position and value of each message, in order
	limbo  string // process, position and value of what a killed Get has taken
	closed bool
	end    bool // the end was reported: nothing may come any more
}

const itemSize = 8

func item(pos, value int) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(pos))
	return string(binary.BigEndian.AppendUint32(b, uint32(value)))
}

func (s linState) first() (pos, value int) {
	return int(binary.BigEndian.Uint32([]byte(s.items[:4]))), int(binary.BigEndian.Uint32([]byte(s.items[4:8])))
}

// full reports whether there is no place: holes and what was taken out of turn
// count as long as an older message is there.
func (s linState) full(capacity int) bool {
	if s.items == "" {
		return false
	}
	pos, _ := s.first()
	return s.next-pos >= capacity
}

// insert puts an item back to its place.
func (s linState) insert(it string) linState {
	i := 0
	for i < len(s.items) && s.items[i:i+itemSize] < it {
		i += itemSize
	}
	s.items = s.items[:i] + it + s.items[i:]
	return s
}

// steps returns the states that an operation can lead to from s, none if it
// cannot end as it did.
func (s linState) steps(capacity int, in linInput, out linOutput) []any {
	same := []any{s}
	when := func(ok bool) []any {
		if ok {
			return same
		}
		return nil
	}
	if out.result == isBusy {
		return same
	}
	switch in.kind {
	case putKind:
		with, hole := s, s
		with.items += item(s.next, in.value)
		with.next++
		hole.next++
		switch possible := !s.closed && !s.full(capacity); out.result {
		case fine:
			if possible {
				return []any{with}
			}
			return nil
		case isFull:
			return when(!s.closed && s.full(capacity))
		case isClosed:
			return when(s.closed)
		default:
			if possible {
				return []any{with, hole}
			}
			return same
		}
	case getKind:
		gone := s
		value := 0
		if s.items != "" {
			_, value = s.first()
			gone.items = s.items[itemSize:]
		}
		switch out.result {
		case fine:
			if s.items != "" && value == out.value {
				return []any{gone}
			}
			return nil
		case isEmpty:
			return when(s.items == "")
		case isClosed:
			s.end = true
			same = []any{s}
			return when(s.closed && s.items == "")
		default:
			if s.items != "" {
				gone.limbo += item(in.proc, 0)[:4] + s.items[:itemSize]
				return []any{gone}
			}
			return same
		}
	case closeKind:
		s.closed = true
		return []any{s}
	default:
		for i := 0; i < len(s.limbo); i += 4 + itemSize {
			if s.limbo[i:i+4] != item(in.proc, 0)[:4] {
				continue
			}
			back := s.insert(s.limbo[i+4 : i+4+itemSize])
			s.limbo = s.limbo[:i] + s.limbo[i+4+itemSize:]
			back.limbo = s.limbo
			if s.end {
				return []any{s}
			}
			return []any{s, back}
		}
		return same
	}
}

// queueMachine is the specification of a queue.
func queueMachine(capacity int) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{linState{}} },
		Step: func(state, in, out any) []any {
			return state.(linState).steps(capacity, in.(linInput), out.(linOutput))
		},
		Equal: func(a, b any) bool { return a == b },
	}
	return m.ToModel()
}

// describeHistory is for people who look for what went wrong.
func describeHistory(ops []porcupine.Operation) string {
	var b strings.Builder
	for _, o := range ops {
		in, out := o.Input.(linInput), o.Output.(linOutput)
		what := map[kind]string{putKind: fmt.Sprintf("put %d", in.value), getKind: "get", closeKind: "close", backKind: "back"}[in.kind]
		fmt.Fprintf(&b, "%d: %8.3f..%8.3f us: %s: %s %d\n", o.ClientId, float64(o.Call)/1e3, float64(o.Return)/1e3, what, resultNames[out.result], out.value)
	}
	return b.String()
}
