// Builds of the data path that are not for use. Their classes have names of their own in the object files, so that none
// of them takes the place of the real one in a program: a program built otherwise than its library does not link.
//
//   MEMIF_UNCHECKED         without the checks, to measure what these cost: the peer may then read and write anything
//   MEMIF_ON_SHARED_LOAD    calls that for each load of what the peer can write: tests prove that there is one each
#pragma once

#if defined(MEMIF_UNCHECKED)
#define MEMIF_VARIANT [[gnu::abi_tag("unchecked")]]
#elif defined(MEMIF_ON_SHARED_LOAD)
#define MEMIF_VARIANT [[gnu::abi_tag("watched")]]
#else
#define MEMIF_VARIANT
#endif

#if !defined(MEMIF_ON_SHARED_LOAD)
#define MEMIF_ON_SHARED_LOAD(address) static_cast<void>(0)
#endif

namespace memif {

class MEMIF_VARIANT RawRx;
class MEMIF_VARIANT RawTx;
class MEMIF_VARIANT RxQueue;
class MEMIF_VARIANT RxBurst;
class MEMIF_VARIANT TxQueue;
class MEMIF_VARIANT TxBurst;

#if defined(MEMIF_UNCHECKED)
inline constexpr bool checked = false;
#else
inline constexpr bool checked = true;
#endif

}  // namespace memif
