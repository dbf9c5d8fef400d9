import { afterAll, beforeAll, expect, it } from "vitest";
import { diffDumps } from "../../lab";
import { expectOneScreen } from "../../unit/model/screen";
import { officeInputs, officeProgram, setup, type Setup } from "../office";
import { prebuilt } from "./ko";

/* A kernel that takes only signed modules, as Secure Boot has it. */

const { backend: _, prebuilt: __, ...inputs } = officeInputs as typeof officeInputs & { backend?: string; prebuilt?: object };

let office: Setup;
let bare: string;
beforeAll(async () => {
    office = await setup(officeProgram, { router: { release: process.env.NVI_TEST_ROUTER!, kernelArguments: ["module.sig_enforce=1"] } });
    bare = await office.lab.dump();
});
afterAll(async () => await office?.stop());

it.each<[string, () => object, (string | RegExp)[]]>([
    ["that nobody signed", () => ({ backend: "module", prebuilt: { [prebuilt().release]: prebuilt().file } }), [/modprobe: .*(?:Key was rejected|Required key not available)/]],
    ["that would be built there", () => ({ backend: "module" }), [/takes only modules with a signature that it knows/, /backend "rules"/]],
])("refuses a module %s, in words", async (name, more, says) => {
    office.stack.write({ "index.js": officeProgram(office.lab, { ...inputs, ...more() }) });
    const { code, all } = await office.stack.up([], { allowFailure: true });
    expect(code).not.toBe(0);
    expectOneScreen(`a module ${name}`, all, ["edge", ...says]);
    expect(diffDumps(bare, await office.lab.dump()).filter((line) => !/ \/run\/nvi\b/.test(line))).toEqual([]);
});

it("auto takes the rules, and says why", async () => {
    office.stack.write({ "index.js": officeProgram(office.lab, { ...inputs, backend: "auto" }) });
    expect((await office.stack.up()).all).toMatch(/backend rules, because of the router: its kernel takes only modules with a signature that it knows/);
    await office.stack.destroy();
});
