// The program's allocation functions, and what is kept in memory that comes from them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace memif::capi {

// Three C functions, each replaceable on its own. A null pointer from them becomes std::bad_alloc.
class Memory {
 public:
  using Alloc = void*(std::size_t);
  using Realloc = void*(void*, std::size_t);
  using Free = void(void*);

  Memory() = default;
  Memory(Alloc* alloc, Realloc* realloc, Free* free) noexcept
      : alloc_(alloc != nullptr ? alloc : std::malloc),
        realloc_(realloc),
        free_(free != nullptr ? free : std::free),
        standard_(alloc == nullptr && free == nullptr) {}

  void* allocate(std::size_t bytes) const {
    void* const block = alloc_(bytes);
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }
  void release(void* block) const noexcept {
    if (block != nullptr) free_(block);
  }

  // Without a realloc of the program's (generation 2 has none) beside its own alloc, by alloc, copy and free.
  void* enlarge(void* block, std::size_t old_bytes, std::size_t bytes) const {
    if (realloc_ != nullptr || standard_) {
      void* const moved = realloc_ != nullptr ? realloc_(block, bytes) : std::realloc(block, bytes);
      if (moved == nullptr) throw std::bad_alloc();
      return moved;
    }
    void* const moved = allocate(bytes);
    if (block != nullptr) std::memcpy(moved, block, old_bytes);
    release(block);
    return moved;
  }

  template <class T, class... Arguments>
  T* make(Arguments&&... arguments) const {
    static_assert(alignof(T) <= alignof(std::max_align_t));
    void* const block = allocate(sizeof(T));
    try {
      return new (block) T(std::forward<Arguments>(arguments)...);
    } catch (...) {
      release(block);
      throw;
    }
  }
  template <class T>
  void destroy(T* object) const noexcept {
    if (object == nullptr) return;
    object->~T();
    release(object);
  }

 private:
  Alloc* alloc_ = std::malloc;
  Realloc* realloc_ = nullptr;
  Free* free_ = std::free;
  bool standard_ = true;
};

// Objects that want more alignment than the program's function gives.
template <class T>
class AlignedArray {
 public:
  void make(const Memory& memory, std::size_t count) {
    std::size_t space = count * sizeof(T) + alignof(T);
    void* at = block_ = memory.allocate(space);
    first_ = static_cast<T*>(std::align(alignof(T), count * sizeof(T), at, space));
    for (; count_ < count; ++count_) new (first_ + count_) T();
  }
  void release(const Memory& memory) noexcept {
    std::destroy_n(first_, std::exchange(count_, 0));
    memory.release(std::exchange(block_, nullptr));
  }

  T* begin() const noexcept { return first_; }
  T& operator[](std::size_t i) const noexcept { return first_[i]; }

 private:
  void* block_ = nullptr;
  T* first_ = nullptr;
  std::size_t count_ = 0;
};

// Pointers to T in an array that grows.
template <class T>
class Pointers {
 public:
  explicit Pointers(const Memory& memory) noexcept : memory_(memory) {}
  Pointers(const Pointers&) = delete;
  Pointers& operator=(const Pointers&) = delete;
  ~Pointers() { memory_.release(items_); }

  std::size_t size() const noexcept { return size_; }
  T*& operator[](std::size_t index) const noexcept { return items_[index]; }

  // Afterwards so many can be there without an allocation.
  void reserve(std::size_t wanted) {
    if (wanted <= capacity_) return;
    const std::size_t capacity = std::max<std::size_t>({wanted, 2 * capacity_, 8});
    items_ = static_cast<T**>(memory_.enlarge(items_, capacity_ * sizeof(T*), capacity * sizeof(T*)));
    capacity_ = capacity;
  }
  void push_back(T* item) {
    reserve(size_ + 1);
    items_[size_++] = item;
  }
  T* pop_back() noexcept { return items_[--size_]; }

 private:
  const Memory& memory_;
  T** items_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Some T, in no order.
template <class T>
class Bag {
 public:
  explicit Bag(const Memory& memory) noexcept : items_(memory) {}

  std::size_t size() const noexcept { return items_.size(); }
  T* operator[](std::size_t index) const noexcept { return items_[index]; }

  void reserve(std::size_t wanted) { items_.reserve(wanted); }
  void add(T* item) { items_.push_back(item); }
  void remove(T* item) noexcept {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (items_[i] != item) continue;
      items_[i] = items_[items_.size() - 1];
      items_.pop_back();
      return;
    }
  }

 private:
  Pointers<T> items_;
};

}  // namespace memif::capi
