//go:build !linux

package shm

func isNoSpace(err error) bool { return false }
