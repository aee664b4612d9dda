// The kernel's data: mirrored by the ctypes structures in ../kernel.py.
#pragma once

#include <cstddef>
#include <cstdint>

#define LK_EXPORT __attribute__((visibility("default")))

// No row is so high.
#define LK_NO_LINK 0xFFFFFFFFu
#define LK_COPY 0xFFFFFFFEu
// Raise it with every change of this file; kernel.py has it as INTERFACE.
#define LK_INTERFACE 2

struct LkSegment {
    const void *vectors;         // rows x dimension, float16 or float32
    const uint8_t *codes;        // rows x stride; null: search exactly
    const void *centroids;       // cells x stride, coded as the rows are; or cells x dimension, float16
    const uint16_t *projection;  // reduced x dimension, float16
    const float *bias;           // reduced: the projection of the mean
    const int64_t *cell_rows;    // cells + 1: rows cell_rows[c] .. cell_rows[c + 1] are in cell c
    const uint32_t *entries;     // cells: the row nearest to the centroid
    const uint32_t *links;       // rows x degree, after the last LK_NO_LINK; null: scan cells
    const uint64_t *allowed;     // a bit a row; null: every row
    int64_t filtered;            // how many rows a filter allows; -1: `allowed` comes from deletions alone
    int64_t rows;
    int64_t stride;
    int32_t reduced, degree, cells;
    float scale, zero;
    uint8_t half;      // vectors are float16
    uint8_t nibbles;   // codes are 4-bit
    uint8_t whole;     // centroids are whole vectors
    uint8_t copies;    // rows whose first link is LK_COPY hold the vector of the row before and are no nodes
};

struct LkQuery {
    const float *vector;
    uint64_t k, ef, rerank;
    double scan;  // times the root of the rows, at least 256: how many codes are compared where cells are scanned
    int32_t dimension;
    uint8_t squared;  // squared Euclidean distance; else the dot product of unit vectors, the cosine
};
