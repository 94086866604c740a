//go:build !linux

package matrix

func standsStill(int) bool { return true }
