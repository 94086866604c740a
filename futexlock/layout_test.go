package futexlock

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// kindsOf are the types that LAYOUT.md describes.
var kindsOf = map[string]struct {
	id  uint32
	typ reflect.Type
}{
	"Mutex":          {kindMutex, reflect.TypeFor[Mutex]()},
	"RecursiveMutex": {kindRecursiveMutex, reflect.TypeFor[RecursiveMutex]()},
	"RWMutex":        {kindRWMutex, reflect.TypeFor[RWMutex]()},
	"Semaphore":      {kindSemaphore, reflect.TypeFor[Semaphore]()},
	"Cond":           {kindCond, reflect.TypeFor[Cond]()},
	"Event":          {kindEvent, reflect.TypeFor[Event]()},
	"Barrier":        {kindBarrier, reflect.TypeFor[Barrier]()},
	"Once":           {kindOnce, reflect.TypeFor[Once]()},
	"WaitGroup":      {kindWaitGroup, reflect.TypeFor[WaitGroup]()},
}

// masks are the constants that LAYOUT.md names in its tables of bits, and the
// shift that the table of states stands at.
var masks = map[string]uint64{
	"waited": uint64(waited), "ownerDied": uint64(ownerDied), "starving": uint64(starving), "holderMask": uint64(holderMask),
	"gateShared": uint64(gateShared), "gateWriting": uint64(gateWriting), "gateClass": uint64(gateClass), "gateClosed": uint64(gateClosed),
	"laneGuard": laneGuard, "laneOpen": laneOpen, "laneCount": laneCount, "laneOwner": laneOwner,
	"bellLarge": uint64(bellLarge), "bellSeq": uint64(bellSeq),
}

var states = map[string]uint64{
	"permitOut": permitOut, "permitFree": permitFree, "permitOwned": permitOwned, "permitTaking": permitTaking, "permitGiving": permitGiving,
}

