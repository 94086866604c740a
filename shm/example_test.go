package shm_test

import (
	"errors"
	"fmt"
	"log"

	"shmkit/futexlock"
	"shmkit/shm"
)

// purse is a struct in shared memory: data together with its lock.
type purse struct {
	mu      futexlock.Mutex
	balance int64
}

// Any number of processes may run this program at one time; each adds 10. A
// process that is killed in between costs the others nothing.
func Example() {
	o, _, err := shm.OpenOrCreate[purse]("example-purse")
	if err != nil {
		log.Fatal(err)
	}
	defer o.Close()
	p := o.Value()
	if err := p.mu.Lock(); errors.Is(err, futexlock.ErrOwnerDied) {
		p.balance -= p.balance % 10 // whoever died in here may have left a part
		p.mu.Consistent()
	}
	p.balance += 10
	fmt.Println("balance:", p.balance)
	p.mu.Unlock()
	shm.Remove("example-purse") // or leave it to the next process
	// Output: balance: 10
}

// Every object is a handle, which travels as bytes.
func ExampleObject_MarshalText() {
	o, err := shm.New[[4]int32]()
	if err != nil {
		log.Fatal(err)
	}
	defer o.Close()
	o.Value()[2] = 7
	text, err := o.MarshalText() // into a message, a file, the environment
	if err != nil {
		log.Fatal(err)
	}
	var same shm.Object[[4]int32] // in any process that can see this one
	if err := same.UnmarshalText(text); err != nil {
		log.Fatal(err)
	}
	defer same.Close()
	fmt.Println(*same.Value())
	// Output: [0 0 7 0]
}

// A type that holds a pointer is refused, and the error says where.
func ExamplePointerError() {
	type task struct {
		ID   int
		Name struct{ First, Last string }
	}
	_, err := shm.New[task]()
	fmt.Println(err)
	// Output: shm: new: type cannot be shared between processes: shm_test.task.Name.First is a string (string)
}
