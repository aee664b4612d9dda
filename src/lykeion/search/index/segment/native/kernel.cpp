// The search kernel: one call answers one query over all segments of an index.
//
// A segment is a set of borrowed arrays, mapped from files or held by the caller; the kernel allocates nothing that
// outlives a call except per-thread scratch space. The same file is compiled into one library for each instruction
// set (AVX2, AVX-512 with VNNI, NEON); ../kernel.py loads the widest that the processor supports.
//
// Rows are ordered by cell (k-means over the vectors, projected or whole), and cells by group (k-means over their
// centroids), so that of many cells the nearest are found without comparing all. A row's code is `stride` bytes, a multiple
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

// Values in 128 steps: values[i] is about low + step * bytes[i]; `width` bytes, a multiple of 64, filled up with zeros.
struct Steps {
    const uint8_t *bytes;
    size_t width;
    float low, step;
};

struct QueryCode {
    Steps place;               // the query where cells are: its vector, or its projection
    const int8_t *low, *high;  // dims of the low and, for 4-bit codes, of the high nibbles; zero under the norm
    float factor, offset;      // key = norm - factor * dot + offset
};

inline float norm_of(const uint8_t *code, size_t stride) {
    float norm;
    std::memcpy(&norm, code + stride - sizeof norm, sizeof norm);
    return norm;
}

// How many rows are compared at once, so that sums over lanes are taken for all of them together.
#if defined(__AVX512VNNI__)
constexpr int BLOCK = 16;

// Lane i of the result is the sum of the lanes of sums[i].
inline __m512i sums_of(const __m512i (&sums)[BLOCK]) {
    __m512i four[4];
    for (int i = 0; i < 4; ++i) {
        const __m512i *s = sums + 4 * i;
        const __m512i low = _mm512_add_epi32(_mm512_unpacklo_epi32(s[0], s[1]), _mm512_unpackhi_epi32(s[0], s[1]));
        const __m512i high = _mm512_add_epi32(_mm512_unpacklo_epi32(s[2], s[3]), _mm512_unpackhi_epi32(s[2], s[3]));
        four[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
    }
    auto halved = [](__m512i a, __m512i b) {
        return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xDD));
    };
    return halved(halved(four[0], four[1]), halved(four[2], four[3]));
}
#elif defined(__AVX2__)
constexpr int BLOCK = 8;

