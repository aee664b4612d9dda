// The search kernel: one call answers one query over all segments of an index.
//
// A segment is a set of borrowed arrays, mapped from files or held by the caller; the kernel allocates nothing that
// outlives a call except per-thread scratch space. The same file is compiled into one library for each instruction
// set (AVX2, AVX-512 with VNNI, NEON); ../kernel.py loads the widest that the processor supports.
//
// Rows are ordered by cell (k-means over the vectors, projected or whole). A row's code is `stride` bytes, a multiple
// of 64: the projected vector in 8- or 4-bit integers under one scale, then its squared norm as a float. With query t
// in signed 8-bit integers the squared distance is, up to a constant of the query,
// norm - 2 * scale * (code . t - zero * sum t): one integer dot product, for which VNNI and NEON have an instruction.
//
// Three plans: `exact` compares stored vectors; `graph` walks the neighbour graph from the medoids of the nearest
// cells (best-first, Malkov & Yashunin 2016, the level-0 search); `cells` scans the nearest cells until enough allowed
// rows were seen. The last two rank by codes, then compare the best by stored vectors. A node of the graph is a row and
// the copies that follow it, so that many copies of one vector take one place among the candidates.

#include "kernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

// ---- distances ------------------------------------------------------------------------------------------------

struct QueryCode {
    const float *vector;       // what was coded
    int dimension;
    const int8_t *low, *high;  // dims of the low and, for 4-bit codes, of the high nibbles; zero under the norm
    float factor, offset;      // key = norm - factor * dot + offset
};

inline float norm_of(const uint8_t *code, size_t stride) {
    float norm;
    std::memcpy(&norm, code + stride - sizeof norm, sizeof norm);
    return norm;
}

template <bool Nibbles>
inline int32_t code_dot(const uint8_t *code, size_t stride, const QueryCode &query) {
#if defined(__AVX512VNNI__)
    __m512i sum = _mm512_setzero_si512();
    const __m512i mask = _mm512_set1_epi8(15);
    for (size_t i = 0; i < stride; i += 64) {
        const __m512i bytes = _mm512_loadu_si512(code + i);
        if constexpr (Nibbles) {
            sum = _mm512_dpbusd_epi32(sum, _mm512_and_si512(bytes, mask), _mm512_loadu_si512(query.low + i));
            sum = _mm512_dpbusd_epi32(sum, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask),
                                      _mm512_loadu_si512(query.high + i));
        } else {
            sum = _mm512_dpbusd_epi32(sum, bytes, _mm512_loadu_si512(query.low + i));
        }
    }
    return _mm512_reduce_add_epi32(sum);
#elif defined(__AVX2__)
    // 16-bit products: a u8 x s8 pair sum can overflow 16 bits, so both sides are widened first.
    __m256i sum = _mm256_setzero_si256();
    const __m128i mask = _mm_set1_epi8(15);
    auto add = [&sum](__m128i u, const int8_t *s) {
        const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i *>(s));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepu8_epi16(u), _mm256_cvtepi8_epi16(t)));
    };
    for (size_t i = 0; i < stride; i += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(code + i));
        if constexpr (Nibbles) {
            add(_mm_and_si128(bytes, mask), query.low + i);
            add(_mm_and_si128(_mm_srli_epi16(bytes, 4), mask), query.high + i);
        } else {
            add(bytes, query.low + i);
        }
    }
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
    return _mm_cvtsi128_si32(half);
