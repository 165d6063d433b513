/* SHA-256, as FIPS 180-4 defines it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t length;   /* bytes so far */
    uint8_t block[64]; /* the last `length % 64` of them */
};

void sha256_start(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const uint8_t *data, size_t length);

/* Writes the hash as 64 hexadecimal digits and a NUL. */
void sha256_finish(struct sha256 *hash, char hex[65]);
