//go:build !linux

package matrix

import "os/exec"

func inGroup(*exec.Cmd) {}
