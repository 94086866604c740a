//go:build !linux

package machine

func findTracepoint() Tracepoint { return 0 }

func (t Tracepoint) count() *SyscallCounter { return nil }

func (c *SyscallCounter) close() int64 { return -1 }
