// Counts every allocation of the process into which it is preloaded, by thread, in a file that
// tests/counts/allocations.py maps too and whose layout both know. Of the thread that is being
// recorded it also keeps who asked.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <execinfo.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

// What glibc's own malloc is called beside its public name: no search for the next one, which
// allocates.
extern "C" {
void* __libc_malloc(std::size_t size);                           // NOLINT
void* __libc_calloc(std::size_t count, std::size_t size);        // NOLINT
void* __libc_realloc(void* old, std::size_t size);               // NOLINT
void* __libc_memalign(std::size_t alignment, std::size_t size);  // NOLINT
}

namespace {

constexpr std::size_t threads_max = 64;
constexpr std::size_t records_max = 4096;
constexpr std::size_t frames_max = 32;

struct Thread {
  std::uint64_t id;
  std::uint64_t allocations;
  std::uint64_t bytes;
};

struct Record {
  std::uint64_t size;
  std::uint64_t frame_count;
  std::array<void*, frames_max> frames;
};

struct Page {
  std::uint64_t thread_count;
  std::uint64_t recorded_thread;  ///< its id; 0: none
  std::uint64_t record_count;     ///< may pass records_max: those are lost
  std::array<Thread, threads_max> threads;
  std::array<Record, records_max> records;
};

Page* page = nullptr;
thread_local Thread* mine = nullptr;
thread_local bool recording = false;

void open_page() {
  const char* const path = std::getenv("COUNT_ALLOCATIONS");
  if (path == nullptr) return;
  const int file = ::open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) std::abort();
  void* const memory = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) std::abort();
  ::close(file);
  page = static_cast<Page*>(memory);
  // Of whoever became this process by exec: the page is this program's alone.
  page->thread_count = 0;
  mine = nullptr;
}

Thread& own_row() {
  if (mine == nullptr) {
    const std::uint64_t row = std::atomic_ref{page->thread_count}.fetch_add(1);
    if (row >= threads_max) std::abort();
    mine = &page->threads[row];
    *mine = {.id = static_cast<std::uint64_t>(::gettid()), .allocations = 0, .bytes = 0};
  }
  return *mine;
}

void record(std::size_t size) {
  if (recording) return;  // the unwinder allocates when it is first used
  recording = true;
  const std::uint64_t row = std::atomic_ref{page->record_count}.fetch_add(1);
  if (row < records_max) {
    Record& kept = page->records[row];
    kept.size = size;
    const int count = ::backtrace(kept.frames.data(), static_cast<int>(frames_max));
    kept.frame_count = static_cast<std::uint64_t>(count);
  }
  recording = false;
}

void count(std::size_t size) {
  if (page == nullptr || recording) return;
  Thread& row = own_row();
  std::atomic_ref{row.allocations}.fetch_add(1, std::memory_order_relaxed);
  std::atomic_ref{row.bytes}.fetch_add(size, std::memory_order_relaxed);
  if (std::atomic_ref{page->recorded_thread}.load(std::memory_order_relaxed) == row.id) {
    record(size);
  }
}

[[gnu::constructor]] void begin() {
  std::array<void*, 1> first{};
  ::backtrace(first.data(), 1);
  open_page();
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) noexcept {
  count(size);
  return __libc_malloc(size);
}

void* calloc(std::size_t nmemb, std::size_t size) noexcept {
  count(nmemb * size);
  return __libc_calloc(nmemb, size);
}

void* realloc(void* ptr, std::size_t size) noexcept {
  count(size);
  return __libc_realloc(ptr, size);
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  count(size);
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** memptr, std::size_t alignment, std::size_t size) noexcept {
  count(size);
  *memptr = __libc_memalign(alignment, size);
  return *memptr == nullptr ? ENOMEM : 0;
}
}
