// The version of memifpp, and what it needs.
#pragma once

#if !defined(__cplusplus) || __cplusplus < 202002L
#include "memifpp needs C++20: -std=c++20"
#endif

#define MEMIFPP_VERSION_MAJOR 0
#define MEMIFPP_VERSION_MINOR 1
#define MEMIFPP_VERSION_PATCH 0

// One number, to compare: 0.9.1 is 901. (MEMIF_VERSION is the protocol's, in the memif.h of the C API.)
#define MEMIFPP_VERSION (MEMIFPP_VERSION_MAJOR * 10000 + MEMIFPP_VERSION_MINOR * 100 + MEMIFPP_VERSION_PATCH)
