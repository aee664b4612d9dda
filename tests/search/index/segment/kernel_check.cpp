// Holds the kernel's integer and float arithmetic against plain loops, on whatever it is compiled for.
// test_kernel.py compiles and runs it for this machine and, with a cross compiler and qemu, for the others.

#include "../../../../src/lykeion/search/index/segment/native/kernel.cpp"

#include <cstdio>
#include <random>

static uint16_t to_half(float value) {
#if defined(__x86_64__)
    return _cvtss_sh(value, 0);
#else
    const __fp16 half = static_cast<__fp16>(value);
    uint16_t bits;
    std::memcpy(&bits, &half, sizeof bits);
    return bits;
#endif
}

static int nearest(const LkSegment &segment, LkQuery query, float *score) {
    int32_t number;
    uint32_t row;
    query.out_segments = &number, query.out_rows = &row, query.out_scores = score;
    return lk_search(&segment, 1, &query) == 1 && query.written == -1 ? static_cast<int>(row) : -1;
}

// The identity as a projection: each row's one coefficient is 127, at a scale of 1 / 127.
static std::vector<int8_t> identity_of(size_t d) {
    const size_t width = (d + 63) / 64 * 64, rows = (d + LK_TOGETHER - 1) / LK_TOGETHER * LK_TOGETHER;
    std::vector<int8_t> identity(rows * width, 0);
    for (size_t i = 0; i < d; ++i) {
        const size_t together = i / LK_TOGETHER * LK_TOGETHER * width;
        identity[together + i / 64 * 64 * LK_TOGETHER + i % LK_TOGETHER * 64 + i % 64] = 127;
    }
    return identity;
}

int main() {
    std::mt19937 random(1);
    int cases = 0, wrong = 0;
    const size_t rows = 200;
    for (const bool nibbles : {false, true})
        for (const size_t stride : {64, 128, 192})
            for (int round = 0; round < 20; ++round) {
                const size_t half = stride - 4, d = half * (nibbles ? 2 : 1);
                std::vector<uint8_t> codes(rows * stride, 0), centroid(stride, 0);
                std::vector<uint16_t> vectors(rows * d);
                std::vector<float> query(d), terms(3 * d, 0);
                const auto identity = identity_of(d);
                for (size_t i = 0; i < d; ++i) {
                    terms[3 * i] = 1.0f / 127, terms[3 * i + 1] = 1;
                    query[i] = static_cast<float>(2 * static_cast<int>(random() % 128) - 127);
                }
                query[0] = 127, query[1] = -127;  // so that its steps are 2 and 1, and its codes the query itself
                int by_code = -1, by_square = -1, by_dot = -1;
                long best_code = -1L << 40;
                double best_square = 1e30, best_dot = -1e30;
                for (size_t row = 0; row < rows; ++row) {
                    long code_sum = 0;
                    double square = 0, dot = 0;
                    for (size_t j = 0; j < d; ++j) {
                        const int unit = static_cast<int>(random() % (nibbles ? 16 : 256));
                        const int value = static_cast<int>(random() % 64) - 32;
                        vectors[row * d + j] = to_half(static_cast<float>(value));
                        codes[row * stride + j % half] |= static_cast<uint8_t>(j < half ? unit : unit << 4);
                        code_sum += unit * static_cast<long>(query[j]);
                        square += (query[j] - value) * (query[j] - value);
                        dot += static_cast<double>(query[j]) * value;
                    }
                    if (code_sum > best_code) best_code = code_sum, by_code = static_cast<int>(row);
                    if (square < best_square) best_square = square, by_square = static_cast<int>(row);
                    if (dot > best_dot) best_dot = dot, by_dot = static_cast<int>(row);
                }
                const int64_t cell_rows[] = {0, static_cast<int64_t>(rows)};
                const uint32_t entry = 0;
                LkSegment segment{};
                segment.vectors = vectors.data(), segment.codes = codes.data(), segment.centroids = centroid.data();
                segment.projection = identity.data(), segment.terms = terms.data(), segment.cell_rows = cell_rows;
                segment.entries = &entry, segment.rows = rows, segment.stride = static_cast<int64_t>(stride);
                segment.reduced = static_cast<int32_t>(d), segment.cells = 1, segment.scale = 1, segment.filtered = -1;
                segment.half = 1, segment.nibbles = nibbles;
                LkQuery asked{};
                asked.vector = query.data(), asked.k = asked.ef = asked.rerank = 1, asked.scan = 1;
                asked.dimension = static_cast<int32_t>(d), asked.squared = 1;
                float score;
                wrong += nearest(segment, asked, &score) != by_code;
                segment.codes = nullptr;
                wrong += nearest(segment, asked, &score) != by_square;
                wrong += std::fabs(score - best_square) > 1e-5 * best_square;
                asked.squared = 0;
                wrong += nearest(segment, asked, &score) != by_dot;
                cases += 4;
            }
    std::printf("%d cases, %d wrong\n", cases, wrong);
    return wrong != 0;
}
