package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// goSource finds the source tree of the Go installation: real files that
// everybody has who can run this.
func goSource(ctx context.Context) (string, error) {
	root, where := os.Getenv("GOROOT"), "GOROOT"
	if root == "" {
		where = "go env GOROOT"
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return "", fmt.Errorf("no Go installation found (%s: %v): name a folder with -input DIR", where, err)
		}
		root = strings.TrimSpace(string(out))
	}
	src := filepath.Join(root, "src")
	if info, err := os.Stat(src); err != nil || !info.IsDir() {
		return "", fmt.Errorf("the Go installation of %s (%s) has no folder src: name a folder with -input DIR", where, root)
	}
	return src, nil
}
