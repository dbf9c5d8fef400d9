import { expect, test } from "vitest";
import { CASES } from "./cases";
import { desiredOf } from "./drift-core";
import { rounds, tampersOf, unseen } from "./drift-tampers";
import { renderedOf } from "../../provider/reconcile/engine";
test("x", () => {
    const seen = new Set<string>();
    for (const [i, one] of CASES.entries()) {
        const desired = desiredOf(one.kind, one.inputs);
        const all = tampersOf(desired); const tampers = unseen(all, one.kind, seen);
        const keys = new Set(tampers.flatMap((t) => t.names));
        console.log(i, one.kind, "entries", Object.keys(renderedOf(desired)).length, "tampers", tampers.length, "rounds", rounds(tampers).length, Object.keys(renderedOf(desired)).filter((k) => !keys.has(k)));
    }
});
