package shm

// Asleep returns how many goroutines of this process are inside Sleep.
func Asleep() int { return int(asleep.Load()) }
