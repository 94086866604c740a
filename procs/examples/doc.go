// Package examples holds the well-known tutorial of Python's multiprocessing as
// Go programs, one folder for each section, in its order. Each is a whole
// program of less than 80 lines; run it with
//
//	go run ./procs/examples/01-start-a-function
//
//	01  a process that runs a function        Process(target=task, args=('Alex',))
//	02  a process that runs a type            class Task(Process), def run(self)
//	03  memory is not shared                  global x
//	04  waiting for the end                   p.join()
//	05  ending it, asking how it is           p.terminate(), p.is_alive(), p.pid, p.exitcode
//	06  neither zombies nor orphans           what the tutorial warns of
//	07  a process that ends with its parent   p.daemon = True
//	08  one terminal, several writers         Lock
//	09  selling tickets                       Lock, and one stock that all share
//	10  a queue                               Queue(3), put, get, Full, Empty
//	11  cooks and eaters of 包子              several producers and consumers, and a clean end
//	12  a pipe                                Pipe(), send, recv, poll, EOFError
//	13  HTTP between processes                what Python needs a socket for
//
// Two things are the same in all of them. A function that a process shall run
// is registered in a package variable, because the child, which is the same
// program started again, must find it too. And main is procs.Main(run): in a
// child it runs the child's function, elsewhere run. It stands for Python's
// if __name__ == '__main__'.
//
// The test in this folder builds and runs all programs and checks what they
// print.
package examples
