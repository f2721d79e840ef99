// A persistent thread pool. Work is cut into chunks whose bounds depend on the problem alone, so a
// kernel that reduces per chunk gives the same bits for any number of threads.
#pragma once

#include <cstdint>
#include <functional>

namespace pgnface {

// Calls body(begin, end) for consecutive ranges of at most `grain` items that cover [0, count); the
// ranges are begun in order.
// At most `threads` threads take part, the caller among them. Runs inline when one thread or one
// chunk is all there is, when called from inside a chunk, or while another caller has the pool.
// The first exception of a body is thrown to the caller after all threads have stopped.
void parallel_for(std::int64_t count, std::int64_t grain, int threads,
                  const std::function<void(std::int64_t, std::int64_t)>& body);

}  // namespace pgnface
