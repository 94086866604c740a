//go:build !linux

package machine

func (i *Info) look() {}

func children() int64 { return -1 }

func self() Usage { return Unknown }

func cpuTimes() (total, steal int64, ok bool) { return 0, 0, false }
