#include <algorithm>
#include <vector>

#include "common/parallel.h"
#include "common/scratch.h"
#include "common/simd.h"
#include "evaluate_morphable/evaluate_morphable.h"
#include "evaluate_morphable/panels_cpu.h"
#include "evaluate_morphable/stream_cpu.h"

namespace pgnface {
namespace {

constexpr std::int64_t kVertices = 256;  // that a thread works on at a time

// The batch in groups of kGroup items, the last padded with zeros, items side by side.
template <typename T>
struct Groups {
  Groups(const T* coefficients, const T* scale, const T* rotation, const T* translation,
         std::int64_t batch, std::int64_t count)
      : batch(batch), count(count), size((batch + kGroup<T> - 1) / kGroup<T>) {
    factors = factor_scratch.reserve(size * count * kGroup<T>);
    poses = pose_scratch.reserve(size * 12 * kGroup<T>);
    std::fill(factors, factors + size * count * kGroup<T>, T(0));
    std::fill(poses, poses + size * 12 * kGroup<T>, T(0));
    for (std::int64_t n = 0; n < batch; ++n) {
      const std::int64_t group = n / kGroup<T>, lane = n % kGroup<T>;
      for (std::int64_t p = 0; p < count; ++p) {
        factors[(group * count + p) * kGroup<T> + lane] = coefficients[n * count + p];
      }
      if (!scale) continue;
      T* pose = poses + group * 12 * kGroup<T> + lane;
      for (int i = 0; i < 9; ++i) pose[i * kGroup<T>] = scale[n] * rotation[9 * n + i];
      for (int i = 0; i < 3; ++i) pose[(9 + i) * kGroup<T>] = translation[3 * n + i];
    }
  }

  std::int64_t items(std::int64_t group) const {
    return std::min(kGroup<T>, batch - group * kGroup<T>);
  }
  const T* factors_of(std::int64_t group) const { return factors + group * count * kGroup<T>; }
  const T* poses_of(std::int64_t group) const { return poses + group * 12 * kGroup<T>; }

  std::int64_t batch, count, size;
  T *factors, *poses;  // (size, count, kGroup), (size, 12, kGroup): matrix, translation
  Scratch<T> factor_scratch, pose_scratch;
};

// How to recover an item's shape from its posed vertices, where that is possible.
template <typename T>
struct Recovery {
  Recovery(const T* posed, std::int64_t vertices, T scale, const T* rotation,
           const T* translation) {
    if (!invert_pose(scale, rotation, inverse)) return;
    for (int i = 0; vertices > 0 && i < kSamples && !possible; ++i) {
      possible = keeps_digits(posed + i * vertices / kSamples * 3, translation);
    }
  }