inline __m256i sums_of(const __m256i (&sums)[BLOCK]) {
    __m256i four[2];
    for (int i = 0; i < 2; ++i) {
        const __m256i *s = sums + 4 * i;
        four[i] = _mm256_hadd_epi32(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
    }
    return _mm256_add_epi32(_mm256_permute2x128_si256(four[0], four[1], 0x20),
                            _mm256_permute2x128_si256(four[0], four[1], 0x31));
}
#elif defined(__aarch64__)
constexpr int BLOCK = 4;

inline int32x4_t sums_of(const int32x4_t (&sums)[BLOCK]) {
    return vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
}
#else
#error "lykeion's kernel needs x86-64 with AVX2, or aarch64"
#endif

// For each of BLOCK rows of `stride` bytes its product with a query's code.
template <bool Nibbles>
inline void code_dots(const uint8_t *const *rows, size_t stride, const QueryCode &query, int32_t *dots) {
#if defined(__AVX512VNNI__)
    __m512i sums[BLOCK] = {};
    const __m512i mask = _mm512_set1_epi8(15);
    for (size_t i = 0; i < stride; i += 64) {
        const __m512i low = _mm512_loadu_si512(query.low + i), high = _mm512_loadu_si512(query.high + i);
#pragma GCC unroll 16
        for (int row = 0; row < BLOCK; ++row) {
            const __m512i bytes = _mm512_loadu_si512(rows[row] + i);
            if constexpr (Nibbles) {
                const __m512i upper = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask);
                sums[row] = _mm512_dpbusd_epi32(sums[row], _mm512_and_si512(bytes, mask), low);
                sums[row] = _mm512_dpbusd_epi32(sums[row], upper, high);
            } else {
                sums[row] = _mm512_dpbusd_epi32(sums[row], bytes, low);
            }
        }
    }
    _mm512_storeu_si512(dots, sums_of(sums));
#elif defined(__AVX2__)
    // 16-bit products: a u8 x s8 pair sum can overflow 16 bits, so both sides are widened first.
    __m256i sums[BLOCK] = {};
    const __m128i mask = _mm_set1_epi8(15);
    auto load = [](const void *from) { return _mm_loadu_si128(static_cast<const __m128i *>(from)); };
    for (size_t i = 0; i < stride; i += 16) {
        const __m256i low = _mm256_cvtepi8_epi16(load(query.low + i));
        const __m256i high = _mm256_cvtepi8_epi16(load(query.high + i));
#pragma GCC unroll 8
        for (int row = 0; row < BLOCK; ++row) {
            const __m128i bytes = load(rows[row] + i);
            auto add = [&](__m128i units, __m256i by) {
                sums[row] = _mm256_add_epi32(sums[row], _mm256_madd_epi16(_mm256_cvtepu8_epi16(units), by));
            };
            if constexpr (Nibbles) {
                add(_mm_and_si128(bytes, mask), low);
                add(_mm_and_si128(_mm_srli_epi16(bytes, 4), mask), high);
            } else {
                add(bytes, low);
            }
        }
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(dots), sums_of(sums));
#else
    int32x4_t sums[BLOCK] = {};
    for (size_t i = 0; i < stride; i += 16) {
        const int8x16_t low = vld1q_s8(query.low + i), high = vld1q_s8(query.high + i);
        for (int row = 0; row < BLOCK; ++row) {
            const uint8x16_t bytes = vld1q_u8(rows[row] + i);
            auto add = [&sum = sums[row]](uint8x16_t u, int8x16_t t) {
                const int16x8_t u0 = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(u)));
                const int16x8_t u1 = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(u)));
                const int16x8_t t0 = vmovl_s8(vget_low_s8(t)), t1 = vmovl_s8(vget_high_s8(t));
                sum = vmlal_s16(sum, vget_low_s16(u0), vget_low_s16(t0));
                sum = vmlal_high_s16(sum, u0, t0);
                sum = vmlal_s16(sum, vget_low_s16(u1), vget_low_s16(t1));
                sum = vmlal_high_s16(sum, u1, t1);
            };
            if constexpr (Nibbles) {
                add(vandq_u8(bytes, vdupq_n_u8(15)), low);
                add(vshrq_n_u8(bytes, 4), high);
            } else {
                add(bytes, low);
            }
        }
    }
    vst1q_s32(dots, sums_of(sums));
#endif
}

