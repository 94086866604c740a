package futexlock

import "fmt"

// More steps of the world in model_rwmutex_test.go: how readers leave, and how a
// writer waits for them.

// leave is RUnlock, and the way back of a reader that has added to a shut lane.
func (w rwWorld) leave(i int, do func(string, func(*rwWorld, *rwProc))) {
	me := w.of(i)
	self := token(me)
	p := w.p[i]
	switch p.pc {
	case rwLeave:
		if laneToken(w.lanes[me]) == self {
			do("leave by the lane", func(n *rwWorld, p *rwProc) { n.taken(i, p) })
		}
		do("leave by hand", func(n *rwWorld, p *rwProc) { p.pc = rwSlow })
	case rwLaneBack:
		do("take back", func(n *rwWorld, p *rwProc) {
			if w.mut == rwStaysAdded {
				p.left()
				return
			}
			n.taken(i, p)
			if w.mut == rwBackMute && p.pc == rwLaneWake {
				p.left()
			}
		})
	case rwLanePut:
		do("put back", func(n *rwWorld, p *rwProc) {
			n.lanes[me] += laneReader
			p.pc = rwSlow
			if w.mut == rwTakesFirst {
				p.left()
				return
			}
			if n.gate&gateClosed != 0 {
				n.wakeDrain(me + len(n.cells))
			}
		})
	case rwLaneWake:
		do("wake the writer at the lane", func(n *rwWorld, p *rwProc) {
			if n.gate&gateClosed != 0 && w.mut != rwLaneMute {
				n.wakeDrain(me + len(n.cells))
			}
			p.left()
		})
	case rwSlow:
		do("look at gate", func(n *rwWorld, p *rwProc) {
			p.g, p.v, p.pc = n.gate, n.lanes[me], rwUnlane
			if n.gate&gateShared != 0 && n.write == int8(me+1) {
				if w.mut == rwAloneByCell && cellReaders(n.cells[w.cell(i)]) != 0 && cellToken(n.cells[w.cell(i)]) == self {
					return
				}
				p.alone = true
				n.open(p, left, false)
			}
		})
	case rwUnlane:
		do("leave by the lane, by hand", func(n *rwWorld, p *rwProc) {
			if v := n.lanes[me]; laneToken(v) == self && laneReaders(v) > 0 {
				n.taken(i, p)
				return
			}
			p.pc = rwUncell
		})
	case rwUncell:
		do("leave by the cell", func(n *rwWorld, p *rwProc) {
			c := &n.cells[w.cell(i)]
			for _, cl := range []uint32{class(p.g), class(p.g) ^ 1} {
				if cellToken(*c) == self && cellCount(*c, cl) != 0 {
					*c -= oneReader(cl)
					p.cl, p.pc = cl, rwLeaveWake
					return
				}
				if w.mut != rwAloneByCell {
					break
				}
			}
			if n.lanes[me] != p.v || class(n.gate) != class(p.g) {
				p.pc = rwSlow
				return
			}
			n.fault = fmt.Sprintf("reader %d is inside and finds nothing to take back", i)
		})
	case rwLeaveWake:
		do("wake the writer", func(n *rwWorld, p *rwProc) {
			if n.gate&gateClosed != 0 && cellCount(n.cells[w.cell(i)], p.cl) == 0 {
				n.wakeDrain(w.cell(i))
			}
			if p.pc = rwLanePut; w.mut != rwTakesFirst || !laneOverdrawn(n.lanes[me]) {
				p.left()
			}
		})
	}
}

// taken takes a reader out of the lane of goroutine i.
func (w *rwWorld) taken(i int, p *rwProc) {
	me := w.of(i)
	w.lanes[me] -= laneReader
	switch v := w.lanes[me]; {
	case laneIsOpen(v) || !laneOverdrawn(v) && laneInside(v) != 0:
		p.left()
	case !laneOverdrawn(v):
		p.pc = rwLaneWake
	case w.mut == rwTakesFirst:
		p.pc = rwSlow
	default:
		p.pc = rwLanePut
	}
}

// left is after a reader has left.
func (p *rwProc) left() {
	if p.back {
		p.pc = rwLook
		return
	}
	p.next()
}

// A writer waits for the readers in the cells, then for those in the lanes: place
// 0 to 2, then 3 to 5.

func (w rwWorld) lane(place int8) int8 {
	if w.mut == rwLanesFirst {
		return (place + int8(len(w.cells))) % 6
	}
	return place
}

func (w rwWorld) word(place int8) uint64 {
	if k := int(w.lane(place)); k >= len(w.cells) {
		return w.lanes[k-len(w.cells)]
	}
	return w.cells[w.lane(place)]
}

// half is what the kernel compares.
func (w rwWorld) half(place int8, v uint64) uint32 {
	if int(w.lane(place)) >= len(w.cells) {
		return uint32(v >> 32)
	}
	return uint32(v)
}

func (w rwWorld) tokenAt(place int8, v uint64) uint32 {
	if int(w.lane(place)) >= len(w.cells) {
		return laneToken(v)
	}
	return cellToken(v)
}

func (w rwWorld) drainStep(i int, do func(string, func(*rwWorld, *rwProc))) {
	p := w.p[i]
	if int(p.place) == 2*len(w.cells) {
		do("drained", func(n *rwWorld, p *rwProc) { p.pc, p.place = rwEnter, 0 })
		return
	}
	k, v := int(w.lane(p.place)), w.word(p.place)
	busy := cellCount(v, p.cl) != 0
	if w.mut == rwWaitsForAll {
		busy = cellReaders(v) != 0
	}
	if k >= len(w.cells) {
		busy = laneIsOpen(v) || laneInside(v) != 0
		if laneIsOpen(v) && w.mut != rwShutsOnce {
			do("shut the lane", func(n *rwWorld, p *rwProc) { n.shutLane(k - len(w.cells)) })
			return
		}
		if w.mut == rwShutsOnce {
			busy = laneInside(v) != 0
		}
	}
	if !busy {
		do("next", func(n *rwWorld, p *rwProc) { p.place, p.ask = p.place+1, false })
		return
	}
	h := w.lifeOf(w.tokenAt(p.place, v))
	if h == dead || h == dying && (w.mut == rwDrainsDying && k < len(w.cells) || w.mut == rwLaneDying && k >= len(w.cells)) {
		do("clear", func(n *rwWorld, p *rwProc) {
			if k >= len(w.cells) {
				n.lanes[k-len(w.cells)] = 0
			} else {
				n.cells[k] = 0
			}
		})
	}
	if (h == dead || h == dying) && p.ask {
		return // polls
	}
	do("look", func(n *rwWorld, p *rwProc) { p.v, p.pc = v, rwDrainSleep })
}