  bool possible = false;
  T inverse[9];
};

// Asks for the columns of a panel, to be read (0) or written (1): the processor does not fetch
// ahead on its own across so many rows.
template <int kWrite, typename T, typename V>
inline __attribute__((always_inline)) void prefetch_panel(const V* columns) {
  constexpr std::int64_t kLine = 64 / sizeof(V);
  for (std::int64_t j = 0; j < kPanel<T> + kLine; j += kLine) {
    __builtin_prefetch(columns + j, kWrite);
  }
}

// `size` columns of the basis from `first` on, as rows of kPanel; on request asks for the next
// panel.
template <typename T, typename B>
PGNFACE_CLONES void load_panel(const B* __restrict first, std::int64_t row, std::int64_t count,
                               std::int64_t size, bool ask, T* __restrict panel) {
  for (std::int64_t p = 0; p < count; ++p, first += row, panel += kPanel<T>) {
    if (size == kPanel<T>) {
      if (ask) prefetch_panel<0, T>(first + kPanel<T>);
#pragma omp simd
      for (std::int64_t j = 0; j < kPanel<T>; ++j) panel[j] = static_cast<T>(first[j]);
    } else {
      for (std::int64_t j = 0; j < kPanel<T>; ++j) {
        panel[j] = j < size ? static_cast<T>(first[j]) : T(0);
      }
    }
  }
}

// `size` columns of `items` rows with the items across the lanes: zeros past the last column,
// anything past the last item. `room` is for kGroup rows.
template <typename T>
void load_items(const Panels<T>& panels, const T* from, std::int64_t row, std::int64_t items,
                std::int64_t lanes, std::int64_t size, T* room, T* to) {
  if (size == kPanel<T> && items == lanes) {
    for (std::int64_t i = 0; i < items; ++i) prefetch_panel<0, T>(from + i * row + kPanel<T>);
    panels.transpose(from, row, to, kGroup<T>, lanes, kPanel<T>);
    return;
  }
  for (std::int64_t i = 0; i < items; ++i) {
    T* end = std::copy(from + i * row, from + i * row + size, room + i * kPanel<T>);
    std::fill(end, room + (i + 1) * kPanel<T>, T(0));
  }
  panels.transpose(room, kPanel<T>, to, kGroup<T>, lanes, kPanel<T>);
}

}  // namespace

template <typename T, typename B>
void evaluate_morphable_forward_cpu(const T* mean, const B* basis, const T* coefficients,
                                    const T* scale, const T* rotation, const T* translation,
                                    T* output, std::int64_t batch, std::int64_t vertices,
                                    std::int64_t count, const Context& context) {
  constexpr std::int64_t kP = kPanel<T>, kG = kGroup<T>;
  const std::int64_t row = 3 * vertices;
  if (batch == 1) {
    parallel_for(vertices, kStreamed, context.threads, [&](std::int64_t first, std::int64_t last) {
      const std::int64_t begin = 3 * first, size = 3 * (last - first);
      T shape[3 * kStreamed];
      T* out = scale ? shape : output + begin;
      std::copy(mean + begin, mean + begin + size, out);
      add_rows(basis + begin, row, coefficients, count, size, out);
      if (scale) pose_block(shape, *scale, rotation, translation, size, output + begin);
    });
    return;
  }

  const Panels<T>& with = panels<T>();
  const Groups<T> groups(coefficients, scale, rotation, translation, batch, count);
  parallel_for(vertices, kVertices, context.threads, [&](std::int64_t first, std::int64_t last) {
    thread_local Scratch<T> scratch;
    T* panel = scratch.reserve((count + kG) * kP);
    T* shapes = panel + count * kP;
    for (std::int64_t begin = 3 * first; begin < 3 * last; begin += kP) {
      const std::int64_t size = std::min(kP, 3 * last - begin);
      load_panel(basis + begin, row, count, size, true, panel);
      for (std::int64_t group = 0; group < groups.size; ++group) {
        const std::int64_t items = groups.items(group), outputs = round_up(items, 4);
        for (std::int64_t i = 0; i < outputs; ++i) {
          std::copy(mean + begin, mean + begin + size, shapes + i * kP);
        }
        with.add_products(panel, kP, groups.factors_of(group), kG, count, shapes, kP, outputs, kP,
                          nullptr);
        for (std::int64_t i = 0; i < items; ++i) {
          const std::int64_t n = group * kG + i;
          T *shape = shapes + i * kP, *out = output + n * row + begin;
          prefetch_panel<1, T>(out + kP);
          if (scale) {
            T matrix[9];
            for (int k = 0; k < 9; ++k) matrix[k] = scale[n] * rotation[9 * n + k];
            with.pose(shape, matrix, translation + 3 * n, shape);
          }
          std::copy(shape, shape + size, out);
        }
      }
    }
  });
}

template <typename T, typename B>
void evaluate_morphable_backward_cpu(const T* grad, const T* mean, const B* basis,
                                     const T* coefficients, const T* scale, const T* rotation,
                                     const T* translation, const T* output, T* grad_mean,
                                     T* grad_basis, T* grad_coefficients, T* grad_scale,
                                     T* grad_rotation, T* grad_translation, T* partial,
                                     std::int64_t batch, std::int64_t vertices, std::int64_t count,
                                     std::int64_t chunk, const Context& context) {
  constexpr std::int64_t kP = kPanel<T>, kG = kGroup<T>, kLanes = 64 / sizeof(T);
  const std::int64_t row = 3 * vertices, sums_row = count + kPoseSums, rows = round_up(count, 4);
  const std::int64_t chunks = (vertices + chunk - 1) / chunk, group_sums = (rows + kPoseSums) * kG;
  const Panels<T>& with = panels<T>();
  const Groups<T> groups(coefficients, scale, rotation, translation, batch, count);
  std::vector<Recovery<T>> recoveries;
  for (std::int64_t n = 0; scale && n < batch; ++n) {
    recoveries.emplace_back(output + n * row, vertices, scale[n], rotation + 9 * n,
                            translation + 3 * n);
  }

  const auto single_item = [&](std::int64_t first, std::int64_t last) {
    T* sums = partial + first / chunk * sums_row;
    std::fill(sums, sums + sums_row, T(0));
    for (std::int64_t v = first; v < last; v += kStreamed) {
      const std::int64_t begin = 3 * v, size = 3 * (std::min(v + kStreamed, last) - v);
      T unposed[3 * kStreamed];
      if (scale) {
        unpose_block(grad + begin, output + begin, *scale, rotation, translation, size, unposed,
                     sums + count);
      }
      const T* grads = scale ? unposed : grad + begin;
      if (grad_coefficients) dot_rows(basis + begin, row, grads, count, size, sums);
    }
  };

  // Adds one panel's part of the gradients by mean and basis; `grads` are those by the shape.
  const auto add_model = [&](const T* grads, std::int64_t group, std::int64_t begin,
                             std::int64_t size, T* by_item, T* factors, T* products) {
    const std::int64_t items = groups.items(group);
    with.transpose(grads, kG, by_item, kP, kP, round_up(items, 64 / sizeof(T)));
    for (std::int64_t i = 0; grad_mean && i < items; ++i) {
      for (std::int64_t j = 0; j < size; ++j) grad_mean[begin + j] += by_item[i * kP + j];
    }
    if (!grad_basis) return;
    for (std::int64_t i = 0; i < items; ++i) {
      const T* from = coefficients + (group * kG + i) * count;
      std::fill(std::copy(from, from + count, factors + i * rows), factors + (i + 1) * rows, T(0));
    }
    std::fill(products, products + rows * kP, T(0));
    with.add_products(by_item, kP, factors, rows, items, products, kP, rows, kP, nullptr);
    for (std::int64_t p = 0; p < count; ++p) {
      for (std::int64_t j = 0; j < size; ++j) {
        grad_basis[p * row + begin + j] += products[p * kP + j];
      }
    }
  };

  // [coordinate][item] of one panel: the shapes, or the posed vertices less the translation.
  const auto load_shapes = [&](const T* panel, std::int64_t group, std::int64_t begin,
                               std::int64_t size, T* room, T* shapes) {
    const std::int64_t items = groups.items(group), lanes = round_up(items, 64 / sizeof(T));
    const Recovery<T>* recovery = recoveries.data() + group * kG;
    load_items(with, output + group * kG * row + begin, row, items, lanes, size, room, shapes);
    with.subtract_translations(groups.poses_of(group) + 9 * kG, lanes, shapes);
    const auto evaluated = [](const Recovery<T>& item) { return !item.possible; };
    if (std::none_of(recovery, recovery + items, evaluated)) return;
    for (std::int64_t j = 0; j < kP; ++j) {
      std::fill(room + j * kG, room + j * kG + lanes, j < size ? mean[begin + j] : T(0));
    }
    with.add_products(groups.factors_of(group), kG, panel, kP, count, room, kG, kP, lanes, nullptr);
    for (std::int64_t i = 0; i < items; ++i) {
      for (std::int64_t j = 0; evaluated(recovery[i]) && j < kP; ++j) {
        shapes[j * kG + i] = room[j * kG + i];
      }
    }
  };

  const auto whole_batch = [&](std::int64_t first, std::int64_t last) {
    thread_local Scratch<T> scratch;
    T* panel = scratch.reserve(2 * rows * kP + 3 * kG * kP + groups.size * group_sums + rows * kG);
    T *products = panel + rows * kP, *room = products + rows * kP, *shapes = room + kG * kP;
    T *grads = shapes + kG * kP, *sums = grads + kG * kP,
      *factors = sums + groups.size * group_sums;
    const bool meanwhile = batch <= kLanes;  // the next panel is asked for within the products
    std::fill(panel + count * kP, panel + rows * kP, T(0));
    std::fill(sums, sums + groups.size * group_sums, T(0));
    for (std::int64_t begin = 3 * first; begin < 3 * last; begin += kP) {
      const std::int64_t size = std::min(kP, 3 * last - begin);
      Prefetches ahead;
      if (scale || grad_coefficients) {
        load_panel(basis + begin, row, count, size, !meanwhile, panel);
        if (meanwhile) ahead = Prefetches(basis + begin + kP, row * sizeof(B), count);
      }
      for (std::int64_t group = 0; group < groups.size; ++group) {
        const std::int64_t items = groups.items(group), lanes = round_up(items, 64 / sizeof(T));
        const std::int64_t offset = group * kG * row + begin;
        T* group_sum = sums + group * group_sums;
        load_items(with, grad + offset, row, items, lanes, size, room, grads);
        if (scale) {
          load_shapes(panel, group, begin, size, room, shapes);
          with.unpose(shapes, groups.poses_of(group), lanes, grads, group_sum + rows * kG);
        }
        if (grad_coefficients) {
          with.add_products_of_panels(grads, kG, panel, 1, kP, group_sum, kG, rows, lanes, &ahead);
        }
        if (grad_mean || grad_basis) {
          add_model(grads, group, begin, size, room, factors, products);
        }
      }
      ahead.finish();
    }
    T* chunk_sums = partial + first / chunk * batch * sums_row;
    for (std::int64_t n = 0; n < batch; ++n) {
      const T* group_sum = sums + n / kG * group_sums + n % kG;
      for (std::int64_t i = 0; i < sums_row; ++i) {
        chunk_sums[n * sums_row + i] = group_sum[(i < count ? i : rows + i - count) * kG];
      }
    }
  };

  const bool streamed =
      batch == 1 && !grad_mean && !grad_basis && (!scale || recoveries[0].possible);
  parallel_for(vertices, chunk, context.threads, [&](std::int64_t first, std::int64_t last) {
    streamed ? single_item(first, last) : whole_batch(first, last);
  });

  parallel_for(batch, 1, context.threads, [&](std::int64_t begin, std::int64_t end) {
    std::vector<T> totals(sums_row);
    for (std::int64_t n = begin; n < end; ++n) {
      std::fill(totals.begin(), totals.end(), T(0));
      for (std::int64_t c = 0; c < chunks; ++c) {
        for (std::int64_t i = 0; i < sums_row; ++i) {
          totals[i] += partial[(c * batch + n) * sums_row + i];
        }
      }
      if (grad_coefficients) {
        std::copy(totals.begin(), totals.begin() + count, grad_coefficients + n * count);
      }
      if (!scale) continue;
      T* sums = totals.data() + count;
      if (recoveries[n].possible) sums_by_shape(recoveries[n].inverse, sums);
      pose_gradients(sums, scale[n], rotation + 9 * n, grad_scale + n, grad_rotation + 9 * n,
                     grad_translation + 3 * n);
    }
  });
}

#define PGNFACE_INSTANTIATE(T, B)                                                                 \
  template void evaluate_morphable_forward_cpu<T, B>(const T*, const B*, const T*, const T*,      \
                                                     const T*, const T*, T*, std::int64_t,        \
                                                     std::int64_t, std::int64_t, const Context&); \
  template void evaluate_morphable_backward_cpu<T, B>(                                            \
      const T*, const T*, const B*, const T*, const T*, const T*, const T*, const T*, T*, T*, T*, \
      T*, T*, T*, T*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, const Context&);
PGNFACE_INSTANTIATE(float, float)
PGNFACE_INSTANTIATE(float, std::int16_t)
PGNFACE_INSTANTIATE(double, double)
PGNFACE_INSTANTIATE(double, std::int16_t)

}  // namespace pgnface