// For each of BLOCK rows of signed bytes, `width` long (a multiple of 64), its product with values of 0 to 127. LK_TOGETHER
// rows lie together: the first 64 bytes of each, then the second 64 of each.
inline void byte_dots(const int8_t *rows, size_t width, const uint8_t *values, int32_t *dots) {
#if defined(__AVX512VNNI__)
    __m512i sums[BLOCK] = {};
    for (size_t i = 0; i < width; i += 64) {
        const __m512i value = _mm512_loadu_si512(values + i);
#pragma GCC unroll 16
        for (int row = 0; row < BLOCK; ++row)
            sums[row] = _mm512_dpbusd_epi32(sums[row], value, _mm512_loadu_si512(rows + i * LK_TOGETHER + 64 * row));
    }
    _mm512_storeu_si512(dots, sums_of(sums));
#elif defined(__AVX2__)
    __m256i sums[BLOCK] = {};
    const __m256i ones = _mm256_set1_epi16(1);
    auto load = [](const void *from) { return _mm256_loadu_si256(static_cast<const __m256i *>(from)); };
    for (size_t i = 0; i < width; i += 32) {
        const __m256i value = load(values + i);
#pragma GCC unroll 8
        for (int row = 0; row < BLOCK; ++row)  // a pair's sum is at most 2 * 127 * 127
            sums[row] = _mm256_add_epi32(
                sums[row], _mm256_madd_epi16(_mm256_maddubs_epi16(value, load(rows + i / 64 * 64 * LK_TOGETHER + 64 * row + i % 64)), ones));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(dots), sums_of(sums));
#else
    int32x4_t sums[BLOCK] = {};
    for (size_t i = 0; i < width; i += 16) {
        const int8x16_t value = vreinterpretq_s8_u8(vld1q_u8(values + i));
        for (int row = 0; row < BLOCK; ++row) {
            const int8x16_t bytes = vld1q_s8(rows + i / 64 * 64 * LK_TOGETHER + 64 * row + i % 64);
            sums[row] = vpadalq_s16(sums[row], vmull_s8(vget_low_s8(value), vget_low_s8(bytes)));
            sums[row] = vpadalq_s16(sums[row], vmull_high_s8(value, bytes));
        }
    }
    vst1q_s32(dots, sums_of(sums));
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

constexpr float SMALLEST = 1e-30f, NEVER = std::numeric_limits<float>::infinity();

// ---- candidates -----------------------------------------------------------------------------------------------

struct Candidate {
    float key;  // smaller is nearer
    uint32_t row;
    bool operator<(const Candidate &other) const { return key < other.key; }
};

// The best `wanted` candidates seen. Those that may be among them are collected, and the others dropped now and then:
// a heap would be put in order at each.
class Best {
   public:
    void start(size_t wanted) {
        wanted_ = wanted, limit_ = NEVER;
        seen_.clear();
        seen_.reserve(wanted + SPARE);
    }
    float limit() const { return limit_; }  // a candidate must be below; NaN never is
    void offer(float key, uint32_t row) {
        if (!(key < limit_)) return;
        seen_.push_back({key, row});
        if (seen_.size() == wanted_ + SPARE) drop();
    }
    const std::vector<Candidate> &items() {
        if (seen_.size() > wanted_) drop();
        return seen_;
    }

   private:
    static constexpr size_t SPARE = 128;
    void drop() {
        std::nth_element(seen_.begin(), seen_.begin() + wanted_ - 1, seen_.end());
        seen_.resize(wanted_);
        limit_ = seen_.back().key;
    }
    size_t wanted_ = 0;
    float limit_ = 0;
    std::vector<Candidate> seen_;
};

// Numbers, nearest first. Few of them are asked for, so they are not put in order: the least key of each PART is kept,
// and found anew when it is taken.
class Nearest {
   public:
    static constexpr size_t NONE = ~size_t{0};
    void clear() { keys_.clear(), least_.clear(), starts_.clear(), count_ = 0; }
    size_t size() const { return count_; }
    // Adds `count` numbers, the first of which is `first`; set_keys(to) sets their keys, and may set some that follow.
    template <typename SetKeys>
    void add(size_t first, size_t count, SetKeys set_keys) {
        const size_t begin = keys_.size();
        keys_.resize(begin + (count + PART - 1) / PART * PART, NEVER);
        set_keys(keys_.data() + begin);
        std::fill(keys_.begin() + begin + count, keys_.end(), NEVER);
        for (size_t part = least_.size(); part * PART < keys_.size(); ++part) {
            least_.push_back(least_of(part));
            starts_.push_back(first + part * PART - begin);
        }
        count_ += count;
    }
    size_t take() {
        const auto part = static_cast<size_t>(std::min_element(least_.begin(), least_.end()) - least_.begin());
        if (least_.empty() || !(least_[part] < NEVER)) return NONE;
        const auto begin = keys_.begin() + part * PART;
        const auto at = std::find(begin, begin + PART, least_[part]);
        *at = NEVER;
        least_[part] = least_of(part);
        return starts_[part] + static_cast<size_t>(at - begin);
    }

   private:
    static constexpr size_t PART = 64, LANES = 16;
    float least_of(size_t part) const {
        float lanes[LANES];
        const float *keys = keys_.data() + part * PART;
        std::copy_n(keys, LANES, lanes);
        for (size_t i = LANES; i < PART; i += LANES)
            for (size_t lane = 0; lane < LANES; ++lane)
                lanes[lane] = keys[i + lane] < lanes[lane] ? keys[i + lane] : lanes[lane];
        return *std::min_element(lanes, lanes + LANES);
    }
    std::vector<float> keys_, least_;
    std::vector<size_t> starts_;
    size_t count_ = 0;
};

struct Scratch {
    std::vector<uint8_t> seen;  // seen[row] == epoch: visited in this search
    uint8_t epoch = 0;
    std::vector<float> projected;
    std::vector<uint8_t> steps, projected_steps;
    std::vector<int8_t> low, high;
    Nearest groups, cells;
    size_t taken = 0;  // of the cells
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

thread_local Scratch scratch_of_thread;

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

void extremes(const float *values, int count, float &least, float &most) {
    constexpr int LANES = 16;
    float low[LANES], high[LANES];
    for (int lane = 0; lane < LANES; ++lane) low[lane] = least, high[lane] = most;
    int i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int lane = 0; lane < LANES; ++lane) {
            const float value = values[i + lane];
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
        }
    for (; i < count; ++i) low[0] = std::min(low[0], values[i]), high[0] = std::max(high[0], values[i]);
    for (int lane = 0; lane < LANES; ++lane) least = std::min(least, low[lane]), most = std::max(most, high[lane]);
}

// (value + added) * scale, rounded to the nearest integer.
template <typename Byte>
void to_bytes(const float *__restrict values, int count, float added, float scale, Byte *__restrict bytes) {
    for (int i = 0; i < count; ++i) bytes[i] = static_cast<Byte>(static_cast<int>(std::nearbyint((values[i] + added) * scale)));
}

Steps to_steps(const float *values, int count, std::vector<uint8_t> &bytes) {
    float least = values[0], most = values[0];
    extremes(values, count, least, most);
    const float step = std::max((most - least) / 127, SMALLEST);
    bytes.assign((static_cast<size_t>(count) + 63) / 64 * 64, 0);
    to_bytes(values, count, -least, 1 / step, bytes.data());
    return {bytes.data(), bytes.size(), least, step};
}

// Of the rows first .. first + count - 1 the product with the query, less the row's bias. What rounding both to bytes loses
// is small beside what a projection leaves out, and what cells of different sizes hide. `first` and `count` are multiples of
// LK_TOGETHER.
void multiply(const LkMatrix &matrix, size_t first, size_t count, const Steps &query, float *to) {
    const float *scales = matrix.terms + first, *sums = scales + matrix.rows, *biases = sums + matrix.rows;
    for (size_t i = 0; i < count; i += BLOCK) {
        int32_t dots[BLOCK];
        const size_t together = (first + i) / LK_TOGETHER * LK_TOGETHER, among = i % LK_TOGETHER;
        byte_dots(matrix.bytes + query.width * together + 64 * among, query.width, query.bytes, dots);
        for (int row = 0; row < BLOCK; ++row)
            to[i + row] = query.step * scales[i + row] * static_cast<float>(dots[row]) + query.low * sums[i + row] - biases[i + row];
    }
}

QueryCode encode_query(const LkSegment &segment, const float *query, int dimension, Scratch &scratch) {
    const int dims = segment.reduced, half = static_cast<int>(segment.stride) - 4;
    const Steps steps = to_steps(query, dimension, scratch.steps);
    scratch.projected.resize(segment.projection.rows);
    float *projected = scratch.projected.data();
    multiply(segment.projection, 0, segment.projection.rows, steps, projected);
    const Steps place = segment.whole ? steps : to_steps(projected, dims, scratch.projected_steps);
    float least = 0, most = 0;
    extremes(projected, dims, least, most);
    const float step = std::max(std::max(most, -least) / 127, SMALLEST), scale = 1 / step;
    scratch.low.assign(segment.stride, 0);
    scratch.high.assign(segment.stride, 0);
    int8_t *low = scratch.low.data(), *high = scratch.high.data();
    to_bytes(projected, std::min(dims, half), 0, scale, low);
    if (dims > half) to_bytes(projected + half, dims - half, 0, scale, high);
    int32_t total = 0;
    for (int64_t i = 0; i < segment.stride; ++i) total += low[i] + high[i];
    const float factor = 2 * segment.scale * step;
    const float offset = factor * segment.zero * static_cast<float>(total);
    return {place, low, high, factor, offset};
}

// Keys of BLOCK codes: how far they are from the query, up to a constant.
template <bool Nibbles>
inline void code_keys(const uint8_t *const *codes, size_t stride, const QueryCode &query, float *keys) {
    int32_t dots[BLOCK];
    float norms[BLOCK];
    for (int i = 0; i < BLOCK; ++i) norms[i] = norm_of(codes[i], stride);
    code_dots<Nibbles>(codes, stride, query, dots);
    for (int i = 0; i < BLOCK; ++i) keys[i] = norms[i] - query.factor * static_cast<float>(dots[i]) + query.offset;
}

// Bit i: keys[i] is below the limit, which NaN never is.
inline uint32_t below(const float *keys, float limit) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(_mm512_loadu_ps(keys), _mm512_set1_ps(limit), _CMP_LT_OQ);
#elif defined(__AVX2__)
    return static_cast<uint32_t>(
        _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(keys), _mm256_set1_ps(limit), _CMP_LT_OQ)));
