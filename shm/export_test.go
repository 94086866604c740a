package shm

// Asleep returns how many goroutines of this process are inside Sleep.
func Asleep() int { return int(asleep.Load()) }

// DropPins lets go of everything that was sent and never opened.
func DropPins() {
	pins.Lock()
	all := pins.all
	pins.all = nil
	pins.Unlock()
	for _, p := range all {
		p.drop()
	}
}

// Pins returns how many objects are kept for their receivers.
func Pins() int {
	pins.Lock()
	defer pins.Unlock()
	return len(pins.all)
}

// SettlePins looks at the pins now.
func SettlePins() { lookAtPins() }
