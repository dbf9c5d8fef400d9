import { afterAll, beforeAll, expect, it } from "vitest";
import { diffDumps, probe } from "../../lab";
import { MODULE_VERSION } from "../../../provider/model/module";
import { expectOneScreen } from "../../unit/model/screen";
import { officeInputs, officeProgram, setup, type Setup } from "../office";
import { families, unspoofed } from "../traffic";

/*
 * What building the module needs comes by the router's own apt, from a repository on its disk, since there is no way from
 * here to Debian's. Its packages are the router's own: dkms packed once more, and the one that brings the headers of the
 * kernels to come, as a version that only an installation of it brings.
 */

const { prebuilt: _, ...inputs } = { ...officeInputs, backend: "module", installPackages: true } as typeof officeInputs & { prebuilt?: object };
const REPOSITORY = "/srv/packages";
const LATER = "99";

let office: Setup;
beforeAll(async () => {
    office = await setup((lab) => officeProgram(lab, inputs));
    // Its manual is not on the router.
    await onRouter('dpkg -L dkms | while read -r path; do [ ! -e "$path" ] || echo "$path"; done >/root/dkms && tar -cf /root/dkms.tar --no-recursion -T /root/dkms');
    await onRouter("dpkg --purge --force-depends dkms && ! command -v dkms");
    await onRouter(`rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* && echo "deb [trusted=yes] file:${REPOSITORY} ./" >/etc/apt/sources.list.d/here.list`);
});
afterAll(async () => await office?.stop());

const onRouter = async (script: string): Promise<string> => (await office.lab.router.sh(script)).stdout.trim();
const isOfPackages = (line: string): boolean => / \/var\/(?:lib|cache|log)\/(?:apt|dpkg)\b| \/var\/log\//.test(line);

/** A package of the files that are in FOLDER now. */
const pack = (name: string, folder: string): string => `mkdir -p ${folder}/DEBIAN ${REPOSITORY}
printf 'Package: ${name}\\nVersion: ${LATER}\\nArchitecture: all\\nMaintainer: nobody <nobody@example.org>\\nDescription: of a test\\n' >${folder}/DEBIAN/control
dpkg-deb --build ${folder} ${REPOSITORY}/${name}.deb >/dev/null
{ dpkg-deb -f ${REPOSITORY}/${name}.deb; echo "Filename: ./${name}.deb"; echo "Size: $(stat -c %s ${REPOSITORY}/${name}.deb)"; echo "SHA256: $(sha256sum ${REPOSITORY}/${name}.deb | cut -d ' ' -f 1)"; echo; } >>${REPOSITORY}/Packages
`;

it("says what apt says where it can't, and the router is as it was", async () => {
    const before = await office.lab.dump();
    const { code, all } = await office.stack.up([], { allowFailure: true });
    expect(code).not.toBe(0);
    expectOneScreen("no such package", all, ["edge", /E: .*(?:has no installation candidate|Unable to locate package).*dkms|E: .*dkms.* (?:has no installation candidate|is not available)|E: Unable to locate package dkms/]);
    expect(diffDumps(before, await office.lab.dump()).filter((line) => !/ \/run\/nvi\b/.test(line) && !isOfPackages(line))).toEqual([]);
});

it("installs what is missing, though its lists are old, and the headers of the kernels to come", async () => {
    await onRouter(`mkdir /root/packed && tar -xf /root/dkms.tar -C /root/packed\n${pack("dkms", "/root/packed")}`);
    await onRouter(pack("linux-headers-amd64", "/root/headers"));
    await office.stack.up([], { timeoutMs: 1_500_000 });
    expect(await onRouter("dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n' dkms linux-headers-amd64")).toBe(`dkms ${LATER} installed\nlinux-headers-amd64 ${LATER} installed`);
    expect(await onRouter("dkms status")).toMatch(new RegExp(`^nvi.*${MODULE_VERSION}.*installed$`, "m"));
    for (const words of families) await unspoofed(office.lab, async () => expect(await probe(office.lab.node("client"), { to: words.internet, port: 443 })).toMatchObject({ ok: true }));
    await office.stack.preview(["--refresh", "--expect-no-changes"]);
});

it("leaves the packages when it goes, and the module goes", async () => {
    await office.stack.destroy([], { timeoutMs: 600_000 });
    expect(await onRouter("dkms status")).not.toMatch(/nvi/);
    expect(await onRouter("command -v dkms")).toBe("/usr/sbin/dkms");
});
