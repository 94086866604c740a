package wire_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"math"
	"math/big"
	"math/rand"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/quick"
	"time"

	"shmkit/procs/internal/wire"
)

type inner struct{ X, Y int }

type Named inner

type embedded struct{ E string }

type everything struct {
	Bool    bool
	Int     int
	Int8    int8
	Uint64  uint64
	Ptr     uintptr
	Float32 float32
	Float64 float64
	Complex complex128
	Text    string
	Bytes   []byte
	Ints    []int
	Nested  [][]string
	Array   [3]inner
	Map     map[string][]int
	Set     map[string]struct{}
	Struct  inner
	Pointer *inner
	PP      **int
	Empty   struct{}
	Hollow  []struct{}
	Any     any
	Time    time.Time
	Big     *big.Int
	Addr    netip.Addr
	URL     url.URL
	Nil     *everything
	Chan    chan int
	Func    func()
	hidden  int
	embedded
	Named
}

func roundTrip[T any](t *testing.T, v T) T {
	t.Helper()
	var got T
	data, err := wire.Marshal(v, reflect.TypeFor[T]())
	if err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	if err := wire.Unmarshal(data, &got); err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	return got
}

func TestEverything(t *testing.T) {
	zero := 0
	pz := &zero
	want := &everything{
		Bool: true, Int: math.MinInt32, Int8: -128, Uint64: math.MaxUint64, Ptr: 7,
		Float32: 1.5, Float64: math.Inf(-1), Complex: complex(1, -2),
		Text: "包子\x00", Bytes: []byte{0, 255}, Ints: []int{}, Nested: [][]string{nil, {}, {"a", ""}},
		Array: [3]inner{{1, 2}, {}, {5, 6}}, Map: map[string][]int{"a": {1}, "b": nil}, Set: map[string]struct{}{"x": {}, "y": {}},
		Struct: inner{3, 4}, Pointer: &inner{}, PP: &pz, Hollow: make([]struct{}, 9),
		Any:  map[string]any{"n": 1, "list": []any{"a", 2.5, true}},
		Time: time.Unix(1, 2).UTC(), Big: big.NewInt(1).Lsh(big.NewInt(1), 200), Addr: netip.MustParseAddr("::1%eth0"),
		URL: url.URL{Scheme: "https", Host: "example.org", Path: "/a b"}, embedded: embedded{"e"}, Named: Named{8, 9},
	}
	got := roundTrip(t, want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	if want.hidden != 0 || got.hidden != 0 {
		t.Error("zero became something")
	}
	if got.PP == nil || *got.PP == nil || **got.PP != 0 {
		t.Error("a pointer to zero did not arrive as one")
	}
	if got.Ints == nil || got.Nested[0] != nil || got.Nested[1] == nil {
		t.Error("nil and empty slices are mixed up")
	}
}

func TestTopLevel(t *testing.T) {
	roundTrip(t, struct{}{})
	roundTrip(t, struct{ private int }{})
	if got := roundTrip[any](t, "x"); got != "x" {
		t.Error(got)
	}
	if got := roundTrip[any](t, nil); got != nil {
		t.Error(got)
	}
	if got := roundTrip[*int](t, nil); got != nil {
		t.Error(got)
	}
	if got := roundTrip(t, math.NaN()); !math.IsNaN(got) {
		t.Error(got)
	}
	if got := roundTrip(t, []chan int{nil, nil}); len(got) != 2 {
		t.Error(got)
	}
	if got := roundTrip(t, map[struct{}]int{{}: 1}); got[struct{}{}] != 1 {
		t.Error(got)
	}
}

type list struct {
	Next *list
	V    int
}

type hidden struct{ secret int }

type unregistered struct{ A int }

type bad struct{}

func (b bad) MarshalText() ([]byte, error)  { return nil, errors.New("no text today") }
func (b *bad) UnmarshalText(t []byte) error { return nil }

type tools struct {
	Items []tool
	ByKey map[string]*tool
}

type tool struct {
	Name string
	mu   sync.Mutex
	Out  chan int
	Do   func()
}

// Whatever would not arrive as it was sent is refused, and the message leads
// to it.
func TestRefusals(t *testing.T) {
	ring := &list{V: 1}
	ring.Next = &list{V: 2, Next: ring}
	self := map[string]any{}
	self["me"] = self
	locked := tools{Items: []tool{{}, {}, {}}}
	locked.Items[2].mu.Lock()
	for _, c := range []struct {
		v    any
		want []string
	}{
		{hidden{7}, []string{"hidden.secret (int)", "unexported field that holds data"}},
		{locked, []string{"tools.Items[2].mu (sync.Mutex)"}},
		{tools{ByKey: map[string]*tool{"hammer": {Out: make(chan int)}}}, []string{"tools.ByKey[hammer].Out (chan int)", "cannot leave its process"}},
		{tools{Items: []tool{{Do: func() {}}}}, []string{"tools.Items[0].Do (func())"}},
		{make(chan int), []string{"chan int"}},
		{ring, []string{".Next.Next", "leads back to itself"}},
		{self, []string{"leads back to itself"}},
		{[]any{1, hidden{3}}, []string{"[1].(wire_test.hidden).secret"}},
		{[]any{unregistered{3}}, []string{"[0]", "type not registered"}},
		{struct{ B bad }{}, []string{".B (wire_test.bad)", "no text today"}},
	} {
		_, err := wire.Marshal(c.v, reflect.TypeOf(c.v))
		if err == nil {
			t.Errorf("%T is accepted", c.v)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%T: %q does not say %q", c.v, err, want)
			}
		}
	}
	// The same pointer twice is no cycle.
	shared := &inner{1, 2}
	if got := roundTrip(t, []*inner{shared, shared}); *got[0] != *shared || *got[1] != *shared {
		t.Errorf("shared pointer: %v", got)
	}
}

