// Package procstest makes a test binary play every part in a test of several
// processes.
//
// A role is a function that another process of the same test binary runs:
//
//	func TestMain(m *testing.M) { procstest.Main(m) }
//
//	var holder = procstest.Role("holder", func(ctx context.Context, mu *shm.Object[futexlock.Mutex]) error {
//		if err := mu.Value().Lock(); err != nil {
//			return err
//		}
//		<-ctx.Done()
//		return nil
//	})
//
//	func TestKilledHolder(t *testing.T) {
//		mu, err := shm.New[futexlock.Mutex]()
//		…
//		p := holder.Start(t, mu)
//		…
//		p.Kill()
//		err = mu.Value().Lock() // futexlock.ErrOwnerDied
//	}
//
// Roles are killed and reaped when their test ends. KillAt and StopAt end or
// stop a role at a named point of the code under test (package shm/fault),
// EachInstruction kills it after each single machine instruction, WaitBlocked
// returns when a process really sleeps in the kernel, so that no test sleeps
// to let something block, and Watchdog turns a hang into a failure with the
// stacks of all processes.
//
// Main gives the tests a folder of their own for named segments, and fails the
// suite if the tests leave a child, a zombie, a descriptor or a named segment
// behind, or if all tests ran and some role was never started.
package procstest
