// Exercises common/parallel.h where Python cannot reach: exceptions, nesting, concurrent callers,
// fork. Exits with 0, or prints what failed and exits with 1.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "common/parallel.h"

using pgnface::parallel_for;

namespace {

void expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::_Exit(1);
}

// Every index exactly once, whatever the grain and the thread count.
void covers(std::int64_t count, std::int64_t grain, int threads) {
  std::vector<std::atomic<int>> seen(count);
  parallel_for(count, grain, threads, [&](std::int64_t begin, std::int64_t end) {
    expect(begin < end && end <= count, "chunk bounds");
    expect(grain < 1 || (begin % grain == 0 && end - begin <= grain), "chunk size");
    for (std::int64_t i = begin; i < end; ++i) ++seen[i];
  });
  for (auto& n : seen) expect(n == 1, "every index once");
}

void runs_on_at_most(int threads) {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  parallel_for(200, 1, threads, [&](std::int64_t, std::int64_t) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    std::lock_guard<std::mutex> lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  expect(static_cast<int>(ids.size()) <= threads, "no more threads than asked for");
}

// A chunk of a step sees what all chunks of the steps before have done; a failure stops them all.
void steps_follow_each_other(int threads) {
  for (std::int64_t first : {0, 1, 50}) {
    std::atomic<std::int64_t> done{0};
    pgnface::parallel_steps(
        {{first, [&](std::int64_t) { ++done; }},
         {7, [&](std::int64_t) { expect(done >= first, "first step"), ++done; }},
         {0, [&](std::int64_t) { expect(false, "an empty step"); }},
         {9, [&](std::int64_t i) { expect(i < 9 && done >= first + 7, "second step"); }}},
        threads);
    expect(done == first + 7, "all chunks of the steps");
  }
  bool caught = false;
  try {
    pgnface::parallel_steps(
        {{20,
          [](std::int64_t i) {
            if (i == 5) throw std::runtime_error("from a step");
          }},
         {20, [](std::int64_t) { expect(false, "a step after one that failed"); }}},
        threads);
  } catch (const std::runtime_error&) {
    caught = true;
  }
  expect(caught, "an exception of a step reaches the caller");
}

void throws(int threads) {
  for (int round = 0; round < 50; ++round) {
    bool caught = false;
    try {
      parallel_for(100, 1, threads, [](std::int64_t begin, std::int64_t) {
        if (begin % 7 == 3) throw std::runtime_error("from a chunk");
      });
    } catch (const std::runtime_error&) {
      caught = true;
    }
    expect(caught, "an exception reaches the caller");
  }
  covers(1000, 10, threads);  // the pool is still usable
}

void nests() {
  std::atomic<int> total{0};
  parallel_for(20, 1, 4, [&](std::int64_t, std::int64_t) {
    parallel_for(50, 5, 4, [&](std::int64_t begin, std::int64_t end) { total += end - begin; });
  });
  expect(total == 1000, "nested loops");
}

void forks() {
  covers(1000, 10, 4);
  const pid_t child = fork();
  if (child == 0) {
    covers(1000, 10, 4);
    std::_Exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  expect(status == 0, "a forked child has a working pool");
  covers(1000, 10, 4);
}

void serves_concurrent_callers() {
  std::vector<std::thread> callers;
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back([] {
      for (int round = 0; round < 100; ++round) covers(500, 7, 3);
    });
  }
  for (auto& caller : callers) caller.join();
}

}  // namespace

int main() {
  for (int threads : {-1, 0, 1, 2, 3, 8, 2, 1}) {
    for (std::int64_t count : {0, 1, 7, 1000}) {
      for (std::int64_t grain : {-1, 0, 1, 3, 5000}) covers(count, grain, threads);
    }
  }
  for (int threads : {1, 2, 8, 3}) runs_on_at_most(threads);
  throws(1);
  throws(4);
  nests();
  serves_concurrent_callers();
  forks();
  return 0;
}
