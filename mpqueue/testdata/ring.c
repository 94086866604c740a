/* The ring of this package in C: one producer, one consumer, two processes,
 * 64-byte messages written and checked word by word. It shows what the machine
 * gives without Go; nothing survives a death here.
 *
 *     ring MESSAGES BATCH CAPACITY [back]     prints nanoseconds per message
 *
 * BATCH is how many messages the producer publishes at once. With "back" the
 * consumer writes a word of each message back as it was, as this package does. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

struct message { uint64_t w[8]; };

struct ring {
	_Alignas(128) _Atomic uint64_t write;
	_Alignas(128) _Atomic uint64_t read;
	_Alignas(128) _Atomic uint64_t bad;
	_Alignas(128) _Atomic uint64_t begun;
	_Alignas(128) struct message slot[];
};

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void relax(void) {
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static void fill(struct message *m, uint64_t n) {
	for (int i = 0; i < 8; i++)
		m->w[i] = n * (2 * i + 1);
}

static int check(const struct message *m, uint64_t n) {
	for (int i = 0; i < 8; i++)
		if (m->w[i] != n * (2 * i + 1))
			return 0;
	return 1;
}

int main(int argc, char **argv) {
	uint64_t count = strtoull(argv[1], NULL, 10), batch = strtoull(argv[2], NULL, 10), cap = strtoull(argv[3], NULL, 10);
	int back = argc > 4;
	struct ring *r = mmap(NULL, sizeof *r + cap * sizeof(struct message), PROT_READ | PROT_WRITE,
	                      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (r == MAP_FAILED)
		return 1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		struct message m;
		uint64_t next = 0, limit = 0, bad = 0;
		atomic_store(&r->begun, 1);
		while (next < count) {
			while (next == limit) {
				limit = atomic_load_explicit(&r->write, memory_order_acquire);
				if (next == limit)
					relax();
			}
			uint64_t end = next + batch < limit ? next + batch : limit;
			for (; next < end; next++) {
				memcpy(&m, &r->slot[next & (cap - 1)], sizeof m);
				bad += !check(&m, next);
				if (back)
					*(volatile uint64_t *)&r->slot[next & (cap - 1)].w[7] = m.w[7];
			}
			atomic_store_explicit(&r->read, next, memory_order_release);
		}
		atomic_store(&r->bad, bad);
		_exit(0);
	}
	while (!atomic_load(&r->begun))
		relax();
	uint64_t begin = now(), next = 0, limit = cap;
	struct message m;
	while (next < count) {
		uint64_t n = count - next < batch ? count - next : batch;
		while (limit - next < n) {
			limit = atomic_load_explicit(&r->read, memory_order_acquire) + cap;
			if (limit - next < n)
				relax();
		}
		for (uint64_t i = 0; i < n; i++, next++) {
			fill(&m, next);
			memcpy(&r->slot[next & (cap - 1)], &m, sizeof m);
		}
		atomic_store_explicit(&r->write, next, memory_order_release);
	}
	waitpid(pid, NULL, 0);
	printf("%.3f %llu\n", (double)(now() - begin) / count, (unsigned long long)atomic_load(&r->bad));
	return 0;
}
