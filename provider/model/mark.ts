import { hash32 } from "./names";

/*
 * The packet mark on its way through the NVI. Stage 1's rules may use all of it for themselves; at the very
 * end of POSTROUTING it is overwritten:
 *
 *   bits 0-15   the ingress NIC, by a number made of its name: stable when NICs are added or removed,
 *               and the same for every resource without their having to talk to each other
 *   bit 16      the packet has been through the NAT stage. Without it stage 2 answers "unreachable", so
 *               that nothing leaves untranslated when the NAT stage's table is gone
 */
export const NIC_MASK = 0xffff;
export const TRANSLATED = 0x10000;

/** The mark of an ingress NIC, 1 to 65535. */
export function nicMark(name: string): number {
    return (hash32(name) % NIC_MASK) + 1;
}

/** Pairs of names whose marks collide. */
export function markCollisions(names: readonly string[]): [string, string][] {
    const seen = new Map<number, string>();
    const collisions: [string, string][] = [];
    for (const name of new Set(names)) {
        const other = seen.get(nicMark(name));
        if (other !== undefined) collisions.push([other, name]);
        seen.set(nicMark(name), name);
    }
    return collisions;
}

export const hex = (value: number): string => `0x${value.toString(16)}`;