#else
    uint32_t bits = 0;
    for (int i = 0; i < BLOCK; ++i) bits |= static_cast<uint32_t>(keys[i] < limit) << i;
    return bits;
#endif
}

// Calls take(n, key) for those of the codes 0 to count - 1 whose key is below limit(), which is asked once a block;
// code_of(n) is the n-th code.
template <bool Nibbles, typename CodeOf, typename Limit, typename Take>
inline void each_key(size_t count, size_t stride, const QueryCode &query, CodeOf code_of, Limit limit, Take take) {
    for (size_t first = 0; first < count; first += BLOCK) {
        const uint8_t *codes[BLOCK];
        float keys[BLOCK];
        for (size_t i = 0; i < BLOCK; ++i) codes[i] = code_of(std::min(first + i, count - 1));
        code_keys<Nibbles>(codes, stride, query, keys);
        const uint32_t real = count - first < BLOCK ? (1u << (count - first)) - 1 : ~0u;
        for (uint32_t left = below(keys, limit()) & real; left; left &= left - 1) {
            const int i = __builtin_ctz(left);
            take(first + i, keys[i]);
        }
    }
}

constexpr int FIRST_CACHE = 3, SECOND_CACHE = 2;

template <int Cache>
inline void prefetch(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i += 64) __builtin_prefetch(bytes + i, 0, Cache);
}

