// The whole of Lua that Swift may see: opaque machine, flat values, status codes.
//
// lua_error, lua_yieldk and, under a memory cap, every lua_push… leave by longjmp. A longjmp over a Swift frame is
// undefined, so no function here leaves that way, and the one call into Swift (nj_host) is made from C with nothing
// of Lua pending: arguments are flat bytes before it, results become Lua values after it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nj_vm nj_vm;

/// Flat values, both ways: a sequence of tagged values, numbers in the machine's byte order, unaligned.
enum {
  NJ_NIL = 0,
  NJ_FALSE = 1,
  NJ_TRUE = 2,
  NJ_INTEGER = 3,  // int64
  NJ_NUMBER = 4,   // double
  NJ_STRING = 5,   // uint32 length, bytes
  NJ_ARRAY = 6,    // uint32 count, values
  NJ_TABLE = 7,    // uint32 count, then key and value by turns
  NJ_NAME = 8,     // uint8: a string of nj_names; to Lua only
};

/// How deep tables may nest, and how many bytes one set of values may take.
enum { NJ_MAX_DEPTH = 32, NJ_MAX_FLAT = 4 << 20 };

typedef struct {
  size_t memory;         // bytes: the machine's cap
  size_t call_memory;    // bytes: a group's cap
  int64_t burst_ns;      // thread CPU before a task yields its turn
  int64_t call_cpu_ns;   // thread CPU a group may use in all
  int64_t load_cpu_ns;   // thread CPU of nj_load
  uint32_t group_tasks;  // tasks alive in one group
} nj_limits;

enum { NJ_FINISHED, NJ_ASKED, NJ_SLICED, NJ_FAILED };
enum { NJ_RUNTIME, NJ_SYNTAX, NJ_CPU, NJ_MEMORY, NJ_NOT_FOUND, NJ_TASKS };

/// What came of a step. `bytes` are flat values (finished, asked) or the message (failed); they and `trace` stay valid
/// until the next call into the same machine.
typedef struct {
  int32_t status;
  int32_t op;       // NJ_ASKED
  int32_t failure;  // NJ_FAILED
  uint32_t slot, generation;
  const uint8_t *bytes;
  size_t length;
  const uint8_t *trace;
  size_t trace_length;
} nj_step;

/// Filled by the host: flat values, or with `raise` the text of an error at the script's line. The memory is the
/// host's and must stay until the next call of the host or of the machine.
typedef struct {
  const uint8_t *bytes;
  size_t length;
  bool raise;
} nj_reply;

/// The one call from C into Swift. `slot` is UINT32_MAX while the script loads. Must not call into the machine.
typedef void (*nj_host)(void *context, int32_t op, uint32_t slot, uint32_t generation, uint64_t group,
                        const uint8_t *arguments, size_t length, nj_reply *reply);

/// NULL when there is not even memory for the empty machine. `fail_at`: see nj_fail_allocation, from the first byte on.
nj_vm *nj_new(const nj_limits *limits, nj_host host, void *context, const char *script_directory, uint64_t fail_at,
              uint64_t fail_count);
/// May be called on any thread once nobody else uses the machine.
void nj_free(nj_vm *vm);

/// Op names for messages, NUL-separated, in the order of their numbers; once, before the preludes.
bool nj_operations(nj_vm *vm, const char *names, size_t length, nj_step *out);
/// Strings that the host says so often that it says their number (NJ_NAME): NUL-separated, 256 at most; once.
bool nj_names(nj_vm *vm, const char *names, size_t length, nj_step *out);
/// The first prelude is the sandbox; the others run in the environment it returns.
bool nj_prelude(nj_vm *vm, const uint8_t *source, size_t length, const char *name, nj_step *out);
/// The user's script: text only; globals are frozen behind it. False: `out` is the failure.
bool nj_load(nj_vm *vm, const uint8_t *source, size_t length, const char *name, nj_step *out);

/// A group is a call: memory and CPU are charged to it. Group 0 is the machine itself and always open.
/// UINT32_MAX when there is no memory for it.
uint32_t nj_group_open(nj_vm *vm, uint64_t id);
/// Drops what tasks it still has, without their <close> handlers, and what the preludes keep for it (`records`).
void nj_group_close(nj_vm *vm, uint32_t group);
size_t nj_group_memory(const nj_vm *vm, uint32_t group);
int64_t nj_group_cpu(const nj_vm *vm, uint32_t group);

void nj_start(nj_vm *vm, uint32_t group, const uint8_t *entry, size_t entry_length, const uint8_t *arguments,
              size_t length, nj_step *out);
void nj_resume(nj_vm *vm, uint32_t slot, uint32_t generation, const uint8_t *arguments, size_t length, nj_step *out);
/// Runs the task's pending <close> handlers within the group's limits and drops it. A task that is gone is no error.
void nj_close(nj_vm *vm, uint32_t slot, uint32_t generation, nj_step *out);
/// The stack of a suspended task as text in `out->trace`.
void nj_traceback(nj_vm *vm, uint32_t slot, uint32_t generation, nj_step *out);

/// Groups that were ended because the machine was full and they held the most; each is told once. Returns how many.
size_t nj_evicted(nj_vm *vm, uint64_t *ids, size_t room);
/// How many of them wait to be told.
size_t nj_evicted_count(const nj_vm *vm);

size_t nj_memory(const nj_vm *vm);
uint32_t nj_task_count(const nj_vm *vm);
void nj_collect(nj_vm *vm);

/// For tests: of the allocations from now on the `at`-th (1 = the next) and the `count - 1` behind it fail; 0 = none.
void nj_fail_allocation(nj_vm *vm, uint64_t at, uint64_t count);
uint64_t nj_allocations(const nj_vm *vm);
