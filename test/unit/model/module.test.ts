import { describe, expect, it } from "vitest";
import { bestBackend, MODULE_VERSION, unable, type Ground } from "../../../provider/model/module";

const ready: Ground = { loadable: true, signed: false, key: false, tools: ["dkms", "make", "gcc"], headers: true, apt: true };
const bare: Ground = { ...ready, tools: ["gcc"], headers: false };
const RELEASE = "6.1.0-56-amd64";

describe("the module", () => {
    it.each<[string, Ground, Parameters<typeof unable>[0], string, RegExp | undefined]>([
        ["can be built", ready, { install: false }, RELEASE, undefined],
        ["lacks what building needs", bare, { install: false }, RELEASE, /dkms, make, the headers of kernel 6\.1\.0-56-amd64/],
        ["gets what building needs", bare, { install: true }, RELEASE, undefined],
        ["gets nothing where there is no apt", { ...bare, apt: false }, { install: true }, RELEASE, /lacks/],
        ["comes built", bare, { install: false, prebuilt: { [RELEASE]: "nvi.ko" } }, RELEASE, undefined],
        ["comes built for another kernel", ready, { install: true, prebuilt: { "5.10.0-1": "nvi.ko" } }, RELEASE, /no prebuilt module is given for its kernel 6\.1\.0-56-amd64; there are: 5\.10\.0-1/],
        ["has too old a kernel", ready, { install: true }, "5.9.16", /needs Linux 5\.10 or later/],
        ["has the oldest kernel that will do", ready, { install: true }, "5.10.0-39-amd64", undefined],
        ["has a kernel without modules", { ...ready, loadable: false }, { install: true }, RELEASE, /loads no modules/],
        ["has a kernel that wants signatures", { ...ready, signed: true }, { install: true }, RELEASE, /signature/],
        ["has a key of DKMS that its kernel knows", { ...ready, signed: true, key: true }, { install: true }, RELEASE, undefined],
        ["comes built, for a kernel that wants signatures", { ...ready, signed: true }, { install: false, prebuilt: { [RELEASE]: "nvi.ko" } }, RELEASE, undefined],
    ])("%s", (_, ground, ways, release, reason) => {
        const found = unable(ways, release, ground);
        if (reason) expect(found).toMatch(reason);
        else expect(found).toBeUndefined();
        expect(bestBackend(ways, release, ground)).toEqual(reason ? { backend: "rules", reason: found } : { backend: "module", reason: `its kernel ${release} can load the module` });
    });

    it("has it already, though it could not be built there once more", () => {
        const bare: Ground = { ...ready, tools: [], headers: false };
        expect(bestBackend({ install: false }, RELEASE, { ...bare, present: MODULE_VERSION })).toEqual({ backend: "module", reason: `its kernel ${RELEASE} has the module` });
        expect(bestBackend({ install: false }, RELEASE, { ...bare, present: "0.0.1" }).backend).toBe("rules");
    });
});