// A list of a million elements is an error, not the end of the program.
func TestDepth(t *testing.T) {
	var head *list
	for range 1_000_000 {
		head = &list{Next: head}
	}
	if _, err := wire.Marshal(head, reflect.TypeFor[*list]()); err == nil || !strings.Contains(err.Error(), "10,000 deep") || len(err.Error()) > 300 {
		t.Errorf("%v", err)
	}
	head = nil
	for i := range 9_000 {
		head = &list{Next: head, V: i}
	}
	if got := roundTrip(t, head); got.V != 8_999 || got.Next.V != 8_998 {
		t.Errorf("%v", got)
	}
	var got *list
	if err := wire.Unmarshal(bytes.Repeat([]byte{1}, 1_000_000), &got); !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

type Shape interface{ Area() int }
type Square struct{ Side int }

func (s Square) Area() int { return s.Side * s.Side }

func TestInterfaces(t *testing.T) {
	gob.Register(Square{})
	if got := roundTrip(t, []Shape{Square{3}, nil}); got[0].Area() != 9 || got[1] != nil {
		t.Errorf("%v", got)
	}
	// Another type under the same interface is an error of the reader.
	data, err := wire.Marshal(Square{3}, reflect.TypeFor[any]())
	if err != nil {
		t.Fatal(err)
	}
	var wrong error
	if err := wire.Unmarshal(data, &wrong); !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("a Square as an error: %v", err)
	}
	// What gob does not know is said, and what to do.
	type stranger struct{ A int }
	_, err = wire.Marshal([]any{1, &stranger{2}}, reflect.TypeFor[[]any]())
	if want := "call gob.Register with a *wire_test.stranger in an init function"; err == nil || !strings.HasPrefix(err.Error(), "[]interface {}[1] (") || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("an unregistered type: %v", err)
	}
}

// Ticket is spent by being written.
type Ticket struct{ used int }

func (t *Ticket) MarshalBinary() ([]byte, error) {
	if t.used++; t.used > 1 {
		return nil, errors.New("spent")
	}
	return []byte("ticket"), nil
}

func (t *Ticket) UnmarshalBinary(b []byte) error { return nil }

type Wallet struct{ Ticket *Ticket }

// Label has a text form, which gob does not ask for.
type Label struct {
	Shown string
	no    int
}

func (l Label) MarshalText() ([]byte, error) { return []byte(l.Shown), nil }
func (l *Label) UnmarshalText([]byte) error  { return nil }

