package procs

import (
	"errors"
	"fmt"
	"os"
)

// Errors that callers branch on. They come wrapped with the operation and the
// name of the process: compare with errors.Is.
var (
	// ErrNoMain is returned by Start when the program has run neither Main nor
	// Init, so that a child, which is the same program, would not know that it
	// is one and would start children in turn. Call Main or Init first thing in
	// main, or in TestMain. Join returns it when the child ended without having
	// reached Main or Init.
	ErrNoMain = errors.New("this program has not called procs.Main or procs.Init")

	// ErrNotStarted is returned by Join, Terminate, Kill and Result when
	// Start has not been called. A process whose Run was called has not been
	// started: it ran in the caller.
	ErrNotStarted = errors.New("the process was not started")

	// ErrStarted is returned by the second Start, and by Run after Start.
	ErrStarted = errors.New("the process was started already")

	// ErrRunning is returned by Close while the process runs.
	ErrRunning = errors.New("the process is still running")

	// ErrClosed is returned by every operation after Close. It is os.ErrClosed.
	ErrClosed = fmt.Errorf("the process object is closed: %w", os.ErrClosed)

	// ErrDaemonicChildren is returned by Start in a daemon: a daemon ends with
	// its parent, at any moment, and would leave its children behind.
	ErrDaemonicChildren = errors.New("a daemon may not have children")

	// ErrEnding is returned by Start when this process has come to its end: for
	// a daemon while Shutdown runs, and from the moment when the function of
	// Main, or of a child, has returned; for any process from then on if a
	// signal has asked this one to end. Otherwise whoever starts anew what has
	// ended would keep it from ending.
	ErrEnding = errors.New("this process is ending")

	// ErrParentDied is the cause with which the context of a child ends when
	// its parent is gone, however it went. See context.Cause.
	ErrParentDied = errors.New("procs: the parent process died")

	// ErrTerminated is the cause with which the context of a child ends when
	// Terminate, Main or Ctrl-C asks it to end, and with which the context of
	// Main's function ends on SIGINT and SIGTERM.
	ErrTerminated = errors.New("procs: asked to end by a signal")

	// ErrNoResult is returned by Result when the process ended well but left no
	// result: its function called os.Exit(0).
	ErrNoResult = errors.New("the process left no result")

	// ErrOtherBuild is returned by Join when the child was not the same
	// program as its parent: the file of the program was replaced and the
	// kernel could not give the old one.
	ErrOtherBuild = errors.New("the child is another build of the program")

	// ErrNotRegistered is returned by Join when the child has no function of
	// that name: it was registered on a path that only the parent takes.
	// Register in a package variable.
	ErrNotRegistered = errors.New("the child has registered no function of that name")
)
