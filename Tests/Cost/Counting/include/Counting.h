#pragma once
#include <stddef.h>

/// Every malloc, calloc, realloc and aligned allocation of the process while `counting_start` is in force.
void counting_start(void);
void counting_stop(void);
size_t counting_allocations(void);
size_t counting_bytes(void);
/// What is allocated now, with what the allocator adds to each block.
size_t counting_live(void);
