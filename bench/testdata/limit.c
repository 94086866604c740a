/* What this machine can do at best, without Go: two processes, shared memory,
 * plain C. Each measurement prints one line of JSON; the benchmark builds
 * this file with cc -O2 -pthread and shows the lines beside its own.
 *
 *     limit MILLISECONDS
 *
 * "lost" in a line is what the measurement itself found wrong; 0 is right. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

static void *shared(size_t n) {
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

/* A child dies with its parent, and after two minutes in any case. */
static pid_t child(void) {
	pid_t pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(120);
	}
	return pid;
}

static void row(const char *name, size_t size, double ns, uint64_t n, uint64_t lost) {
	printf("{\"name\":\"%s\",\"size\":%zu,\"ns\":%.3f,\"n\":%llu,\"lost\":%llu}\n", name, size, ns,
	       (unsigned long long)n, (unsigned long long)lost);
	fflush(stdout);
}

/* One cache line goes to and fro: the least that an answer can take. */
struct line {
	_Alignas(128) _Atomic uint32_t ball;
	_Alignas(128) _Atomic uint32_t stop;
};

static void cacheline(uint64_t length) {
	struct line *l = shared(sizeof *l);
	if (child() == 0) {
		for (uint32_t want = 1;; want += 2) {
			while (atomic_load_explicit(&l->ball, memory_order_acquire) != want) {
				if (atomic_load_explicit(&l->stop, memory_order_relaxed))
					_exit(0);
				relax();
			}
			atomic_store_explicit(&l->ball, want + 1, memory_order_release);
		}
	}
	uint64_t begin = now(), n = 0;
	for (uint32_t ball = 1; n % 256 || now() - begin < length; ball += 2, n++) {
		atomic_store_explicit(&l->ball, ball, memory_order_release);
		while (atomic_load_explicit(&l->ball, memory_order_acquire) != ball + 1)
			relax();
	}
	row("cacheline-pingpong", 4, (double)(now() - begin) / n, n, 0);
	atomic_store(&l->stop, 1);
	wait(NULL);
}

static void futex(_Atomic uint32_t *word, int op, uint32_t value) {
	syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* The same, but each side sleeps in the kernel: the least that an answer takes
 * if nobody spins. */
static void futexes(uint64_t length) {
	struct line *l = shared(sizeof *l);
	if (child() == 0) {
		for (uint32_t want = 1;; want += 2) {
			uint32_t v;
			while ((v = atomic_load(&l->ball)) != want) {
				if (atomic_load(&l->stop))
					_exit(0);
				futex(&l->ball, FUTEX_WAIT, v);
			}
			atomic_store(&l->ball, want + 1);
			futex(&l->ball, FUTEX_WAKE, 1);
		}
	}
	uint64_t begin = now(), n = 0;
	for (uint32_t ball = 1; n % 64 || now() - begin < length; ball += 2, n++) {
		uint32_t v;
		atomic_store(&l->ball, ball);
		futex(&l->ball, FUTEX_WAKE, 1);
		while ((v = atomic_load(&l->ball)) != ball + 1)
			futex(&l->ball, FUTEX_WAIT, v);
	}
	row("futex-pingpong", 4, (double)(now() - begin) / n, n, 0);
	atomic_store(&l->stop, 1);
	atomic_fetch_add(&l->ball, 7);
	futex(&l->ball, FUTEX_WAKE, 1);
	wait(NULL);
}

/* A ring of slots, one producer, one consumer; the producer copies every
 * message in, the consumer compares every byte of it. Small messages measure
 * the ring, large ones the copying. Nothing survives a death here. */
enum { slots = 64 };

struct ring {
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) _Atomic uint64_t head;
	_Alignas(128) _Atomic uint64_t end;
	_Alignas(128) uint64_t lost;
	_Alignas(128) unsigned char data[];
};

