/** Random numbers that are the same in every run (mulberry32): a failure can be repeated. */
export function random(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
        state = (state + 0x6d2b79f5) >>> 0;
        let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
    const below = (limit: number): number => Math.floor(next() * limit);
    return {
        below,
        shuffle: <T>(items: readonly T[]): T[] => items.map((item) => [next(), item] as const).sort(([a], [b]) => a - b).map(([, item]) => item),
        pick: <T>(items: readonly T[]): T => items[below(items.length)]!,
        /** Of so many bits; often with long runs of zeros and ones, where formats have their corners. */
        bits(count: number): bigint {
            let value = 0n;
            for (let left = count; left > 0; left -= 16) value = (value << 16n) | BigInt([0, 0, 0xffff, below(0x10000), below(0x100)][below(5)]!);
            return value & ((1n << BigInt(count)) - 1n);
        },
    };
}
