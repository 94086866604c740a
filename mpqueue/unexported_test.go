package mpqueue_test

import (
	"testing"

	"shmkit/mpqueue"
)

type flatOrder struct {
	ID   int
	seen int
}

type deepOrder struct {
	ID    int
	Lines []string
	seen  int
}

// What the documentation says of unexported fields: they arrive in what is
// copied as it is, and not in what gob encodes.
func TestUnexportedFields(t *testing.T) {
	flat, err := mpqueue.New[flatOrder](1)
	if err != nil {
		t.Fatal(err)
	}
	defer flat.Close()
	if err := flat.Put(t.Context(), flatOrder{1, 2}); err != nil {
		t.Fatal(err)
	}
	if v, err := flat.Get(t.Context()); err != nil || v.seen != 2 {
		t.Errorf("without pointers: %+v, %v", v, err)
	}
	deep, err := mpqueue.New[deepOrder](1)
	if err != nil {
		t.Fatal(err)
	}
	defer deep.Close()
	if err := deep.Put(t.Context(), deepOrder{1, []string{"包子"}, 2}); err != nil {
		t.Fatal(err)
	}
	if v, err := deep.Get(t.Context()); err != nil || v.ID != 1 || v.seen != 0 {
		t.Errorf("with pointers: %+v, %v", v, err)
	}
}
