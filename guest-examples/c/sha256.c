/* SHA-256, as FIPS 180-4 defines it; the names are those of its section 6.2. */
#include "sha256.h"

#include <stdio.h>
#include <string.h>

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* Round t + i. W[i] has its word, and is then made that of the round sixteen later. */
#define ROUND(a, b, c, d, e, f, g, h, i) \
    do { \
        uint32_t T1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + K[t + (i)] + W[i]; \
        d += T1; \
        h = T1 + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c)); \
        uint32_t x = W[((i) + 1) % 16], y = W[((i) + 14) % 16]; \
        W[i] += (rotr(x, 7) ^ rotr(x, 18) ^ x >> 3) + W[((i) + 9) % 16] + (rotr(y, 17) ^ rotr(y, 19) ^ y >> 10); \
    } while (0)

/* The variables change places instead of values. After eight rounds they are where they were. */
#define EIGHT_ROUNDS(i) \
    ROUND(a, b, c, d, e, f, g, h, i + 0); \
    ROUND(h, a, b, c, d, e, f, g, i + 1); \
    ROUND(g, h, a, b, c, d, e, f, i + 2); \
    ROUND(f, g, h, a, b, c, d, e, i + 3); \
    ROUND(e, f, g, h, a, b, c, d, i + 4); \
    ROUND(d, e, f, g, h, a, b, c, i + 5); \
    ROUND(c, d, e, f, g, h, a, b, i + 6); \
    ROUND(b, c, d, e, f, g, h, a, i + 7)

static void add_block(uint32_t state[8], const uint8_t block[64]) {
    uint32_t W[16];
    for (int t = 0; t < 16; t++) {
        const uint8_t *b = block + 4 * t;
        W[t] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t += 16) {
        EIGHT_ROUNDS(0);
        EIGHT_ROUNDS(8);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void sha256_start(struct sha256 *hash) {
    *hash = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(struct sha256 *hash, const uint8_t *data, size_t length) {
    size_t held = hash->length % 64;
    hash->length += length;
    if (held + length < 64) {
        memcpy(hash->block + held, data, length);
        return;
    }
    if (held) {
        memcpy(hash->block + held, data, 64 - held);
        add_block(hash->state, hash->block);
        data += 64 - held, length -= 64 - held;
    }
    for (; length >= 64; data += 64, length -= 64) add_block(hash->state, data);
    memcpy(hash->block, data, length);
}

void sha256_finish(struct sha256 *hash, char hex[65]) {
    uint64_t bits = hash->length * 8;
    uint8_t end[72] = {0x80}; /* a one bit, zeros up to 56 bytes of a block, and the length in bits */
    size_t zeros = (119 - hash->length % 64) % 64;
    for (int i = 0; i < 8; i++) end[1 + zeros + i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(hash, end, 1 + zeros + 8);
    for (int i = 0; i < 8; i++) sprintf(hex + 8 * i, "%08x", (unsigned)hash->state[i]);
}
