#include "common/parallel.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace pgnface {
namespace {

thread_local bool inside_chunk = false;

// One parallel_for in flight. Chunks are claimed from an atomic counter.
struct Job {
  std::int64_t count, grain;
  const std::function<void(std::int64_t, std::int64_t)>* body;
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;

  void work() {
    inside_chunk = true;
    while (!failed.load(std::memory_order_relaxed)) {
      const std::int64_t begin = next.fetch_add(1, std::memory_order_relaxed) * grain;
      if (begin >= count) break;
      try {
        (*body)(begin, std::min(begin + grain, count));
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
    inside_chunk = false;
  }
};

class ThreadPool {
 public:
  ~ThreadPool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
  }

  // False when another caller has the pool; the job is then untouched.
  bool run(Job& job, int helpers) {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn.owns_lock()) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      grow(helpers);
      job_ = &job;
      places_ = helpers;
      ++generation_;
    }
    wake_.notify_all();
    job.work();
    // The job is closed: only helpers that have begun are waited for, not those still waking up.
    std::unique_lock<std::mutex> lock(mutex_);
    job_ = nullptr;
    done_.wait(lock, [this] { return active_ == 0; });
    return true;
  }

 private:
  // Where the system grants no more threads, the work is done with those there are.
  void grow(int helpers) {
    try {
      while (static_cast<int>(threads_.size()) < helpers) {
        threads_.emplace_back([this, seen = generation_] { loop(seen); });
      }
    } catch (const std::system_error&) {
    }
  }

  void loop(std::uint64_t seen) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stopping_ || (job_ != nullptr && generation_ != seen); });
      if (stopping_) return;
      seen = generation_;
      if (places_ == 0) continue;
      --places_;
      ++active_;
      Job* job = job_;
      lock.unlock();
      job->work();
      lock.lock();
      if (--active_ == 0) done_.notify_one();
    }
  }

  std::mutex turn_;   // one job at a time
  std::mutex mutex_;  // guards everything below
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  Job* job_ = nullptr;           // open for helpers to join
  int places_ = 0, active_ = 0;  // helpers that may still join it, that work on it
  std::uint64_t generation_ = 0;
  bool stopping_ = false;
};

// A forked child inherits the pool's memory but none of its threads: it starts with a new pool and
// abandons the old one. Python's data loaders fork, so this is the common case, not a corner.
std::atomic<ThreadPool*> pool{nullptr};

ThreadPool& current_pool() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { pool.store(nullptr); });
  (void)registered;
  ThreadPool* current = pool.load();
  if (current == nullptr) {
    auto* fresh = new ThreadPool;
    if (pool.compare_exchange_strong(current, fresh)) {
      current = fresh;
    } else {
      delete fresh;
    }
  }
  return *current;
}

}  // namespace

void parallel_for(std::int64_t count, std::int64_t grain, int threads,
                  const std::function<void(std::int64_t, std::int64_t)>& body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t chunks = (count + grain - 1) / grain;
  const int helpers = static_cast<int>(std::min<std::int64_t>(threads, chunks)) - 1;
  Job job;
  job.count = count;
  job.grain = grain;
  job.body = &body;
  if (helpers <= 0 || inside_chunk || !current_pool().run(job, helpers)) {
    const bool nested = inside_chunk;
    job.work();
    inside_chunk = nested;
  }
  if (job.error) std::rethrow_exception(job.error);
}

constexpr int kLooks = 1 << 16;

void parallel_steps(const std::vector<Step>& steps, int threads) {
  std::int64_t total = 0;
  for (const Step& step : steps) total += step.chunks;
  std::atomic<std::int64_t> done{0};
  std::atomic<bool> failed{false};
  parallel_for(total, 1, threads, [&](std::int64_t item, std::int64_t) {
    std::int64_t before = 0;  // chunks of earlier steps; all of them have been begun
    auto step = steps.begin();
    while (item >= before + step->chunks) before += step++->chunks;
    // A chunk takes microseconds, giving way to another process milliseconds.
    for (int looks = 0; done.load(std::memory_order_acquire) < before; ++looks) {
      if (failed.load(std::memory_order_relaxed)) return;
      if (looks >= kLooks) std::this_thread::yield();
    }
    try {
      step->body(item - before);
    } catch (...) {
      failed.store(true, std::memory_order_relaxed);
      throw;
    }
    done.fetch_add(1, std::memory_order_release);
  });
}

}  // namespace pgnface
