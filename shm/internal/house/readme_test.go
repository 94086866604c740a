package house

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// root is the repository, seen from this package.
const root = "../../.."

// blocks returns the code blocks of a Markdown file that are in that language.
func blocks(t *testing.T, file, language string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	in := false
	var block strings.Builder
	for line := range strings.Lines(string(b)) {
		switch {
		case !in && strings.HasPrefix(line, "```"):
			in = strings.TrimSpace(line[3:]) == language
			if !in {
				language, in = "\x00"+language, true // another language: to its end
			}
			block.Reset()
		case in && strings.HasPrefix(line, "```"):
			in = false
			if rest, other := strings.CutPrefix(language, "\x00"); other {
				language = rest
			} else {
				all = append(all, block.String())
			}
		case in:
			block.WriteString(line)
		}
	}
	return all
}

// TestReadmeProgram runs the program of the README, as it stands there, and
// compares what it prints with what the README says. It stands where the README
// tells its readers to put it.
func TestReadmeProgram(t *testing.T) {
	out, err := hello(t, func(program string) string { return program })
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "eat 包子 0\neat 包子 1\neat 包子 2\n"; out != want {
		t.Errorf("printed %q, the README says %q", out, want)
	}
}

// TestReadmeProgramKilled does to the child of that program what the README
// promises to survive.
func TestReadmeProgramKilled(t *testing.T) {
	out, err := hello(t, func(program string) string {
		const loop = "for i := range 3 {\n"
		if strings.Count(program, loop) != 1 {
			t.Fatalf("no %q", loop)
		}
		program = strings.Replace(program, `"fmt"`, "\"fmt\"\n\"os\"\n\"syscall\"", 1)
		return strings.Replace(program, loop, loop+"if i == 2 { syscall.Kill(os.Getpid(), syscall.SIGKILL) }\n", 1)
	})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	if !strings.HasPrefix(out, "eat 包子 0\neat 包子 1\n") || !strings.Contains(out, "cook-1 (pid ") || !strings.Contains(out, "): killed by signal 9 (killed)") {
		t.Errorf("printed %q", out)
	}
}

// hello runs the program of the README after change was made to it, and returns
// what it printed.
func hello(t *testing.T, change func(program string) string) (string, error) {
	t.Helper()
	programs := blocks(t, "README.md", "go")
	if len(programs) != 1 {
		t.Fatalf("%d programs in the README, want 1", len(programs))
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(change(programs[0])), 0o600); err != nil {
		t.Fatal(err)
	}
	// An overlay puts the file into the module without putting it there.
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(abs, "hello/main.go"): source}})
	if err != nil {
		t.Fatal(err)
	}
	file, exe := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "hello")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", file, "-o", exe, "./hello")
	build.Dir = abs
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, exe).CombinedOutput()
	return string(out), err
}

// TestReadmeCommands sees to it that CI runs every command of the README: a test
// cannot run the tests.
func TestReadmeCommands(t *testing.T) {
	ci, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range blocks(t, "README.md", "") {
		for line := range strings.Lines(b) {
			cmd := strings.TrimSpace(line)
			if !strings.HasPrefix(cmd, "go ") {
				continue
			}
			n++
			if !strings.Contains(string(ci), "\n"+cmd+"\n") {
				t.Errorf("CI does not run %q", cmd)
			}
		}
	}
	if n < 2 {
		t.Errorf("%d commands found in the README", n)
	}
}
