// Small blocks by size. Coroutines, tables, closures and strings of a call come and go thousands of times a second in a
// few dozen sizes: a page holds blocks of one size, a free one is taken and given back in some ten instructions, and a
// page that is empty goes back, so that what a burst needed of one size can be had for another.
#include <stdlib.h>

#include "internal.h"

enum { UNIT = 16, PAGE = 16384 - 32 };  // what malloc adds included, four of the system's

/// At its front; blocks follow, each a multiple of `UNIT`.
struct nj_page {
  nj_page *next, *previous;  // pages of this size with room
  void *free;                // blocks that were given back, each with the next in its first word
  uint32_t size, used;       // of a block; blocks in use
  uint32_t fresh;            // where the part begins that never was a block
};

enum { FRONT = (sizeof(struct nj_page) + UNIT - 1) / UNIT * UNIT };

static nj_page **list(nj_vm *vm, uint32_t size) { return &vm->pages[size / UNIT - 1]; }

static void link(nj_vm *vm, nj_page *page) {
  nj_page **first = list(vm, page->size);
  page->previous = NULL;
  page->next = *first;
  if (*first) (*first)->previous = page;
  *first = page;
}

static void unlink(nj_vm *vm, nj_page *page) {
  if (page->previous) page->previous->next = page->next;
  else *list(vm, page->size) = page->next;
  if (page->next) page->next->previous = page->previous;
}

static bool is_full(const nj_page *page) { return !page->free && page->fresh + page->size > PAGE; }

static nj_page *page_of(void *block, uint32_t place) { return (nj_page *)((char *)block - (size_t)place * UNIT); }

/// NULL when there is no memory for another page.
void *nj_page_take(nj_vm *vm, size_t wanted, uint32_t *place) {
  uint32_t size = (uint32_t)((wanted + UNIT - 1) / UNIT * UNIT);
  nj_page *page = *list(vm, size);
  if (!page) {
    page = malloc(PAGE);
    if (!page) return NULL;
    *page = (nj_page){.size = size, .fresh = FRONT};
    link(vm, page);
  }
  char *block = page->free;
  if (block) {
    page->free = *(void **)block;
  } else {
    block = (char *)page + page->fresh;
    page->fresh += size;
  }
  page->used++;
  if (is_full(page)) unlink(vm, page);
  *place = (uint32_t)(block - (char *)page) / UNIT;
  return block;
}

void nj_page_give(nj_vm *vm, void *block, uint32_t place) {
  nj_page *page = page_of(block, place);
  bool was_full = is_full(page);
  *(void **)block = page->free;
  page->free = block;
  page->used--;
  if (was_full) link(vm, page);
  // One empty page of a size stays, or a call that comes alone would take and give back its pages each time.
  if (page->used == 0 && (page->next || page->previous)) {
    unlink(vm, page);
    free(page);
  }
}

bool nj_page_fits(void *block, uint32_t place, size_t wanted) {
  uint32_t size = page_of(block, place)->size;
  return wanted <= size && wanted + UNIT > size;
}

void nj_pages_free(nj_vm *vm) {
  for (size_t i = 0; i < sizeof vm->pages / sizeof *vm->pages; i++) {
    while (vm->pages[i]) {
      nj_page *page = vm->pages[i];
      vm->pages[i] = page->next;
      free(page);
    }
  }
}
