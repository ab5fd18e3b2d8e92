#pragma once
// Without it the journal's calls are macros that add the C file and line, which Swift cannot see.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
