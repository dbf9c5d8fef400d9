import { expect, test } from "vitest";
import { CASES, KINDS, coverage, leavesOfKind } from "./cases";
import { named } from "./drift-walk";
test("x", () => {
    for (const kind of KINDS) {
        const all = leavesOfKind(kind).map(named);
        const of = CASES.filter((c) => c.kind === kind);
        console.log(kind, all.length, of.length, of.map((c) => JSON.stringify(c.inputs)).join("\n"));
        const covered = new Set(of.flatMap((c) => [...coverage(kind, c.inputs)]));
        expect(all.filter((one) => !covered.has(one))).toEqual([]);
        console.log("extra", [...covered].filter((one) => !all.includes(one)));
    }
});
