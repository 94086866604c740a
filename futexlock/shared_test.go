package futexlock

import (
	"runtime"
	"sync/atomic"
	"testing"

	"shmkit/shm"
)

// Goroutines of one process that come at the same time take one cell between them,
// not one each: the cells are for as many processes.
func TestGoroutinesShareACell(t *testing.T) {
	const rounds = 20000
	o, err := shm.New[struct {
		RW    RWMutex
		Bar   Barrier
		Group WaitGroup
	}]()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	v := o.Value()
	seg := shm.Find(v)
	self := uint32(seg.Self())
	other := self + 1<<slotShift
	home := int(shm.Token(self).Slot())
	for name, way := range map[string]struct {
		empty func()
		join  func()
		cells func() (n int)
	}{
		"RWMutex": {
			func() { clear(v.RW.cells[:]) },
			func() { v.RW.enter(seg, self, 0) },
			func() (n int) {
				for i := range v.RW.cells {
					n += count(cellToken(v.RW.cells[i].v.Load()) == self)
				}
				return n
			},
		},
		"Barrier": {
			func() { v.Bar.Init(2) },
			func() { v.Bar.join(seg, 0, self) },
			func() (n int) {
				for i := range v.Bar.cells {
					n += count(v.Bar.cells[i].Load() == partyCell(0, self))
				}
				return n
			},
		},
		"WaitGroup": {
			func() {
				clear(v.Group.cells[:])
				v.Group.cells[home%TaskProcesses].Store(charged(0, other, 1)) // or all would look there first
			},
			func() { v.Group.charge(self, 1) },
			func() (n int) {
				for i := range v.Group.cells {
					n += count(taskToken(v.Group.cells[i].Load()) == self)
				}
				return n
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var came atomic.Int32
			meet := func(round int) {
				came.Add(1)
				for n := 0; came.Load() < int32(2*round); n++ { // they must meet within a few ns
					if n > 1000 {
						runtime.Gosched()
					}
				}
			}
			go func() {
				for r := 1; r <= 2*rounds; r++ {
					meet(r)
					if r%2 == 1 {
						way.join()
					}
				}
			}()
			worst := 0
			way.empty()
			for r := 1; r <= 2*rounds; r++ {
				meet(r)
				if r%2 == 1 {
					way.join()
				} else if r < 2*rounds {
					worst = max(worst, way.cells())
					way.empty()
				}
			}
			worst = max(worst, way.cells())
			way.empty()
			if worst != 1 {
				t.Errorf("up to %d cells for one process", worst)
			}
		})
	}
	clear(v.Group.cells[:])
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
