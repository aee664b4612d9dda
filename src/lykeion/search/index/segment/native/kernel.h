// The kernel's data: mirrored by the ctypes structures in ../kernel.py.
#pragma once

#include <cstddef>
#include <cstdint>

#define LK_EXPORT __attribute__((visibility("default")))

// No row is so high.
#define LK_NO_LINK 0xFFFFFFFFu
#define LK_COPY 0xFFFFFFFEu
#define LK_TOGETHER 16
// Raise it with every change of this file; kernel.py has it as INTERFACE.
#define LK_INTERFACE 4

// Rows of signed bytes, each at its own scale, both filled up: to a multiple of LK_TOGETHER rows, of 64 columns.
// LK_TOGETHER rows lie together, 64 bytes of each in turn.
struct LkMatrix {
    const int8_t *bytes;
    const float *terms;  // 3 x rows: the row's scale, the sum of its true coefficients, its bias
    int64_t rows;
};

struct LkSegment {
    const void *vectors;         // rows x dimension, float16 or float32
    const uint8_t *codes;        // rows x stride; null: search exactly
    LkMatrix projection;         // reduced x dimension
    LkMatrix cells, groups;      // of each centroid c the row -c with the bias -|c|^2 / 2, so that the product with a query,
                                 // less the bias, is least for the nearest; a row that fills up has the bias -infinity
    const int64_t *group_cells;  // groups + 1: cells group_cells[g] .. group_cells[g + 1], a multiple of LK_TOGETHER, are in
                                 // group g
    const int64_t *cell_rows;    // cells + 1: rows cell_rows[c] .. cell_rows[c + 1] are in cell c
    const uint32_t *entries;     // cells: the row nearest to the centroid
    const uint32_t *links;       // rows x degree, after the last LK_NO_LINK; null: scan cells
    const int64_t *id_ends;      // rows + 1: the id of row r is ids[id_ends[r]] up to ids[id_ends[r + 1]]; null: not here
    const char *ids;
    const uint64_t *allowed;     // a bit a row; null: every row
    int64_t filtered;            // how many rows a filter allows; -1: `allowed` comes from deletions alone
    int64_t rows;
    int64_t stride;
    int64_t ids_size;
    int32_t reduced, degree, group_count;
    float scale, zero;
    uint8_t half;      // vectors are float16
    uint8_t nibbles;   // codes are 4-bit
    uint8_t whole;     // centroids are whole vectors, not projected ones
    uint8_t copies;    // rows whose first link is LK_COPY hold the vector of the row before and are no nodes
};

struct LkQuery {
    const float *vector;
    uint64_t k, ef, rerank;
    double scan;  // times the root of the rows, at least 256: how many codes are compared where cells are scanned
    // Answers, best first, at most k; and their ids, each followed by a zero byte.
    int32_t *out_segments;
    uint32_t *out_rows;
    float *out_scores;
    char *out_ids;
    int64_t room;     // of out_ids
    int64_t written;  // to out_ids; -1 where the ids were not written: too long, not here, or one has a zero byte
    int32_t dimension;
    uint8_t squared;  // squared Euclidean distance; else the dot product of unit vectors, the cosine
};
