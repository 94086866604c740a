package shm

// take makes the next step of a New of goroutine i.
func (w *arenaWorld) take(i int) {
	g, me := &w.g[i], w.process(i)
	p := &w.p[me]
	switch g.pc {
	case arenaUnion:
		found, end := w.scan(i, false)
		switch {
		case found:
			w.again(i)
		case end:
			g.pc = arenaGen
		}
	case arenaGen:
		if g.seen = w.gen; w.plan.mut == arenaHighEarly {
			g.from = w.high
		}
		switch {
		case g.seen == 0 || g.seen&genMarks != 0 || w.plan.mut == arenaUnmarked || w.plan.mut == arenaLooksFirst:
			g.pc = arenaRaise
		default:
			g.pc = arenaMark
		}
		if g.pc == arenaRaise && w.plan.mut == arenaLooksFirst {
			g.pc = arenaScan
		}
	case arenaMark:
		w.gen |= abandoned
		g.seen |= abandoned
		g.pc = arenaMarkScan
	case arenaMarkScan:
		found, end := w.scan(i, false)
		switch {
		case found && w.plan.mut == arenaMarkLeft:
			w.again(i)
		case found:
			g.pc = arenaUnmark
		case end:
			g.pc = arenaRaise
		}
	case arenaUnmark:
		w.gen &^= abandoned
		w.again(i)
	case arenaRaise:
		if w.gen != g.seen && w.plan.mut != arenaSwaps && w.plan.mut != arenaLooksFirst {
			w.again(i)
			return
		}
		g.seen = g.seen&^genMarks + genStep
		w.gen = g.seen | taking
		if g.pc = arenaScan; w.plan.mut == arenaLooksFirst || w.plan.mut == arenaScansOnce {
			g.pc = arenaClear
		}
	case arenaScan:
		found, end := w.scan(i, false)
		switch {
		case found:
			w.again(i)
		case end:
			if g.pc = arenaClear; w.plan.mut == arenaLooksFirst {
				g.pc = arenaRaise
			}
		}
	case arenaClear:
		w.giveAway()
		w.data, w.lock = 0, 0
		g.pc = arenaDescribe
	case arenaDescribe:
		w.desc, w.opens = arenaTorn, 0
		g.pc = arenaDescribed
	case arenaDescribed:
		w.desc = g.seen
		g.pc = arenaPublish
	case arenaPublish:
		w.giveAway()
		w.rows[me] = true
		p.handles, p.gen, p.holds, p.sent, g.h = 1, g.seen, g.seen, false, g.seen
		g.pc = arenaTaken
	case arenaTaken:
		w.gen = g.seen
		w.done(i)
	}
}

// again is a continue in take.
func (w *arenaWorld) again(i int) {
	if g := &w.g[i]; g.scanned {
		w.p[arenaOwner].mu = 0
		w.stop(i)
	} else {
		g.scanned, g.pc = true, arenaUnion
	}
}

// giveAway is a step of New that nobody else may feel.
func (w *arenaWorld) giveAway() {
	for _, p := range w.p {
		if p.holds != 0 {
			w.fault = arenaGiven
		}
	}
}