// Cells are looked at in whole groups, the nearest first: LOOKED times as many as are taken, and at least LEAST and
// 1 / SHARE of all, since the centroid of a group says little of where its cells lie if the data have many dimensions.
constexpr size_t LOOKED = 16, LEAST = 512, SHARE = 16;

// Looks at the cells of more groups, until enough for the so many nearest to be among them.
void look_at_cells(const LkSegment &segment, const Steps &query, size_t wanted, Scratch &scratch) {
    const size_t least = std::max({LOOKED * wanted, LEAST, static_cast<size_t>(segment.cells.rows) / SHARE});
    while (scratch.cells.size() < least) {
        const size_t group = scratch.groups.take();
        if (group == Nearest::NONE) return;
        const size_t first = segment.group_cells[group], count = segment.group_cells[group + 1] - first;
        scratch.cells.add(first, count, [&](float *to) { multiply(segment.cells, first, count, query, to); });
    }
}

// From now on take_cell gives the nearest cell, then the next: about `wanted` of them.
void start_cells(const LkSegment &segment, const Steps &query, size_t wanted, Scratch &scratch) {
    scratch.cells.clear(), scratch.groups.clear(), scratch.taken = 0;
    scratch.groups.add(0, segment.group_count, [&](float *to) { multiply(segment.groups, 0, segment.groups.rows, query, to); });
    look_at_cells(segment, query, wanted, scratch);
}

size_t take_cell(const LkSegment &segment, const Steps &query, Scratch &scratch) {
    look_at_cells(segment, query, ++scratch.taken, scratch);
    return scratch.cells.take();
}

// The allowed rows of [from, to), where they are few.
template <bool Nibbles>
void scan_rows(const LkSegment &segment, const QueryCode &query, size_t from, size_t to, Scratch &scratch) {
    auto &rows = scratch.rows;
    auto &best = scratch.best;
    rows.clear();
    for_each_bit(segment.allowed, from, to, [&](size_t row) { rows.push_back(static_cast<uint32_t>(row)); });
    auto code_of = [&](size_t i) {
        const size_t later = std::min(i + 2 * BLOCK, rows.size() - 1);
        prefetch<FIRST_CACHE>(segment.codes + rows[later] * segment.stride, segment.stride);
        return segment.codes + rows[i] * segment.stride;
    };
    each_key<Nibbles>(
        rows.size(), segment.stride, query, code_of, [&] { return best.limit(); },
        [&](size_t i, float key) { best.offer(key, rows[i]); });
}

