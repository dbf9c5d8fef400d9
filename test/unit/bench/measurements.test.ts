import { describe, expect, it } from "vitest";
import { median, ratio, rowsOf, take, type Measured } from "../../bench/measurements.mjs";
import { print } from "../../bench/report.mjs";

const of = (lines: string[]): Measured => {
    const measured: Measured = new Map();
    for (const line of lines) take(measured, line);
    return measured;
};

describe("median", () => {
    it.each<[number[], number]>([[[3], 3], [[9, 1, 5], 5], [[4, 1, 3, 2], 2.5], [[10, 9, 100], 10]])("of %j", (values, wanted) => {
        expect(median(values)).toBe(wanted);
    });

    it("of nothing is refused", () => expect(() => median([])).toThrow("nothing was measured"));
});

describe("ratio", () => {
    it("is that of the same repetition, so a slow minute is no difference", () => {
        expect(ratio([10, 40, 10], [20, 80, 20])).toBe(0.5);
    });

    it("of repetitions that have no peer is refused", () => expect(() => ratio([1, 2], [1])).toThrow("2 values and 1"));
});

describe("what paths.sh prints", () => {
    it("is a result or something else", () => {
        const measured: Measured = new Map();
        expect(["nat: proven", "= nat udp 12.5", "=", "= nat tcp 3e9"].map((line) => take(measured, line))).toEqual([false, true, false, true]);
        expect(measured.get("nat")).toEqual(new Map([["udp", [12.5]], ["tcp", [3e9]]]));
    });

    it("that is no number is refused", () => expect(() => of(["= nat udp oops"])).toThrow("not a number: = nat udp oops"));

    it("becomes rows with median, spread, ratio and loss", () => {
        const measured = of(["nat 5", "rules 20", "nat 7", "rules 14", "nat 6", "rules 12"].map((text) => `= ${text.replace(" ", " udp ")}`));
        take(measured, "= rules lost 0");
        take(measured, "= rules lost 3");
        const [nat, rules] = rowsOf("host", measured, [{ metric: "udp", name: "64-byte packet", unit: "ns", scale: 10 }], "nat");
        expect(nat).toMatchObject({ variant: "nat", median: 60, min: 50, max: 70, ratio: 1, lost: 0 });
        expect(rules).toMatchObject({ variant: "rules", median: 140, min: 120, max: 200, ratio: 2, lost: 3 });
    });

    it("has no ratio where the peer was not measured", () => {
        expect(rowsOf("host", of(["= rules udp 20"]), [{ metric: "udp", name: "64-byte packet", unit: "ns", scale: 1 }], "nat")[0]!.ratio).toBeUndefined();
    });
});

describe("the report", () => {
    const shown = [{ metric: "tcp", name: "TCP bulk", unit: "Gbit/s", scale: 1 }, { metric: "udp", name: "64-byte packet", unit: "instructions", scale: 1 }];
    const report = (module: string[]): string => print({
        machine: { kernel: "6.1.0", cpus: 2, processor: "one", load: 0.5 }, effort: { quick: true, repetitions: 1 },
        rows: rowsOf("emulated", of(["= nat tcp 10", "= nat udp 100", "= rules udp 200", ...module]), shown, "nat"),
    });

    it.each<[string, string[], string[]]>([
        ["reached", ["= module tcp 9.5", "= module udp 199"], ["0.950, wanted at least 0.95: reached", "0.995, wanted below 1: reached"]],
        ["missed", ["= module tcp 9.4", "= module udp 200"], ["0.940, wanted at least 0.95: MISSED", "1.000, wanted below 1: MISSED"]],
        ["without the module, nothing", [], []],
    ])("says what became of the targets: %s", (_, module, wanted) => {
        expect(report(module).split("\n").flatMap((line) => /: (\S+, wanted .*)/.exec(line)?.[1] ?? [])).toEqual(wanted);
    });
});
