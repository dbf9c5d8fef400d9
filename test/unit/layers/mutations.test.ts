import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(__dirname, "../../..");
const folder = join(root, "test", "mutations");

interface Mutation { name: string; file: string; find: string; replace: string; test: string }

/* `npm run mutations` takes hours; that none of its breaks has lost its place is seen at once. */
describe.each(readdirSync(folder).filter((name) => name.endsWith(".json")))("the breaks of %s", (file) => {
    const mutations = JSON.parse(readFileSync(join(folder, file), "utf8")) as Mutation[];

    it.each(mutations.map((one) => [one.name, one] as const))("%s", (_, { file: broken, find, replace, test }) => {
        expect(readFileSync(join(root, broken), "utf8").split(find).length - 1, `places of its text in ${broken}`).toBe(1);
        expect(replace).not.toBe(find);
        expect(readdirSync(join(root, test, "..")), test).toContain(test.split("/").at(-1));
    });
});