// layoutErrors compares the text with the code.
func layoutErrors(text string) (wrong []string) {
	say := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	for name, k := range kindsOf {
		row := fmt.Sprintf("| %d | %s | %d |", k.id, name, k.typ.Size())
		if !strings.Contains(text, row) {
			say("no row %q", row)
		}
		_, section, ok := strings.Cut(text, "(`"+name+"`)")
		if !ok {
			say("no section for %s", name)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		table := regexp.MustCompile(`(?m)^\| (\d+) \| (\d+) \| (\w+) \|`).FindAllStringSubmatch(section, -1)
		var want, got []string
		for _, m := range table {
			if f, ok := k.typ.FieldByName(m[3]); ok && f.Name == m[3] {
				want = append(want, strings.Join(m[1:], " "))
			} else if _, isBits := masks[m[3]]; !isBits {
				if _, isState := states[m[3]]; !isState {
					say("%s has no field %s", name, m[3])
				}
			}
		}
		for f := range k.typ.Fields() {
			if f.Name != "_" {
				got = append(got, fmt.Sprintf("%d %d %s", f.Offset, f.Type.Size(), f.Name))
			}
		}
		if !reflect.DeepEqual(want, got) {
			say("%s: fields are %q, LAYOUT.md says %q", name, got, want)
		}
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+)(?:\.\.(\d+))? \| (\w+) \|`).FindAllStringSubmatch(text, -1) {
		hi, _ := strconv.Atoi(m[1])
		lo := hi
		if m[2] != "" {
			lo, _ = strconv.Atoi(m[2])
		}
		if mask, ok := masks[m[3]]; ok {
			seen[m[3]] = true
			if want := (uint64(1)<<(hi-lo+1) - 1) << lo; mask != want {
				say("%s is %#x, LAYOUT.md says bits %s: %#x", m[3], mask, m[0], want)
			}
		}
		if state, ok := states[m[3]]; ok {
			seen[m[3]] = true
			if state != uint64(hi)<<29 {
				say("%s is %#x, LAYOUT.md says state %d", m[3], state, hi)
			}
		}
	}
	for name := range masks {
		if !seen[name] {
			say("LAYOUT.md does not say which bits %s has", name)
		}
	}
	for name := range states {
		if !seen[name] {
			say("LAYOUT.md does not say which state %s is", name)
		}
	}
	return wrong
}

func TestLayout(t *testing.T) {
	b, err := os.ReadFile("LAYOUT.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, wrong := range layoutErrors(text) {
		t.Error(wrong)
	}
	for _, change := range [][2]string{
		{"| 66 | RWMutex | 2176 |", "| 66 | RWMutex | 2180 |"},
		{"| 8 | 4 | max |", "| 12 | 4 | max |"},
		{"| 29 | starving | newcomers queue up |\n", ""},
		{"| 29 | starving | newcomers queue up | a locker", "| 28 | starving | newcomers queue up | a locker"},
		{"| 3 | permitTaking |", "| 5 | permitTaking |"},
	} {
		if n := len(layoutErrors(strings.Replace(text, change[0], change[1], 1))); n == 0 && change[1] != "" {
			t.Errorf("a change of %q is not noticed", change[0])
		}
	}
}

// The words whose layout no struct shows: what goes in comes out, and nothing
// runs into its neighbour.
func TestWords(t *testing.T) {
	v := partyCell(0, 7) | 1<<43
	for range 10 {
		v = nextRound(arrived(v), false)
	}
	if barrierRound(v) != 10 || barrierArrived(v) != 0 || barrierHistory(v) != 0 {
		t.Errorf("after ten rounds: %#x", v)
	}
	e := barrierEpoch(v)
	v = nextRound(v, true)
	if barrierEpoch(v) != (e+1)&epochMask || endedWell(v, 10, e) || !endedWell(v, 9, e) {
		t.Errorf("after a reset: %#x", v)
	}
	last := uint64(epochMask)<<32 | uint64(1<<29-1)<<3
	if n := nextRound(last, true); barrierRound(n) != 0 || barrierEpoch(n) != 0 {
		t.Errorf("round and epoch run over into %#x", n)
	}
	c := uint64(condWaited)
	for range 1 << 17 {
		c = signalled(c, 3)
	}
	if condPending(c) != maxPending || condCrowd(c) != 0 || c&condWaited == 0 {
		t.Errorf("after many signals: %#x", c)
	}
	c |= 1<<32 - 2 // the last seq
	if n := signalled(c, 1); condSeq(n) != 0 || condCrowd(n) != 0 {
		t.Errorf("seq runs over into %#x", n)
	}
	if n := broadcast(c | 0xffff<<32); condCrowd(n) != 0 || condPending(n) != 0 || n&condWaited != 0 {
		t.Errorf("crowd runs over into %#x", n)
	}
	b := waited | bellSeq
	if rung(b) != waited || silent(b) != 0 {
		t.Errorf("the bell runs over into %#x, %#x", rung(b), silent(b))
	}
	w := charged(0, holderMask-1, load(maxAdded|maxTaken*oneTaken))
	if taskToken(w) != holderMask-1 || added(w) != maxAdded || takenBy(w) != maxTaken || w&taskMoving != 0 {
		t.Errorf("a full cell of tasks: %#x", w)
	}
	if load(1).fits(w) || load(oneTaken).fits(w) || !load(0).fits(w) {
		t.Error("a full cell takes more")
	}
	src, dst, l, ok := unjournal(journal(63, 0, load(maxAdded|maxTaken*oneTaken)))
	if !ok || src != 63 || dst != 0 || l.added() != maxAdded || l.taken() != maxTaken {
		t.Errorf("the journal: %d %d %#x %v", src, dst, l, ok)
	}
	if _, _, _, ok := unjournal(^uint64(0)); ok {
		t.Error("a damaged journal is believed")
	}
	// A lane, open and shut, from which one is taken too many, and put back.
	for _, was := range []uint64{laneOpen | 5, 5} {
		v := was - laneReader
		if laneIsOpen(v) || !laneOverdrawn(v) || laneReaders(v) != 0 || laneInside(v) == 0 || laneToken(v) != 5 || v+laneReader != was {
			t.Errorf("%#x less one reader is %#x", was, v)
		}
		v = was + 3*laneReader
		if laneIsOpen(v) != laneIsOpen(was) || laneOverdrawn(v) || laneReaders(v) != 3 || laneInside(was) != 0 || laneToken(v) != 5 {
			t.Errorf("%#x and three readers is %#x", was, v)
		}
	}
	if p := ownedBy(permitFree|permitTurns, 5); permitToken(p) != 5 || permitState(p) != permitOwned {
		t.Errorf("a permit runs over into %#x", p)
	}
}