#elif defined(__aarch64__)
    int32x4_t sum = vdupq_n_s32(0);
    auto add = [&sum](uint8x16_t u, const int8_t *s) {
        const int8x16_t t = vld1q_s8(s);
        const int16x8_t u0 = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(u)));
        const int16x8_t u1 = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(u)));
        const int16x8_t t0 = vmovl_s8(vget_low_s8(t)), t1 = vmovl_s8(vget_high_s8(t));
        sum = vmlal_s16(sum, vget_low_s16(u0), vget_low_s16(t0));
        sum = vmlal_high_s16(sum, u0, t0);
        sum = vmlal_s16(sum, vget_low_s16(u1), vget_low_s16(t1));
        sum = vmlal_high_s16(sum, u1, t1);
    };
    for (size_t i = 0; i < stride; i += 16) {
        const uint8x16_t bytes = vld1q_u8(code + i);
        if constexpr (Nibbles) {
            add(vandq_u8(bytes, vdupq_n_u8(15)), query.low + i);
            add(vshrq_n_u8(bytes, 4), query.high + i);
        } else {
            add(bytes, query.low + i);
        }
    }
    return vaddvq_s32(sum);
#else
#error "lykeion's kernel needs x86-64 with AVX2, or aarch64"
#endif
}

inline float half_to_float(uint16_t half) {
#if defined(__x86_64__)
    return _cvtsh_ss(half);
#else
    __fp16 value;
    std::memcpy(&value, &half, sizeof value);
    return value;
#endif
}

// Sum over i of f(query[i], vector[i]), where f is the product or the squared difference.
template <bool Squared>
inline float float_term(float q, float v) {
    return Squared ? (q - v) * (q - v) : q * v;
}

template <bool Squared>
float compare_half(const float *q, const void *vector, int d) {
    const uint16_t *v = static_cast<const uint16_t *>(vector);
    float sum = 0;
    int i = 0;
#if defined(__AVX512F__)
    __m512 a = _mm512_setzero_ps(), b = _mm512_setzero_ps();
    auto step = [&](__m512 &to, int at) {
        const __m512 x = _mm512_loadu_ps(q + at);
        const __m512 y = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(v + at)));
        const __m512 z = Squared ? _mm512_sub_ps(x, y) : x;
        to = _mm512_fmadd_ps(z, Squared ? z : y, to);
    };
    for (; i + 32 <= d; i += 32) step(a, i), step(b, i + 16);
    if (i + 16 <= d) step(a, i), i += 16;
    sum = _mm512_reduce_add_ps(_mm512_add_ps(a, b));
#elif defined(__AVX2__)
    __m256 a = _mm256_setzero_ps(), b = _mm256_setzero_ps();
    auto step = [&](__m256 &to, int at) {
        const __m256 x = _mm256_loadu_ps(q + at);
        const __m256 y = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(v + at)));
        const __m256 z = Squared ? _mm256_sub_ps(x, y) : x;
        to = _mm256_fmadd_ps(z, Squared ? z : y, to);
    };
    for (; i + 16 <= d; i += 16) step(a, i), step(b, i + 8);
    a = _mm256_add_ps(a, b);
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    sum = _mm_cvtss_f32(_mm_add_ss(h, _mm_shuffle_ps(h, h, 1)));
#elif defined(__aarch64__)
    float32x4_t a = vdupq_n_f32(0);
    for (; i + 4 <= d; i += 4) {
        const float32x4_t x = vld1q_f32(q + i), y = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(v + i)));
        const float32x4_t z = Squared ? vsubq_f32(x, y) : x;
        a = vfmaq_f32(a, z, Squared ? z : y);
    }
    sum = vaddvq_f32(a);
#endif
    for (; i < d; ++i) sum += float_term<Squared>(q[i], half_to_float(v[i]));
    return sum;
}

template <bool Squared>
float compare_float(const float *q, const void *vector, int d) {
    const float *v = static_cast<const float *>(vector);
    float lanes[16] = {};  // sixteen independent sums, which compilers turn into vector registers
    int i = 0;
    for (; i + 16 <= d; i += 16)
        for (int lane = 0; lane < 16; ++lane) lanes[lane] += float_term<Squared>(q[i + lane], v[i + lane]);
    float sum = 0;
    for (; i < d; ++i) sum += float_term<Squared>(q[i], v[i]);
    for (float lane : lanes) sum += lane;
    return sum;
}

// ---- candidates -----------------------------------------------------------------------------------------------

