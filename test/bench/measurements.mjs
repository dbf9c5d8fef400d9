// @ts-check
// From what paths.sh prints to rows of a table. Pure.

/** @param {readonly number[]} values not empty */
export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? number(sorted[middle]) : (number(sorted[middle - 1]) + number(sorted[middle])) / 2;
}

/** @param {number | undefined} value */
function number(value) {
    if (value === undefined) throw new Error("nothing was measured");
    return value;
}

/**
 * The median of the ratios within each repetition: what disturbs the machine for a while disturbs both.
 *
 * @param {readonly number[]} values @param {readonly number[]} peers as many
 */
export function ratio(values, peers) {
    if (values.length !== peers.length) throw new Error(`${values.length} values and ${peers.length} of the peer`);
    return median(values.map((value, i) => value / number(peers[i])));
}

/**
 * By variant, by metric, the values in the order of the repetitions.
 *
 * @typedef {Map<string, Map<string, number[]>>} Measured
 */

/** Takes in one line of paths.sh, if it is a result. @param {Measured} measured @param {string} line */
export function take(measured, line) {
    const [, variant = "", metric = "", text] = /^= (\S+) (\S+) (\S+)$/.exec(line) ?? [];
    if (text === undefined) return false;
    const value = Number(text);
    if (!Number.isFinite(value)) throw new Error(`not a number: ${line}`);
    const metrics = measured.get(variant) ?? new Map();
    measured.set(variant, metrics.set(metric, [...(metrics.get(metric) ?? []), value]));
    return true;
}

/**
 * What a metric of paths.sh is shown as.
 *
 * @typedef {{ metric: string, name: string, unit: string, scale: number }} Shown
 * @typedef {{ where: string, variant: string, metric: string, unit: string, median: number, min: number, max: number,
 *             values: number[], peer: string, ratio: number | undefined, lost: number | undefined }} Row
 *   `ratio` is that to the peer, undefined where the peer was not measured; `lost` counts packets
 */

/**
 * @param {string} where @param {Measured} measured @param {readonly Shown[]} shown @param {string} peer
 * @returns {Row[]}
 */
export function rowsOf(where, measured, shown, peer) {
    return shown.flatMap(({ metric, name, unit, scale }) => [...measured].flatMap(([variant, metrics]) => {
        const values = (metrics.get(metric) ?? []).map((value) => value * scale);
        const peers = (measured.get(peer)?.get(metric) ?? []).map((value) => value * scale);
        if (values.length === 0) return [];
        return [{
            where, variant, metric: name, unit, median: median(values), min: Math.min(...values), max: Math.max(...values), values,
            peer, ratio: peers.length === values.length ? ratio(values, peers) : undefined,
            lost: metric === "udp" ? (metrics.get("lost") ?? []).reduce((sum, one) => sum + one, 0) : undefined,
        }];
    }));
}
