#!/usr/bin/env bash
# Proves that the handshake is pure: its object files refer to nothing but memory functions, the C++ runtime and the
# parts of the library that are pure themselves. No system call, no clock, no environment, no I/O.
#
#   scripts/check-pure.sh BUILD_DIR
#
# Exit codes: 0 pure, 1 not pure (the symbols are named), 2 wrong usage or nothing to check.
set -euo pipefail

if [[ $# -ne 1 || ! -d $1 ]]; then
  echo "usage: $0 BUILD_DIR" >&2
  exit 2
fi

# Extended regular expressions for whole demangled symbols. std:: is not allowed as such, since clocks, threads, files
# and streams live there too.
allowed=(
  # memory and strings
  'mem(cpy|move|set|cmp|chr)' 'bcmp' 'str(len|nlen)' '__(memcpy|memmove|memset)_chk'
  'operator (new|delete)(\[\])?\(.*\)'
  # the C++ runtime
  '__gxx_personality_v0' '_Unwind_Resume' '__cxa_[a-z_]+' '__dso_handle' '__stack_chk_(fail|guard)' 'DW\.ref\..*'
  '_GLOBAL_OFFSET_TABLE_' '(vtable|typeinfo|typeinfo name) for (__cxxabiv1|std)::.*'
  # libstdc++ and libc++: strings, allocators, failures, error codes
  '([a-z]+ )?std::(__cxx11|__1)::basic_string<.*' '([a-z]+ )?std::allocator<.*' '([a-z]+ )?std::__new_allocator<.*'
  'std::(__1::)?__throw_[a-z_]+\(.*\)' 'std::terminate\(\)' 'std::__glibcxx_assert_fail\(.*\)'
  'std::(exception|bad_alloc|bad_variant_access|bad_function_call|length_error|logic_error|out_of_range)::.*'
  'std::(_V2|__1)::((system|generic)_category|error_category::.*)(\(\))?'
  # our own
  'memif::(message|handshake)::.*'
  'memif::make_error_code\(memif::Errc\)' 'memif::memif_category\(\)' 'memif::to_string\(memif::Mode\)'
  # what instrumented builds add
  'llvm_(gcda|gcov)_.*' '__(asan|ubsan|tsan|sanitizer|sancov|gcov|llvm_profile|start___sancov|stop___sancov)_.*'
)
pattern="^($(IFS='|'; echo "${allowed[*]}"))\$"

status=0
for source in message handshake_client handshake_server; do
  found=0
  while IFS= read -r -d '' object; do
    found=1
    # U: undefined; v and w: undefined if weak, and then they may still be satisfied by anything.
    foreign=$(nm --undefined-only --demangle "$object" | sed -n 's/^ *[Uvw] //p' | grep -Ev "$pattern" | sort -u || true)
    if [[ -n $foreign ]]; then
      printf '%s is not pure, it refers to:\n' "$object" >&2
      while IFS= read -r symbol; do printf '  %s\n' "$symbol" >&2; done <<<"$foreign"
      status=1
    fi
  done < <(find "$1" -type f \( -name "$source.cpp.o" -o -name "$source.o" \) -print0)
  if [[ $found -eq 0 ]]; then
    echo "$0: no object file of $source.cpp below $1" >&2
    exit 2
  fi
done
exit "$status"