struct Candidate {
    float key;  // smaller is nearer
    uint32_t row;
    bool operator<(const Candidate &other) const { return key < other.key; }
};

// The best `capacity` candidates seen, as a max-heap.
class Best {
   public:
    void start(size_t capacity) { capacity_ = capacity, heap_.clear(); }
    float worst() const { return heap_.size() < capacity_ ? std::numeric_limits<float>::infinity() : heap_[0].key; }
    void offer(float key, uint32_t row) {
        if (!(key < worst())) return;  // also drops NaN
        if (heap_.size() == capacity_) std::pop_heap(heap_.begin(), heap_.end()), heap_.pop_back();
        heap_.push_back({key, row});
        std::push_heap(heap_.begin(), heap_.end());
    }
    bool full() const { return heap_.size() == capacity_; }
    const std::vector<Candidate> &items() const { return heap_; }

   private:
    size_t capacity_ = 0;
    std::vector<Candidate> heap_;
};

struct Scratch {
    std::vector<uint8_t> seen;  // seen[row] == epoch: visited in this search
    uint8_t epoch = 0;
    std::vector<float> projected, keys;
    std::vector<int8_t> low, high;
    std::vector<Candidate> cells;
    struct Entry {
        float key;
        uint32_t row;
        bool expanded, allowed;
    };
    std::vector<Entry> pool;
    std::vector<uint32_t> rows;
    Best best;

    void start_visits(size_t rows_in_segment) {
        if (seen.size() < rows_in_segment || epoch == 255) {
            seen.assign(std::max(seen.size(), rows_in_segment), 0);
            epoch = 0;
        }
        ++epoch;
    }
};

thread_local Scratch scratch;

inline bool allowed(const uint64_t *bits, size_t row) { return !bits || (bits[row >> 6] >> (row & 63) & 1); }

// The word of `bits` that has rows 64 * word .. 64 * word + 63, without those outside [from, to).
inline uint64_t word_within(const uint64_t *bits, size_t word, size_t from, size_t to) {
    uint64_t value = bits[word];
    if (word == from >> 6) value &= ~uint64_t{0} << (from & 63);
    if ((word + 1) << 6 > to) value &= (uint64_t{1} << (to & 63)) - 1;
    return value;
}

inline size_t count_bits(const uint64_t *bits, size_t from, size_t to) {
    size_t count = 0;
    for (size_t word = from >> 6; word << 6 < to; ++word)
        count += static_cast<size_t>(__builtin_popcountll(word_within(bits, word, from, to)));
    return count;
}

template <typename Visit>
inline void for_each_bit(const uint64_t *bits, size_t from, size_t to, Visit visit) {
    for (size_t word = from >> 6; word << 6 < to; ++word)
        for (uint64_t left = word_within(bits, word, from, to); left; left &= left - 1)
            visit(word << 6 | static_cast<size_t>(__builtin_ctzll(left)));
}

// ---- one segment ----------------------------------------------------------------------------------------------

QueryCode encode_query(const LkSegment &segment, const float *query, int dimension) {
    const int dims = segment.reduced, half = static_cast<int>(segment.stride) - 4;
    auto &projected = scratch.projected;
    projected.resize(dims);
    float largest = 0;
    for (int i = 0; i < dims; ++i) {
        const uint16_t *row = segment.projection + static_cast<size_t>(i) * dimension;
        projected[i] = compare_half<false>(query, row, dimension) - segment.bias[i];
        largest = std::max(largest, std::fabs(projected[i]));
    }
    const float step = largest > 0 ? largest / 127 : 1;
    scratch.low.assign(segment.stride, 0);
    scratch.high.assign(segment.stride, 0);
    int32_t total = 0;
    for (int i = 0; i < dims; ++i) {
        const int value = static_cast<int>(std::lrint(projected[i] / step));
        (i < half ? scratch.low[i] : scratch.high[i - half]) = static_cast<int8_t>(value);
        total += value;
    }
    const float factor = 2 * segment.scale * step;
    const float offset = factor * segment.zero * static_cast<float>(total);
    return {query, dimension, scratch.low.data(), scratch.high.data(), factor, offset};
}

