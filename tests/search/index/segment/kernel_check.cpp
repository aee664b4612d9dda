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

// Rows of signed bytes at one scale, as an LkMatrix has them.
struct Bytes {
    size_t width, rows;
    std::vector<int8_t> bytes;
    std::vector<float> terms;
    Bytes(size_t count, size_t columns)
        : width((columns + 63) / 64 * 64), rows((count + LK_TOGETHER - 1) / LK_TOGETHER * LK_TOGETHER),
          bytes(rows * width, 0), terms(3 * rows, 0) {
        for (size_t row = count; row < rows; ++row) terms[2 * rows + row] = -NEVER;
    }
    int8_t &at(size_t row, size_t column) {
        return bytes[row / LK_TOGETHER * LK_TOGETHER * width + column / 64 * 64 * LK_TOGETHER + row % LK_TOGETHER * 64 + column % 64];
    }
    void say(size_t row, float scale, double sum, double bias) {
        terms[row] = scale, terms[rows + row] = static_cast<float>(sum), terms[2 * rows + row] = static_cast<float>(bias);
    }
    LkMatrix as_matrix() const { return {bytes.data(), terms.data(), static_cast<int64_t>(rows)}; }
};

static Bytes identity_of(size_t d) {
    Bytes identity(d, d);
    for (size_t i = 0; i < d; ++i) identity.at(i, i) = 127, identity.say(i, 1.0f / 127, 1, 0);
    return identity;
}

// Centroids of whole numbers: their matrix, and for each |c|^2 / 2 - c . query.
static Bytes centroids_of(size_t count, size_t d, const std::vector<float> &query, std::mt19937 &random, std::vector<double> &keys) {
    Bytes centroids(count, d);
    keys.assign(count, 0);
    for (size_t i = 0; i < count; ++i) {
        double sum = 0;
        for (size_t j = 0; j < d; ++j) {
            const int c = static_cast<int>(random() % 255) - 127;
            centroids.at(i, j) = static_cast<int8_t>(-c);
            sum -= c, keys[i] += 0.5 * c * c - c * static_cast<double>(query[j]);
        }
        double square = 0;
        for (size_t j = 0; j < d; ++j) square += static_cast<double>(centroids.at(i, j)) * centroids.at(i, j);
        centroids.say(i, 1, sum, -square / 2);
    }
    return centroids;
}

int main() {
    std::mt19937 random(1);
    int cases = 0, wrong = 0;
    const size_t rows = 200, many = 1024;
    for (const bool nibbles : {false, true})
        for (const size_t stride : {64, 128, 192})
            for (int round = 0; round < 20; ++round) {
                const size_t half = stride - 4, d = half * (nibbles ? 2 : 1);
                std::vector<uint8_t> codes(many * stride, 0);
                std::vector<uint16_t> vectors(many * d);
                std::vector<float> query(d);
                const auto identity = identity_of(d);
                const Bytes one(1, d);
                for (float &value : query) value = static_cast<float>(2 * static_cast<int>(random() % 128) - 127);
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
                const int64_t group_cells[] = {0, 1};
                const uint32_t entry = 0;
                LkSegment segment{};
                segment.vectors = vectors.data(), segment.codes = codes.data(), segment.projection = identity.as_matrix();
                segment.cells = segment.groups = one.as_matrix();
                segment.group_cells = group_cells, segment.group_count = 1, segment.cell_rows = cell_rows;
                segment.entries = &entry, segment.rows = rows, segment.stride = static_cast<int64_t>(stride);
                segment.reduced = static_cast<int32_t>(d), segment.scale = 1, segment.filtered = -1;
                segment.half = 1, segment.nibbles = nibbles;
                LkQuery asked{};
                asked.vector = query.data(), asked.k = asked.ef = asked.rerank = 1, asked.scan = 1;
                asked.dimension = static_cast<int32_t>(d), asked.squared = 1;
                float score;
                wrong += nearest(segment, asked, &score) != by_code;
                for (const bool whole : {true, false}) {  // of 2 groups of 512 cells of one row, the nearest of the nearest
                    std::vector<double> near, far;
                    const Bytes cells = centroids_of(1024, d, query, random, near), groups = centroids_of(2, d, query, random, far);
                    const int64_t bounds[] = {0, 512, 1024};
                    std::vector<int64_t> ends(1025);
                    for (size_t i = 0; i < ends.size(); ++i) ends[i] = static_cast<int64_t>(i);
                    LkSegment parted = segment;
                    parted.cells = cells.as_matrix(), parted.groups = groups.as_matrix(), parted.whole = whole;
                    parted.group_cells = bounds, parted.group_count = 2, parted.cell_rows = ends.data(), parted.rows = 1024;
                    LkQuery brief = asked;
                    brief.scan = 1e-9;
                    const auto group = std::min_element(far.begin(), far.end()) - far.begin();
                    const auto first = near.begin() + 512 * group;
                    wrong += nearest(parted, brief, &score) != std::min_element(first, first + 512) - near.begin();
                }
                segment.codes = nullptr;
                wrong += nearest(segment, asked, &score) != by_square;
                wrong += std::fabs(score - best_square) > 1e-5 * best_square;
                asked.squared = 0;
                wrong += nearest(segment, asked, &score) != by_dot;
                cases += 6;
            }
    std::printf("%d cases, %d wrong\n", cases, wrong);
    return wrong != 0;
}
