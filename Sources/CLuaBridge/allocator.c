// Memory is charged to the group (the call) that runs when a block is made or resized, and given back to that one
// when it is freed, whoever runs then: each block carries its owner in eight bytes in front.
//
// A refusal in the middle of an instruction would be an error that a pcall sees, so caps are enforced behind it.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/// In front of each block. `place` is where it lies in its page, in units of 16 bytes; 0: it has no page (pages.c).
typedef struct {
  uint64_t group : 24, generation : 30, place : 10;
} owner;

static void charge(nj_vm *vm, owner *block, size_t size) {
  nj_group *group = &vm->groups[vm->group];
  block->group = vm->group;
  block->generation = group->generation;
  vm->used += size;
  group->used += size;
}

static void refund(nj_vm *vm, const owner *block, size_t size) {
  vm->used -= size;
  nj_group *group = &vm->groups[block->group];
  // A later holder of the slot owes nothing for what an earlier one left behind.
  if (group->generation == block->generation) group->used -= size;
}

static owner *take(nj_vm *vm, size_t size) {
  size += sizeof(owner);
  uint32_t place = 0;
  owner *block = size <= NJ_POOLED ? nj_page_take(vm, size, &place) : malloc(size);
  if (block) block->place = place;
  return block;
}

static void give(nj_vm *vm, owner *block) {
  if (block->place) nj_page_give(vm, block, block->place);
  else free(block);
}

/// The block with room for `size`, its first `kept` bytes as they were; NULL: there is no memory, and it is untouched.
static owner *resize(nj_vm *vm, owner *block, size_t kept, size_t size) {
  if (!block->place && sizeof(owner) + size > NJ_POOLED) return realloc(block, sizeof(owner) + size);
  if (block->place && nj_page_fits(block, block->place, sizeof(owner) + size)) return block;
  owner *moved = take(vm, size);
  if (!moved) return size < kept ? block : NULL;  // Lua relies on it that less is always there
  memcpy(moved + 1, block + 1, kept < size ? kept : size);
  give(vm, block);
  return moved;
}

bool nj_fault(nj_vm *vm) {
  vm->allocations++;
  bool fails = vm->fail_at && vm->allocations >= vm->fail_at && vm->allocations < vm->fail_end;
  vm->starved |= fails;
  return fails;
}

void nj_breach(nj_vm *vm, uint32_t index, uint8_t kind) {
  nj_group *group = &vm->groups[index];
  if (group->breach) return;
  group->breach = kind;
  // lua_sethook is made to be called at any moment, as from a signal handler.
  if (index == vm->group && vm->running) nj_hook_every(vm->running, 1);
}

/// Has the hook collect when a cap has been crossed.
void nj_check_caps(nj_vm *vm) {
  if (vm->collect) return;
  if (vm->used <= vm->limits.memory && (!vm->group || vm->groups[vm->group].used <= vm->limits.call_memory)) return;
  vm->collect = true;
  if (vm->running) nj_hook_every(vm->running, 1);
}

/// A cap is soft: who crosses it may go on to the next instruction, where the hook collects and looks again
/// (nj_after_collection). What reaches twice a call's cap without one, or a quarter over the machine's, is refused.
static bool may_grow(nj_vm *vm, size_t growth) {
  if (vm->lifted) return true;
  size_t group = vm->group ? vm->groups[vm->group].used + growth : 0, machine = vm->used + growth;
  if (group / 2 > vm->limits.call_memory || machine > vm->limits.memory + vm->limits.memory / 4) {
    vm->starved = true;
    if (vm->refused) nj_breach(vm, vm->group, BREACH_MEMORY);  // Lua has collected and asks again
    vm->refused = !vm->refused;
    return false;
  }
  vm->refused = false;
  return true;
}

/// Called in the hook behind a full collection. What is still close to its cap would collect again for every few bytes:
/// it has breached. When it is the machine, the call that holds the most ends: this one, or another, which is let go
/// when this step is over.
void nj_after_collection(nj_vm *vm) {
  nj_group *group = &vm->groups[vm->group];
  if (vm->group && group->used > vm->limits.call_memory - vm->limits.call_memory / 16) {
    nj_breach(vm, vm->group, BREACH_MEMORY);
  }
  if (vm->used <= vm->limits.memory - vm->limits.memory / 16 || vm->evict || group->breach) return;
  uint32_t largest = 0;  // the machine's own group is not a call: it ends only while the script loads
  for (uint32_t i = 1; i < vm->group_count; i++) {
    if (!vm->groups[i].open || vm->groups[i].breach) continue;
    if (largest == 0 || vm->groups[i].used > vm->groups[largest].used) largest = i;
  }
  if (largest == 0 && !vm->loading) return;
  nj_breach(vm, largest, BREACH_MEMORY);
  vm->evict = largest != vm->group;
}

void *nj_allocate(void *context, void *pointer, size_t old_size, size_t new_size) {
  nj_vm *vm = context;
  owner *block = pointer ? (owner *)pointer - 1 : NULL;
  if (!block) old_size = 0;  // then it is a type tag
  if (new_size == 0) {
    if (block) {
      refund(vm, block, old_size);
      give(vm, block);
    }
    return NULL;
  }
  if (new_size > old_size) {
    size_t growth = new_size - old_size;
    if (nj_fault(vm) || !may_grow(vm, growth)) return NULL;
    vm->since_check += growth;
    // Library functions over long strings reach no hook, but they do allocate.
    if (vm->since_check > (1 << 20)) {
      vm->since_check = 0;
      if (vm->running) nj_hook_every(vm->running, 1);
    }
  }
  owner before = {0};
  if (block) before = *block;
  owner *moved = block ? resize(vm, block, old_size, new_size) : take(vm, new_size);
  if (!moved) return NULL;
  if (block) refund(vm, &before, old_size);
  charge(vm, moved, new_size);
  if (new_size > old_size && !vm->lifted) nj_check_caps(vm);
  return moved + 1;
}

bool nj_reserve(nj_vm *vm, nj_buffer *buffer, size_t more) {
  if (more <= buffer->capacity - buffer->length) return true;
  size_t capacity = buffer->capacity ? buffer->capacity : 256;
  while (capacity - buffer->length < more) {
    if (capacity > SIZE_MAX / 2) return false;
    capacity *= 2;
  }
  uint8_t *bytes = nj_fault(vm) ? NULL : realloc(buffer->bytes, capacity);
  if (!bytes) {
    vm->starved = true;
    return false;
  }
  buffer->bytes = bytes;
  buffer->capacity = capacity;
  return true;
}

bool nj_append(nj_vm *vm, nj_buffer *buffer, const void *bytes, size_t length) {
  if (!nj_reserve(vm, buffer, length)) return false;
  if (length) memcpy(buffer->bytes + buffer->length, bytes, length);
  buffer->length += length;
  return true;
}