template <bool Nibbles>
inline float code_key(const uint8_t *codes, size_t stride, size_t row, const QueryCode &query) {
    const uint8_t *code = codes + row * stride;
    const float dot = static_cast<float>(code_dot<Nibbles>(code, stride, query));
    return norm_of(code, stride) - query.factor * dot + query.offset;
}

inline void prefetch_code(const uint8_t *code, size_t stride) {
    for (size_t i = 0; i < stride; i += 64) __builtin_prefetch(code + i);
}

// Keys of the centroids, nearest first at the front of a heap (std::*_heap with the order reversed).
template <bool Nibbles>
void rank_cells(const LkSegment &segment, const QueryCode &query) {
    auto &cells = scratch.cells;
    cells.resize(segment.cells);
    for (int i = 0; i < segment.cells; ++i) {
        const float key =
            segment.whole ? compare_half<true>(query.vector, static_cast<const uint16_t *>(segment.centroids) +
                                                                 static_cast<size_t>(i) * query.dimension,
                                               query.dimension)
                          : code_key<Nibbles>(static_cast<const uint8_t *>(segment.centroids), segment.stride, i, query);
        cells[i] = {key, static_cast<uint32_t>(i)};
    }
}

inline bool farther(const Candidate &a, const Candidate &b) { return b < a; }

// The allowed rows of [from, to), where they are few.
template <bool Nibbles>
void scan_rows(const LkSegment &segment, const QueryCode &query, size_t from, size_t to, Best &best) {
    auto &rows = scratch.rows;
    rows.clear();
    for_each_bit(segment.allowed, from, to, [&](size_t row) { rows.push_back(static_cast<uint32_t>(row)); });
    for (size_t i = 0; i < rows.size(); ++i) {
        if (i + 8 < rows.size()) prefetch_code(segment.codes + rows[i + 8] * segment.stride, segment.stride);
        best.offer(code_key<Nibbles>(segment.codes, segment.stride, rows[i], query), rows[i]);
    }
}

template <bool Nibbles>
void scan_cells(const LkSegment &segment, const QueryCode &query, size_t target, Best &best) {
    if (segment.filtered >= 0 && static_cast<size_t>(segment.filtered) <= target) {  // every cell will be scanned
        scan_rows<Nibbles>(segment, query, 0, static_cast<size_t>(segment.rows), best);
        return;
    }
    rank_cells<Nibbles>(segment, query);
    auto &cells = scratch.cells;
    std::make_heap(cells.begin(), cells.end(), farther);
    size_t met = 0;
    for (auto end = cells.end(); end != cells.begin() && met < target; --end) {
        std::pop_heap(cells.begin(), end, farther);
        const uint32_t cell = (end - 1)->row;
        const size_t from = segment.cell_rows[cell], to = segment.cell_rows[cell + 1];
        const size_t matching = segment.allowed ? count_bits(segment.allowed, from, to) : to - from;
        if (2 * matching >= to - from) {  // in order: only the few rows near enough are checked for `allowed`
            float worst = best.worst();
            for (size_t row = from; row < to; ++row) {
                const float key = code_key<Nibbles>(segment.codes, segment.stride, row, query);
                if (key < worst && allowed(segment.allowed, row))
                    best.offer(key, static_cast<uint32_t>(row)), worst = best.worst();
            }
        } else if (matching) {
            scan_rows<Nibbles>(segment, query, from, to, best);
        }
        met += matching;
    }
}

// Whether a row has the same vector as the row before.
inline bool is_copy(const LkSegment &segment, size_t row) {
    return segment.copies && row < static_cast<size_t>(segment.rows) && segment.links[row * segment.degree] == LK_COPY;
}

inline bool node_allowed(const LkSegment &segment, size_t row) {
    do
        if (allowed(segment.allowed, row)) return true;
    while (is_copy(segment, ++row));
    return false;
}

