// @ts-check
import { table } from "../tools/table.mjs";
import { ratio } from "./measurements.mjs";

/** @typedef {import("./measurements.mjs").Row} Row */

/** @type {Record<string, string>} */
const TITLES = {
    direct: "no router",
    forward: "plain forwarding",
    nat: "one-stage NAT",
    double: "two NAT routers",
    rules: "two stages, rules",
    module: "two stages, module",
};

/** What the module is for: the ratio to a peer, and how it should be. */
const TARGETS = [
    { variant: "module", peer: "nat", metric: "TCP bulk", wanted: "at least 0.95", reached: (/** @type {number} */ found) => found >= 0.95 },
    { variant: "module", peer: "rules", metric: "64-byte packet", wanted: "below 1", reached: (/** @type {number} */ found) => found < 1 },
];

/**
 * @typedef {{ kernel: string, cpus: number, processor: string, load: number, qemu?: string, emulatedKernel?: string }} Machine
 *   `load` is the average of the minute before
 * @param {{ machine: Machine, effort: { quick: boolean, repetitions: number }, rows: readonly Row[] }} report
 */
export function print({ machine, effort, rows }) {
    const cells = rows.map((row) => [row.where, row.metric, title(row.variant), shown(row.median), `${shown(row.min)} to ${shown(row.max)}`, row.unit, row.ratio?.toFixed(3) ?? "", lost(row)]);
    const peer = rows[0] ? title(rows[0].peer) : "";
    return [
        "",
        `  Linux ${machine.kernel}, ${machine.cpus} processors (${machine.processor}), load ${machine.load.toFixed(1)} before`,
        ...(machine.qemu ? [`  emulated: ${machine.qemu}, Linux ${machine.emulatedKernel}, one processor, an instruction a nanosecond`] : []),
        `  ${effort.repetitions} repetitions${effort.quick ? ", quick" : ""}; ratios are medians of those within each repetition`,
        "",
        table(["where", "what", "path", "median", "min to max", "unit", `to ${peer}`, "lost"], cells),
        "",
        ...targets(rows),
    ].join("\n");
}

/** @param {string} variant */
const title = (variant) => TITLES[variant] ?? variant;

/** Four digits, more where there are more before the point. @param {number} value */
const shown = (value) => (value >= 1000 ? value.toFixed(0) : value.toPrecision(4));

/** @param {Row} row */
const lost = ({ lost }) => (lost === undefined ? "" : `${lost}`);

/** @param {readonly Row[]} rows */
function targets(rows) {
    return TARGETS.flatMap(({ variant, peer, metric, wanted, reached }) => {
        const of = (/** @type {string} */ name) => rows.find((row) => row.variant === name && row.metric === metric && row.where === "emulated");
        const [own, other] = [of(variant), of(peer)];
        if (!own || !other) return [];
        const found = ratio(own.values, other.values);
        return [`  ${metric}, ${title(variant)} to ${title(peer)}: ${found.toFixed(3)}, wanted ${wanted}: ${reached(found) ? "reached" : "MISSED"}`];
    });
}
