// Package rival builds the channels that the benchmark compares: this
// module's queue, and every other way in which two programs on one machine
// can hand each other messages. Each lives in a file of its own, written as
// well as we know how, with the reasons for its choices at the top.
//
//	launcher                 producer process        consumer process
//	c, err := kind.Make(…)
//	  c.Ends, c.SendFiles    → kind.Sender(ends, files)
//	  c.Ends, c.ReceiveFiles →                        kind.Receiver(ends, files)
//	c.CloseSend(ctx)  when the last producer is gone: Recv says io.EOF
//
// A message is a slice of bytes, of at most Spec.MaxMessage. All channels hand
// each message to one receiver. Their crash behaviour is their own: that is
// part of what is compared.
package rival
