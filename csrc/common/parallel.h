// A persistent thread pool. Work is cut into chunks whose bounds depend on the problem alone, so a
// kernel that reduces per chunk gives the same bits for any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace pgnface {

// Calls body(begin, end) for consecutive ranges of at most `grain` items that cover [0, count); the
// ranges are begun in order.
// At most `threads` threads take part, the caller among them. Runs inline when one thread or one
// chunk is all there is, when called from inside a chunk, or while another caller has the pool.
// The first exception of a body is thrown to the caller after all threads have stopped.
void parallel_for(std::int64_t count, std::int64_t grain, int threads,
                  const std::function<void(std::int64_t, std::int64_t)>& body);

struct Step {
  std::int64_t chunks;
  std::function<void(std::int64_t)> body;  // called with the number of a chunk
};

// Steps one after the other, each with all threads, as one job of parallel_for: threads take their
// time to wake up, longer than a short step. A chunk waits until the steps before its own are done.
void parallel_steps(const std::vector<Step>& steps, int threads);

}  // namespace pgnface
