import { afterAll, beforeAll, expect, it } from "vitest";
import { diffDumps, Lab } from "../lab";
import { withoutHousekeeping } from "./drift-core";
import { assorted, tampersOf, type Tamper } from "./drift-tampers";
import { bothProgram, desiredFrom } from "./lifecycle-pieces";
import { stack, type Resource, type Stack } from "./pulumi";

/*
 * With the real engine: the office of single resources on one router, and as one resource on another. Of everything that
 * can be done to a resource, as many sorts at once as don't hide each other.
 */
let labs: [Lab, Lab];
let dev: Stack;
beforeAll(async () => {
    labs = [await Lab.start(), await Lab.start()];
    dev = await stack({ files: { "index.js": bothProgram(labs) } });
});
afterAll(async () => {
    dev?.close();
    await Promise.all(labs.map(async (lab) => await lab.stop()));
});

function tampersFor({ inputs = {}, type }: Resource): Tamper[] {
    return assorted(tampersOf(desiredFrom(type, inputs)));
}

/** The entries that a diff marks, by resource: `~ sysctl ipv4/ip_forward : "1" => "0"`. */
function changedEntries(diff: string): Map<string, string[]> {
    const entries = new Map<string, string[]>();
    let urn = "";
    for (const line of diff.split("\n")) {
        urn = /^\s*\[urn=(.*)\]$/.exec(line)?.[1] ?? urn;
        const [, entry] = /^\s*[~+-] (\S.*?) *: "/.exec(line) ?? [];
        if (entry) entries.set(urn, [...(entries.get(urn) ?? []), entry]);
    }
    return entries;
}

it("refresh names what was done to every resource by hand, up repairs it, and then nothing is left to do", async () => {
    await dev.up();
    const before = await Promise.all(labs.map(async (lab) => await lab.dump()));
    const resources = (await dev.resources()).filter(({ type }) => !type.endsWith(":Router"));
    const tampers = resources.map(tampersFor);
    expect(tampers.map((list) => list.length)).not.toContain(0);
    for (const [i, resource] of resources.entries()) {
        const lab = resource.id?.startsWith("whole/") ? labs[1] : labs[0];
        await lab.router.sh(`set -e; ${tampers[i]!.map(({ script }) => script).join("\n")}`);
    }

    const shown = changedEntries((await dev.refresh(["--diff"])).all);
    for (const [i, { urn }] of resources.entries()) expect(shown.get(urn)?.sort(), urn).toEqual(tampers[i]!.flatMap(({ names }) => names).sort());
    await dev.up();
    await dev.preview(["--refresh", "--expect-no-changes", "--diff"]);
    const after = await Promise.all(labs.map(async (lab) => await lab.dump()));
    const left = withoutHousekeeping(after.flatMap((dump, i) => diffDumps(before[i]!, dump)));
    expect(left.filter((line) => !/^~ rules v[46]: the same lines in another order$/.test(line))).toEqual([]);
    await dev.destroy();
});
