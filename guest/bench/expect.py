#!/usr/bin/env python3
"""Computes, apart from the C code, the values that the tables in compute.c, floating.c and events.c expect."""
import struct
import zlib
from fractions import Fraction

MASK = (1 << 64) - 1


def xorshift(seed, count):
    x = seed
    for _ in range(count):
        x ^= x << 13 & MASK
        x ^= x >> 7
        x ^= x << 17 & MASK
        yield x


def polynomial(values, base):
    h = 0
    for v in values:
        h = (h * base + v) & MASK
    return h


def alu():
    x = 0x0123456789ABCDEF
    for i in range(1 << 20):
        x = (x * 6364136223846793005 + i) & MASK
        x ^= x >> 29
        x = (x + ((x << 17 | x >> 47) & MASK) - (i << 3)) & MASK
        x ^= x << 7 & MASK
    return x


def sieve(size=8 << 20):
    prime = bytearray([1]) * size
    prime[0] = prime[1] = 0
    for i in range(2, int(size ** 0.5) + 1):
        if prime[i]:
            prime[i * i::i] = bytes(len(range(i * i, size, i)))
    return sum(prime)


def fib(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def matmul(n=256):
    values = [x >> 32 for x in xorshift(6, 2 * n * n)]
    rows = [values[i * n:(i + 1) * n] for i in range(n)]
    columns = list(zip(*[values[(n + i) * n:(n + i + 1) * n] for i in range(n)]))
    return polynomial((sum(x * y for x, y in zip(r, c)) & 0xFFFFFFFF for r in rows for c in columns), 31)


def collatz(limit=10000):
    steps = 0
    for v in range(1, limit):
        while v > 1:
            v = 3 * v + 1 if v & 1 else v // 2
            steps += 1
    return steps


def blend(size=1 << 20):
    data = b"".join(x.to_bytes(8, "little") for x in xorshift(9, 2 * size // 8))
    difference, hash = 0, [0] * 4
    for i in range(0, size, 16):
        a, b = data[i:i + 16], data[size + i:size + i + 16]
        r = [x * 77 + y * 179 >> 8 for x, y in zip(a, b)]
        difference += sum(abs(x - y) for x, y in zip(r, a))
        words = [int.from_bytes(bytes(r[4 * j:4 * j + 4]), "little") for j in range(4)]
        mixed = [h ^ w for h, w in zip(hash, words)]
        hash = [mixed[(j + 1) % 4] + words[j] & 0xFFFFFFFF for j in range(4)]
    return difference + (hash[1] << 32 | hash[0]) + (hash[3] << 32 | hash[2]) & MASK


def floating():
    a, b = [1 + i / 4096 for i in range(4096)], [2 - i / 8192 for i in range(4096)]

    def recurrence(pairs):
        total = 0.0
        for _ in range(256):
            for x, y in pairs:
                total = total * 0.75 + x * y
            total = total / 3
        return struct.unpack("<Q", struct.pack("<d", total))[0]

    pairs = list(zip(a, b))
    exact = 256 * (sum(Fraction(x) * Fraction(y) for x, y in pairs) - 4096)
    return {
        "scalar": recurrence(pairs),
        "packed": (recurrence(pairs[::2]) ^ recurrence(pairs[1::2]) << 1) & (1 << 64) - 1,
        "x87": struct.unpack("<Q", struct.pack("<d", float(exact)))[0],
    }


def main():
    copied = list(xorshift(7, 2))[1]
    window = [sum(p * p for p in range(1, 65)), sum(range(1, 65))]
    for name, value in {
        "alu": alu(),
        "sieve": sieve(),
        "crc": zlib.crc32(bytes(x & 255 for x in xorshift(1, 1 << 20))),
        "fib": fib(27),
        "sort": polynomial(sorted(x >> 32 for x in xorshift(5, 1 << 20)), 31),
        "matmul": matmul(),
        "copy": copied,
        "copy32": copied,
        "interp": collatz(),
        "blend": blend(),
        **floating(),
        "patch": polynomial((1 + (i & 1) for i in range(1000)), 3),
        "cr3": polynomial((window[i & 1] for i in range(1000)), 3),
        "port": sum(i & 255 for i in range(10000)),
    }.items():
        print(f"{name:10} {value:#x} {value}")


if __name__ == "__main__":
    main()