// Best-first search in a sorted pool that holds `ef` allowed nodes (deleted ones are walked through, not counted).
// False if it found fewer than wanted, or so many nodes here are deleted that a scan of cells is the better plan.
template <bool Nibbles>
bool walk_graph(const LkSegment &segment, const QueryCode &query, size_t ef, Best &best) {
    auto &pool = scratch.pool;
    pool.clear();
    size_t counted = 0;
    scratch.start_visits(segment.rows);
    auto visit = [&](uint32_t row) {
        if (scratch.seen[row] == scratch.epoch) return false;
        scratch.seen[row] = scratch.epoch;
        return true;
    };
    auto offer = [&](uint32_t row) -> size_t {  // where it was placed in the pool; its size if it was not
        const float key = code_key<Nibbles>(segment.codes, segment.stride, row, query);
        if (counted == ef && !(key < pool.back().key)) return pool.size();
        const bool counts = node_allowed(segment, row);
        const auto at = std::upper_bound(pool.begin(), pool.end(), key,
                                         [](float a, const Scratch::Entry &b) { return a < b.key; });
        const size_t place = at - pool.begin();
        pool.insert(at, {key, row, false, counts});
        counted += counts;
        while (counted > ef) counted -= pool.back().allowed, pool.pop_back();
        return place;
    };
    rank_cells<Nibbles>(segment, query);
    auto &cells = scratch.cells;
    const size_t starts = std::min<size_t>(4, cells.size());
    std::partial_sort(cells.begin(), cells.begin() + starts, cells.end());
    for (size_t i = 0; i < starts; ++i)
        if (const uint32_t row = segment.entries[cells[i].row]; visit(row)) offer(row);
    auto &fresh = scratch.rows;
    for (size_t next = 0; next < pool.size();) {
        if (pool.size() > 8 * ef) return false;
        if (pool[next].expanded) {
            ++next;
            continue;
        }
        pool[next].expanded = true;
        const uint32_t *links = segment.links + static_cast<size_t>(pool[next].row) * segment.degree;
        fresh.clear();
        for (int i = 0; i < segment.degree && links[i] < segment.rows; ++i)  // or damaged: also an end
            if (visit(links[i])) {
                fresh.push_back(links[i]);
                prefetch_code(segment.codes + static_cast<size_t>(links[i]) * segment.stride, segment.stride);
            }
        size_t nearest = next + 1;
        for (uint32_t row : fresh) nearest = std::min(nearest, offer(row));
        next = nearest;
        if (next < pool.size() && !pool[next].expanded)
            __builtin_prefetch(segment.links + static_cast<size_t>(pool[next].row) * segment.degree);
    }
    for (const auto &entry : pool)
        if (entry.allowed) best.offer(entry.key, entry.row);
    return best.full();
}

struct Answer {
    float key;
    int32_t segment;
    uint32_t row;
    bool operator<(const Answer &other) const { return key < other.key; }
};

class Merger {
   public:
    Merger(const LkQuery &query) : query_(query) { heap_.reserve(query.k + 1); }
    void offer(const LkSegment &segment, int32_t number, uint32_t row) { add({key_of(segment, row), number, row}); }
    // The allowed rows of a node, which have the same vector.
    void offer_node(const LkSegment &segment, int32_t number, uint32_t row) {
        const float key = key_of(segment, row);
        do
            if (allowed(segment.allowed, row) && !add({key, number, row})) return;
        while (is_copy(segment, ++row));
    }
    int64_t finish(int32_t *segments, uint32_t *rows, float *scores) {
        std::sort_heap(heap_.begin(), heap_.end());
        for (size_t i = 0; i < heap_.size(); ++i) {
            segments[i] = heap_[i].segment, rows[i] = heap_[i].row;
            scores[i] = query_.squared ? heap_[i].key : std::min(1.0f, -heap_[i].key);
        }
        return static_cast<int64_t>(heap_.size());
    }