static void rings(size_t size, uint64_t length) {
	struct ring *r = shared(sizeof *r + slots * size);
	unsigned char *text = malloc(size + 64 * 61);
	for (size_t i = 0; i < size + 64 * 61; i++)
		text[i] = (unsigned char)(i * 2654435761u >> 13);
	pid_t pid = child();
	if (pid == 0) {
		uint64_t head = 0, tail = 0, lost = 0;
		for (;; head++) {
			while (head == tail) {
				uint64_t end = atomic_load_explicit(&r->end, memory_order_acquire);
				tail = atomic_load_explicit(&r->tail, memory_order_acquire);
				if (head == tail && end) {
					r->lost = lost + (end != head);
					_exit(0);
				}
				if (head == tail)
					relax();
			}
			lost += memcmp(r->data + head % slots * size, text + head % 64 * 61, size) != 0;
			atomic_store_explicit(&r->head, head + 1, memory_order_release);
		}
	}
	uint64_t begin = now(), tail = 0, head = 0;
	for (; tail % 64 || now() - begin < length; tail++) {
		while (tail - head == slots) {
			head = atomic_load_explicit(&r->head, memory_order_acquire);
			if (tail - head == slots)
				relax();
		}
		memcpy(r->data + tail % slots * size, text + tail % 64 * 61, size);
		atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	}
	atomic_store_explicit(&r->end, tail, memory_order_release);
	waitpid(pid, NULL, 0);
	row(size <= 64 ? "ring" : "memcpy-memcmp", size, (double)(now() - begin) / tail, tail, r->lost);
	free(text);
	munmap(r, sizeof *r + slots * size);
}

/* The lock that C has for processes that may die. */
struct locked {
	pthread_mutex_t mutex;
	_Alignas(128) _Atomic uint32_t ready;
	_Alignas(128) uint64_t count;
	_Alignas(128) _Atomic uint64_t died;
};

static struct locked *robust(void) {
	struct locked *l = shared(sizeof *l);
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&l->mutex, &a);
	return l;
}

static uint64_t hold(struct locked *l, uint64_t length) {
	uint64_t begin = now(), n = 0;
	for (; n % 64 || now() - begin < length; n++) {
		pthread_mutex_lock(&l->mutex);
		l->count++;
		pthread_mutex_unlock(&l->mutex);
	}
	return n;
}

static void locks(uint64_t length, int processes) {
	struct locked *l = robust();
	_Atomic uint64_t *total = shared(sizeof *total);
	for (int i = 0; i < processes; i++) {
		if (child() == 0) {
			atomic_fetch_add(&l->ready, 1);
			while (atomic_load(&l->ready) < (uint32_t)processes)
				relax();
			atomic_fetch_add(total, hold(l, length));
			_exit(0);
		}
	}
	while (atomic_load(&l->ready) < (uint32_t)processes)
		relax();
	uint64_t begin = now();
	while (wait(NULL) > 0)
		;
	uint64_t n = atomic_load(total);
	row(processes == 1 ? "robust-mutex" : "robust-mutex-contended", 8, (double)(now() - begin) / n, n, l->count != n);
}

/* From the kill of a holder to the moment when the next one has the lock. */
static void deaths(int times) {
	for (int i = 0; i < times; i++) {
		struct locked *l = robust();
		pid_t pid = child();
		if (pid == 0) {
			pthread_mutex_lock(&l->mutex);
			atomic_store(&l->ready, 1);
			pause();
		}
		while (!atomic_load(&l->ready))
			relax();
		pid_t waiter = child();
		if (waiter == 0) {
			atomic_store(&l->ready, 2);
			int err = pthread_mutex_lock(&l->mutex);
			atomic_store(&l->died, err == EOWNERDEAD ? now() : 1);
			_exit(0);
		}
		while (atomic_load(&l->ready) < 2)
			relax();
		usleep(2000); /* Until the waiter sleeps; if it does not yet, it finds out at once. */
		uint64_t begin = now();
		kill(pid, SIGKILL);
		waitpid(waiter, NULL, 0);
		waitpid(pid, NULL, 0);
		uint64_t died = atomic_load(&l->died);
		row("robust-mutex-recovery", 8, died > 1 ? (double)(died - begin) : 0, 1, died <= 1);
		munmap(l, sizeof *l);
	}
}

int main(int argc, char **argv) {
	uint64_t length = (argc > 1 ? strtoull(argv[1], NULL, 10) : 200) * 1000000ull;
	cacheline(length);
	futexes(length);
	rings(8, length);
	rings(64, length);
	rings(1 << 10, length);
	rings(64 << 10, length);
	rings(1 << 20, length);
	locks(length, 1);
	locks(length, 2);
	deaths(20);
	return 0;
}
