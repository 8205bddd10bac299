// The allocator's entry points, counted and passed on to glibc's own.
#include "Counting.h"
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static _Atomic int on;
static _Atomic size_t allocations, bytes;

static inline void count(size_t size) {
  if (atomic_load_explicit(&on, memory_order_relaxed)) {
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
  }
}

void *malloc(size_t size) {
  count(size);
  return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
  count(n * size);
  return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
  count(size);
  return __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size) {
  count(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size) {
  count(size);
  void *made = __libc_memalign(alignment, size);
  if (!made) return ENOMEM;
  *p = made;
  return 0;
}

void free(void *p) { __libc_free(p); }

void counting_start(void) { atomic_store(&on, 1); }
void counting_stop(void) { atomic_store(&on, 0); }
size_t counting_allocations(void) { return atomic_load(&allocations); }
size_t counting_bytes(void) { return atomic_load(&bytes); }

size_t counting_live(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}