   private:
    float key_of(const LkSegment &segment, uint32_t row) const {
        const size_t size = segment.half ? 2 : 4;
        const void *vector = static_cast<const char *>(segment.vectors) + row * size * query_.dimension;
        const float value = (segment.half ? query_.squared ? compare_half<true> : compare_half<false>
                                          : query_.squared ? compare_float<true> : compare_float<false>)(
            query_.vector, vector, query_.dimension);
        return query_.squared ? value : -value;
    }
    bool add(const Answer &answer) {  // whether it is among the best
        if (std::isnan(answer.key) || (heap_.size() == query_.k && !(answer < heap_[0]))) return false;
        heap_.push_back(answer), std::push_heap(heap_.begin(), heap_.end());
        if (heap_.size() > query_.k) std::pop_heap(heap_.begin(), heap_.end()), heap_.pop_back();
        return true;
    }

    const LkQuery &query_;
    std::vector<Answer> heap_;
};

template <bool Nibbles>
void search_codes(const LkSegment &segment, int32_t number, const LkQuery &query, Merger &merger) {
    const QueryCode code = encode_query(segment, query.vector, query.dimension);
    Best &best = scratch.best;
    const size_t wanted = std::max(query.rerank, query.k);
    best.start(wanted);
    const size_t ef = std::max<size_t>(query.ef, wanted);
    const bool walked = segment.links && segment.filtered < 0 && walk_graph<Nibbles>(segment, code, ef, best);
    if (!walked) {
        best.start(wanted);
        const double target = query.scan * std::max(256.0, std::sqrt(static_cast<double>(segment.rows)));
        scan_cells<Nibbles>(segment, code, std::max(static_cast<size_t>(target), wanted), best);
    }
    const size_t bytes = static_cast<size_t>(query.dimension) * (segment.half ? 2 : 4);
    const auto *vectors = static_cast<const uint8_t *>(segment.vectors);
    const auto &candidates = best.items();
    for (size_t i = 0; i < candidates.size() + 2; ++i) {  // each is prefetched two iterations before its comparison
        if (i < candidates.size()) prefetch_code(vectors + candidates[i].row * bytes, bytes);
        if (i < 2) continue;
        if (const uint32_t row = candidates[i - 2].row; walked)
            merger.offer_node(segment, number, row);
        else
            merger.offer(segment, number, row);
    }
}

}  // namespace

extern "C" {

// What kernel.h says; a library that was built from an older one must not be called.
LK_EXPORT int32_t lk_interface() { return LK_INTERFACE; }

// 2: AVX-512 with VNNI; 1: what this library's baseline needs; 0: less. Only the baseline library is asked.
LK_EXPORT int32_t lk_level() {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni");
    return wide ? 2 : 1;
#else
    return 1;
#endif
}

// Writes the at most query->k nearest rows, best first, and returns how many.
LK_EXPORT int64_t lk_search(const LkSegment *segments, int32_t count, const LkQuery *query, int32_t *out_segments,
                            uint32_t *out_rows, float *out_scores) {
    Merger merger(*query);
    for (int32_t number = 0; number < count; ++number) {
        const LkSegment &segment = segments[number];
        const int64_t few = 2 * static_cast<int64_t>(std::max(query->rerank, query->k));
        if (!segment.codes || (segment.filtered >= 0 && segment.filtered <= few)) {
            auto offer = [&](size_t row) { merger.offer(segment, number, static_cast<uint32_t>(row)); };
            if (segment.allowed)
                for_each_bit(segment.allowed, 0, static_cast<size_t>(segment.rows), offer);
            else
                for (int64_t row = 0; row < segment.rows; ++row) offer(static_cast<size_t>(row));
        } else if (segment.nibbles) {
            search_codes<true>(segment, number, *query, merger);
        } else {
            search_codes<false>(segment, number, *query, merger);
        }
    }
    return merger.finish(out_segments, out_rows, out_scores);
}

}  // extern "C"
