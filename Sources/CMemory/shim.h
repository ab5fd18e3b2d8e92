// mallopt(3), which Swift's Glibc module leaves out.
#pragma once
#include <malloc.h>

// memfd_create(2), which <sys/mman.h> shows only to programs that define _GNU_SOURCE before anything else.
int memfd_create(const char *name, unsigned int flags);