constexpr size_t AHEAD = 32;  // rows

template <bool Nibbles>
void scan_cells(const LkSegment &segment, const QueryCode &query, size_t target, Scratch &scratch) {
    if (segment.filtered >= 0 && static_cast<size_t>(segment.filtered) <= target) {  // every cell will be scanned
        scan_rows<Nibbles>(segment, query, 0, static_cast<size_t>(segment.rows), scratch);
        return;
    }
    auto &best = scratch.best;
    auto take = [&] { return take_cell(segment, query.place, scratch); };
    start_cells(segment, query.place, target * segment.cells.rows / segment.rows, scratch);
    const size_t ahead = AHEAD * segment.stride;
    size_t met = 0;
    for (size_t cell = take(), next; cell != Nearest::NONE && met < target; cell = next) {
        next = take();
        const size_t from = segment.cell_rows[cell], to = segment.cell_rows[cell + 1];
        const size_t matching = segment.allowed ? count_bits(segment.allowed, from, to) : to - from;
        if (2 * matching >= to - from) {  // in order: only the few rows near enough are checked for `allowed`
            const uint8_t *first = segment.codes + from * segment.stride, *end = segment.codes + to * segment.stride;
            const uint8_t *after = next == Nearest::NONE ? end : segment.codes + segment.cell_rows[next] * segment.stride;
            each_key<Nibbles>(
                to - from, segment.stride, query,
                [&](size_t i) {
                    const uint8_t *code = first + i * segment.stride;
                    prefetch<FIRST_CACHE>(code + ahead < end ? code + ahead : after + (code + ahead - end),
                                          segment.stride);
                    return code;
                },
                [&] { return best.limit(); },
                [&](size_t i, float key) {
                    if (allowed(segment.allowed, from + i)) best.offer(key, static_cast<uint32_t>(from + i));
                });
        } else if (matching) {
            scan_rows<Nibbles>(segment, query, from, to, scratch);
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

// Where a walk starts; and how many nodes it expands at once, so that codes come in full blocks and were waited for together.
constexpr size_t STARTS = 4, TOGETHER = 2;

// Best-first search in a sorted pool that holds `ef` allowed nodes (deleted ones are walked through, not counted).
// False if it found fewer than wanted, or so many nodes here are deleted that a scan of cells is the better plan.
template <bool Nibbles>
bool walk_graph(const LkSegment &segment, const QueryCode &query, size_t ef, size_t wanted, Scratch &scratch) {
    auto &pool = scratch.pool;
    pool.clear();
    size_t counted = 0;
    scratch.start_visits(segment.rows);
    auto visit = [seen = scratch.seen.data(), epoch = scratch.epoch](uint32_t row) {
        if (seen[row] == epoch) return false;
        seen[row] = epoch;
        return true;
    };
    auto limit = [&] { return counted == ef ? pool.back().key : NEVER; };
    auto offer = [&](uint32_t row, float key) -> size_t {  // where it was placed in the pool; its size if it was not
        if (!(key < limit())) return pool.size();
        const bool counts = node_allowed(segment, row);
        const auto at = std::upper_bound(pool.begin(), pool.end(), key,
                                         [](float a, const Scratch::Entry &b) { return a < b.key; });
        const size_t place = at - pool.begin();
        pool.insert(at, {key, row, false, counts});
        counted += counts;
        while (counted > ef) counted -= pool.back().allowed, pool.pop_back();
        return place;
    };
    start_cells(segment, query.place, STARTS, scratch);
    auto &fresh = scratch.rows;
    auto offer_fresh = [&] {  // the first place in the pool that one of them was given
        size_t nearest = pool.size() + fresh.size();
        each_key<Nibbles>(
            fresh.size(), segment.stride, query, [&](size_t i) { return segment.codes + fresh[i] * segment.stride; },
            limit, [&](size_t i, float key) { nearest = std::min(nearest, offer(fresh[i], key)); });
        return nearest;
    };
    fresh.clear();
    for (size_t starts = 0; starts < STARTS; ++starts)
        if (const size_t cell = take_cell(segment, query.place, scratch); cell != Nearest::NONE && visit(segment.entries[cell]))
            fresh.push_back(segment.entries[cell]);
    offer_fresh();
    for (size_t next = 0; next < pool.size();) {
        if (pool.size() > 8 * ef) return false;
        if (pool[next].expanded) {
            ++next;
            continue;
        }
        fresh.clear();
        size_t at = next;
        for (size_t taken = 0; taken < TOGETHER && at < pool.size(); ++at) {
            if (pool[at].expanded) continue;
            pool[at].expanded = true, ++taken;
            const uint32_t *links = segment.links + static_cast<size_t>(pool[at].row) * segment.degree;
            for (int i = 0; i < segment.degree && links[i] < segment.rows; ++i)  // or damaged: also an end
                if (visit(links[i])) {
                    fresh.push_back(links[i]);
                    prefetch<FIRST_CACHE>(segment.codes + static_cast<size_t>(links[i]) * segment.stride, segment.stride);
                }
        }
        for (size_t later = at; later < std::min(at + TOGETHER, pool.size()); ++later)
            __builtin_prefetch(segment.links + static_cast<size_t>(pool[later].row) * segment.degree);
        next = std::min(next + 1, offer_fresh());
    }
    size_t found = 0;
    for (const auto &entry : pool)
        if (entry.allowed) scratch.best.offer(entry.key, entry.row), ++found;
    return found >= wanted;
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
    Scratch &scratch = scratch_of_thread;  // once: to find a thread's variable in a shared library is a call
    const QueryCode code = encode_query(segment, query.vector, query.dimension, scratch);
    Best &best = scratch.best;
    const size_t wanted = std::max(query.rerank, query.k);
    best.start(wanted);
    const size_t ef = std::max<size_t>(query.ef, wanted);
    const bool walked = segment.links && segment.filtered < 0 && walk_graph<Nibbles>(segment, code, ef, wanted, scratch);
    if (!walked) {
        best.start(wanted);
        const double target = query.scan * std::max(256.0, std::sqrt(static_cast<double>(segment.rows)));
        scan_cells<Nibbles>(segment, code, std::max(static_cast<size_t>(target), wanted), scratch);
    }
    const size_t bytes = static_cast<size_t>(query.dimension) * (segment.half ? 2 : 4);
    const auto *vectors = static_cast<const uint8_t *>(segment.vectors);
    const auto &candidates = best.items();
    constexpr size_t FAR = 24;  // to the second cache so many comparisons before, to the first two before
    auto vector_of = [&](size_t i) { return vectors + candidates[i].row * bytes; };
    for (size_t i = 0; i < std::min(FAR, candidates.size()); ++i) prefetch<SECOND_CACHE>(vector_of(i), bytes);
    for (size_t i = 0; i < candidates.size() + 2; ++i) {
        if (i + FAR < candidates.size()) prefetch<SECOND_CACHE>(vector_of(i + FAR), bytes);
        if (i < candidates.size()) prefetch<FIRST_CACHE>(vector_of(i), bytes);
        if (i < 2) continue;
        if (const uint32_t row = candidates[i - 2].row; walked)
            merger.offer_node(segment, number, row);
        else
            merger.offer(segment, number, row);
    }
}

// The ids of the answers, as LkQuery has them; what a damaged file says of their places is not believed.
int64_t write_ids(const LkSegment *segments, const LkQuery &query, int64_t count) {
    char *to = query.out_ids;
    for (int64_t i = 0; i < count; ++i) {
        const LkSegment &segment = segments[query.out_segments[i]];
        if (!segment.id_ends) return -1;
        const int64_t *ends = segment.id_ends + query.out_rows[i];
        const int64_t size = ends[1] - ends[0], left = query.room - (to - query.out_ids);
        if (ends[0] < 0 || ends[1] > segment.ids_size || size < 0 || size >= left) return -1;
        if (std::memchr(segment.ids + ends[0], 0, size)) return -1;
        std::memcpy(to, segment.ids + ends[0], size);
        to += size;
        *to++ = 0;
    }
    return to - query.out_ids;
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
LK_EXPORT int64_t lk_search(const LkSegment *segments, int32_t count, LkQuery *query) {
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
    const int64_t found = merger.finish(query->out_segments, query->out_rows, query->out_scores);
    query->written = write_ids(segments, *query, found);
    return found;
}

}  // extern "C"
