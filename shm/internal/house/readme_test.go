package house

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
	programs := blocks(t, "README.md", "go")
	if len(programs) != 1 {
		t.Fatalf("%d programs in the README, want 1", len(programs))
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(programs[0]), 0o600); err != nil {
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
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "-overlay", file, "./hello")
	cmd.Dir = abs
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "eat 包子 0\neat 包子 1\neat 包子 2\n"; string(out) != want {
		t.Errorf("printed %q, the README says %q", out, want)
	}
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
