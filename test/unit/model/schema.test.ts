import { describe, expect, it } from "vitest";
import { z } from "zod";
import { formatPath } from "../../../provider/model/fault";
import { address, checkAgainst, choice, flag, integer, list, oneOrMore, prefix, service, text } from "../../../provider/model/schema";
import { UNKNOWN } from "../../../provider/model/unknown";

const target = z.union([
    z.strictObject({ uplinks: list(text(), 1), spread: choice(["connection", "source"]).default("connection") }),
    z.strictObject({ pool: prefix(), uplink: text() }),
]);
const schema = z.strictObject({
    one: oneOrMore(prefix()).optional(),
    table: z.union([integer(1, 9), z.literal("main")]).optional(),
    to: target.optional(),
    hops: z.union([z.strictObject({ via: address() }), list(z.strictObject({ via: address() }), 1)]).optional(),
    port: service().optional(),
    quiet: flag().default(false),
});

const faults = (inputs: unknown): string[] => checkAgainst(schema, inputs).faults.map(({ path, reason }) => `${formatPath(path)} ${reason}`);

describe("a fault in a union", () => {
    it.each<[string, unknown, string[]]>([
        ["is at the only branch of the type", { one: "10.0.0.1/8" }, ["one has bits set beyond the prefix length; the prefix is 10.0.0.0/8"]],
        ["is at the item of a list", { one: ["10.0.0.0/8", "x", "::/129"] }, ["one[1] is not an IPv4 or IPv6 prefix", "one[2] has a prefix length that is not between 0 and 128"]],
        ["is of the list itself", { one: [] }, ["one is empty"]],
        ["names all types where none fits", { one: 7, table: true, to: "isp1", hops: 1 }, [
            "one is neither a string nor a list", 'table is neither a number nor "main"', "to is not an object", "hops is neither an object nor a list",
        ]],
        ["is of the number, where it is one", { table: 10 }, ["table is not a whole number from 1 to 9"]],
        ["is of a word, where it is none of them", { table: "local" }, ['table is neither a number nor "main"']],
        ["follows the branch that got furthest", { to: { uplinks: ["isp1"], spread: "random" } }, ['to.spread is none of "connection", "source"']],
        ["knows a property of another branch", { to: { uplinks: ["isp1"], pool: "10.0.0.0/8" } }, ["to.pool is no property here"]],
        ["is missing what the nearest branch needs", { to: { pool: "10.0.0.0/8" } }, ["to.uplink is required"]],
        ["is beside what else is wrong in that branch", { to: { pool: "10.0.0.1/8" } }, ["to.pool has bits set beyond the prefix length; the prefix is 10.0.0.0/8", "to.uplink is required"]],
        ["goes down into lists of objects", { hops: [{ via: "1.2.3.4" }, { via: "1.2.3" }, {}] }, ["hops[1].via is not an IPv4 or IPv6 address", "hops[2].via is required"]],
        ["goes down into objects", { hops: { via: 7, dev: "x" } }, ["hops.via is not a string", "hops.dev is no property here"]],
    ])("%s", (_, inputs, expected) => expect(faults(inputs)).toEqual(expected));
});

describe("checkAgainst", () => {
    it("fills defaults in for what was left out, not for what is unknown", () => {
        expect(checkAgainst(schema, { port: "tcp/80" })).toEqual({ faults: [], known: { port: "tcp/80", quiet: false }, value: { port: "tcp/80", quiet: false } });
        expect(checkAgainst(schema, { port: UNKNOWN })).toStrictEqual({ faults: [], known: { port: undefined, quiet: false } });
        expect(checkAgainst(schema, { port: "tcp/0", quiet: UNKNOWN })).toStrictEqual({ faults: [expect.anything()], known: { port: undefined, quiet: undefined } });
    });

    it("keeps what is sound for further checks, beside what is not", () => {
        const { known, faults: found } = checkAgainst(schema, { one: ["10.0.0.0/8", "x"], port: "tcp/80", quiet: UNKNOWN });
        expect(known).toEqual({ one: ["10.0.0.0/8", undefined], port: "tcp/80", quiet: undefined });
        expect(found).toHaveLength(1);
    });

    it("takes an unknown for any branch of a union, and for what tells the branches apart", () => {
        for (const to of [UNKNOWN, { pool: UNKNOWN, uplink: "isp1" }, { pool: "10.0.0.0/8", uplink: UNKNOWN }, { uplinks: UNKNOWN }, { uplinks: [UNKNOWN, "isp1"] }]) expect(faults({ to }), JSON.stringify(to)).toEqual([]);
        expect(faults({ to: { pool: "10.0.0.1/8", uplink: UNKNOWN } })).toEqual(["to.pool has bits set beyond the prefix length; the prefix is 10.0.0.0/8"]);
    });

    it("says what the inputs themselves should be", () => {
        for (const inputs of [undefined, null, "x", 7, []]) expect(faults(inputs)).toEqual([inputs === undefined ? " is required" : " is not an object"]);
        expect(faults(UNKNOWN)).toEqual([]);
    });
});
