#pragma once
#include <spawn.h>

// glibc 2.34 and later; <spawn.h> shows it only to programs that define _GNU_SOURCE before anything else.
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
