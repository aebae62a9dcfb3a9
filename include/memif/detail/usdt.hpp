// Static probes for bpftrace, perf and SystemTap: docs/probes.md has their names and arguments.
//
// Each is one nop and a note in the ELF file that says where its arguments are at that point: values that are at hand
// anyway. They are there where MEMIF_USDT is defined, which needs <sys/sdt.h> (Debian: systemtap-sdt-dev). The
// library's own build defines it when it finds that header. A program in C++ has the bursts' probes in itself, since
// bursts are inline: it defines MEMIF_USDT to get them.
#pragma once

#if defined(MEMIF_USDT)
#include <sys/sdt.h>
#define MEMIF_PROBE(name, a, b, c, d) DTRACE_PROBE4(memif, name, a, b, c, d)
#else
#define MEMIF_PROBE(name, a, b, c, d) static_cast<void>(0)
#endif
