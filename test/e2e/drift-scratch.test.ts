import { test } from "vitest";
import { KINDS, leavesOfKind } from "./cases";
import { hasState } from "./drift-stateless";
test("x", () => {
    for (const kind of KINDS) {
        const t = performance.now();
        const of = new Map(leavesOfKind(kind).map((leaf) => [leaf.path, leaf]));
        const stateless = [...of.values()].filter((leaf) => !leavesOfKind(kind).some((l) => l.path === leaf.path && hasState(kind, l)));
        console.log(kind, of.size, stateless.map((l) => l.path), Math.round(performance.now() - t));
    }
});
