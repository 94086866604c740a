package job

import (
	"testing"
	"unsafe"
)

// TestLayout holds that workers do not write on each other's cache lines.
func TestLayout(t *testing.T) {
	if n := unsafe.Sizeof(cell{}); n%128 != 0 {
		t.Errorf("a cell has %d bytes, no multiple of 128", n)
	}
	if n := unsafe.Sizeof(entry{}); n != 16 {
		t.Errorf("an entry of the table has %d bytes, want 16", n)
	}
}