// Marshalers may give something away: each is called once for a value, however
// deep it stands in interfaces.
func TestMarshaledOnce(t *testing.T) {
	gob.Register(&Ticket{})
	gob.Register(Wallet{})
	gob.Register(Label{})
	for _, f := range []func(*Ticket) any{
		func(k *Ticket) any { return k },
		func(k *Ticket) any { return []any{k} },
		func(k *Ticket) any { return map[string]any{"a": []any{1, k}} },
		func(k *Ticket) any { return Wallet{k} },
	} {
		k := &Ticket{}
		data, err := wire.Marshal(f(k), reflect.TypeFor[any]())
		if err != nil || k.used != 1 {
			t.Errorf("%T: %v, marshaled %d times", f(k), err, k.used)
			continue
		}
		var got any
		if err := wire.Unmarshal(data, &got); err != nil || reflect.TypeOf(got) != reflect.TypeOf(f(k)) {
			t.Errorf("%T: got %T, %v", f(k), got, err)
		}
	}
	if got := roundTrip[any](t, Label{Shown: "x"}); got != (Label{Shown: "x"}) {
		t.Errorf("%v", got)
	}
	_, err := wire.Marshal([]any{Label{"x", 3}}, reflect.TypeFor[[]any]())
	if err == nil || !strings.Contains(err.Error(), "[0].(wire_test.Label).no (int)") {
		t.Errorf("gob would not send the field: %v", err)
	}
}

func TestQuick(t *testing.T) {
	type value struct {
		A map[int16][]string
		B [4]*uint8
		C []struct{ X, Y float64 }
		D complex64
	}
	if err := quick.Check(func(v value) bool { return reflect.DeepEqual(roundTrip(t, v), v) }, nil); err != nil {
		t.Error(err)
	}
}

// Bytes of anything are an error or a value, never a panic or a flood of
// memory.
func TestCorrupt(t *testing.T) {
	v := everything{Text: "text", Ints: []int{1, 2, 3}, Map: map[string][]int{"a": {1}}, Any: 3, Pointer: &inner{1, 2}}
	good, err := wire.Marshal(&v, reflect.TypeFor[*everything]())
	if err != nil {
		t.Fatal(err)
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for i := range 20000 {
		data := append([]byte(nil), good...)
		switch i % 3 {
		case 0:
			data = data[:rnd.Intn(len(data))]
		case 1:
			data[rnd.Intn(len(data))] = byte(rnd.Int())
		default:
			for range 8 {
				data[rnd.Intn(len(data))] = byte(rnd.Int())
			}
		}
		var got *everything
		err := wire.Unmarshal(data, &got)
		if i%3 == 0 && err == nil {
			t.Errorf("%d of %d bytes are enough", len(data), len(good))
		}
	}
	if err := wire.Unmarshal(append(good, 0), new(*everything)); !errors.Is(err, wire.ErrCorrupt) {
		t.Errorf("trailing byte: %v", err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	good, err := wire.Marshal(everything{Text: "text", Ints: []int{1}}, reflect.TypeFor[everything]())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		var v everything
		wire.Unmarshal(data, &v)
	})
}

// A large slice costs no text and no memory for each of its elements.
func TestElementsCostNothing(t *testing.T) {
	type row struct{ X, Y int64 }
	many := struct {
		Numbers []int
		Floats  []float64
		Names   []string
		Rows    []row
		Table   [1 << 10]uint32
	}{make([]int, 1<<12), make([]float64, 1<<12), make([]string, 1<<12), make([]row, 1<<12), [1 << 10]uint32{}}
	typ := reflect.TypeOf(many)
	data, err := wire.Marshal(many, typ)
	if err != nil {
		t.Fatal(err)
	}
	const most = 2<<12 + 200 // reflect allocates for each field's name
	if n := testing.AllocsPerRun(3, func() { wire.Marshal(many, typ) }); n > most {
		t.Errorf("Marshal allocates %v times", n)
	}
	if n := testing.AllocsPerRun(3, func() { wire.Unmarshal(data, reflect.New(typ).Interface()) }); n > most {
		t.Errorf("Unmarshal allocates %v times", n)
	}
}
