import { describe, expect, it } from "vitest";
import type { Applied, Files, Host, Section } from "../../../provider/host/host";
import { packBundle } from "../../../provider/host/wire";
import { objectNameFault, objectNameFrom } from "../../../provider/model/names";
import { ensure } from "../../../provider/reconcile/engine";
import { resourceOf } from "../../../provider/resources";
import { HOSTILE } from "../inputs/values";
import { placesIn, put } from "./places";
import { failuresOf, KINDS, SAMPLES, schemaOf, type Inputs, type Kind } from "./samples";

/** Text for the SSH library and the file system alone, which take it as it is. */
const FREE_TEXT = /^(prebuilt\{\}|connection\.(proxy(<\d>)?(\[\])?\.)?(host|user|password|privateKey|privateKeyPassword|privateKeyPath|agentSocketPath|hostKey)|hostKey|knownHosts|sudoPassword)(<\d>)?(\[\])?$/;

/** A line of words that are data, or a command that is the user's own: anything but what ends a line or a word. */
const ONE_LINE = /^checks\[\]<\d>\.(name|command)$/;

const texts = (kind: Kind) => SAMPLES[kind].flatMap((sample) => placesIn(schemaOf(kind), sample).filter(({ isLeaf, type }) => isLeaf && ["string", "enum", "literal"].includes(type)).map((place) => ({ sample, ...place })));

function valueAt(sample: Inputs, path: readonly (string | number)[]): string {
    return path.reduce<unknown>((at, key) => (at as Inputs)[key as string], sample) as string;
}

describe("hostile text", () => {
    it.each(KINDS)("is refused in each text of %s that is more than free text", async (kind) => {
        const checked = texts(kind).filter(({ named }) => !FREE_TEXT.test(named) && !ONE_LINE.test(named));
        expect(checked.length).toBeGreaterThan(0);
        for (const { sample, path, property, schema } of checked) {
            const value = valueAt(sample, path);
            for (const text of HOSTILE) {
                const failures = await failuresOf(kind, put(sample, path, text) as Inputs);
                const seen = `${property} = ${JSON.stringify(text).slice(0, 80)}`;
                expect(Object.keys(failures).filter((at) => at.startsWith(property)), seen).not.toEqual([]);
                for (const beside of [`${value}${text}`, `${text}${value}`]) expect(schema.safeParse(beside).success, `beside ${value}: ${seen}`).toBe(false);
            }
        }
    });

    it("is refused as an uplink's name", async () => {
        for (const name of HOSTILE) {
            const inputs = put(SAMPLES["nat-stage"][0], ["uplinks", name], { device: "eth9" }) as Inputs;
            expect(Object.values(await failuresOf("nat-stage", inputs)), name.slice(0, 40)).toEqual([expect.stringContaining("must be 1 to 24 lower-case letters")]);
        }
    });

    it("is free text of a router: no fault, but for a host with white space", async () => {
        for (const { sample, path, named } of texts("router").filter((place) => FREE_TEXT.test(place.named))) {
            for (const text of HOSTILE) {
                const failures = Object.keys(await failuresOf("router", put(sample, path, text) as Inputs));
                expect(failures.every((at) => at === "connection.host"), `${named} = ${JSON.stringify(text).slice(0, 80)}: ${failures.join()}`).toBe(true);
            }
        }
    });

    it("is refused in a line where it is more than one, or ends a word", async () => {
        const lines = texts("router").filter((place) => ONE_LINE.test(place.named));
        expect(lines.length).toBeGreaterThan(0);
        for (const { sample, path, property } of lines) {
            for (const text of HOSTILE) {
                const failures = Object.keys(await failuresOf("router", put(sample, path, text) as Inputs));
                const isSound = text !== "" && !/[\0-\x1f\x7f]/.test(text) && text.length <= (property.endsWith("name") ? 80 : 2000);
                expect(failures, `${property} = ${JSON.stringify(text).slice(0, 80)}`).toEqual(isSound ? [] : [property]);
            }
        }
    });

    it("as a resource's name makes a harmless object's name", () => {
        for (const text of HOSTILE) expect(objectNameFault(objectNameFrom(text)), text.slice(0, 40)).toBeUndefined();
    });
});

/** A router on which nothing is; it keeps what it is told to apply. */
class Recorder implements Host {
    readonly label = "edge";
    readonly confirmTimeout = 30;
    applied: Files = {};

    call(): Promise<Section[]> {
        const facts = ["kernel\t6.1.0", "ipv6\tyes", "generation\t0", "turn\tnone", ...["nft", "ip", "unshare", "flock", "sha256sum", "mktemp", "head", "tail"].map((tool) => `tool ${tool}\t/bin/${tool}`)];
        const stdout: Record<string, string> = { facts: facts.join("\n"), links: "[]", addresses: "[]", rules4: '[{"priority":0,"src":"all","table":"255"}]', rules6: "[]", ra: "[]", neighbours: "[]", boot: "none" };
        return Promise.resolve(["facts", "objects", "links", "addresses", "rules4", "rules6", "ra", "neighbours", "sysctls", "settings", "module", "boot", "networkd", "tables"].map((name) => ({ name, exit: 0, stdout: stdout[name] ?? "", stderr: "" })));
    }

    apply(files: Files): Promise<Applied> {
        this.applied = files;
        return Promise.resolve({ sections: [], confirm: () => Promise.resolve({ sections: [] }), abort: () => Promise.resolve([]) });
    }
}

describe("a hostile owner, which is made of the resource's name,", () => {
    it.each(HOSTILE.map((text) => [JSON.stringify(text).slice(0, 40), text]))("is data in all that goes to the router: %s", async (_, text) => {
        const host = new Recorder();
        const owner = `organization/project/stack/${text}`;
        const inputs = { name: "inwards", table: "main", interface: "nvi0", routes: [], rules: [{ to: "10.0.0.0/24", priority: 1100 }], closed: true };
        // The answer has no result, so that nothing more is asked.
        await expect(ensure(host, { ...resourceOf("route-table").render(inputs as never), id: { kind: "route-table", name: "inwards" }, owner })).rejects.toThrow("has no result");
        const { meta = "", manifest = "", steps = "" } = host.applied;
        expect(meta.trimEnd().split("\n").map((line) => line.split(" ")[0]), meta).toEqual(["object", "generation", "turn", "remove", "wait", "confirm", "owner"]);
        expect(meta).toMatch(/^[\x20-\x7e\n]*$/);
        const [json = "", ...restoration] = manifest.split("\n");
        expect(json).not.toMatch(/\t/);
        expect(JSON.parse(json)).toMatchObject({ owner });
        expect(restoration).toEqual([expect.stringMatching(/^do\t18\t0\tearly\tip\t/), ""]);
        expect(steps.trimEnd().split("\n").map((line) => line.split("\t")[0])).toEqual(["step", "do", "undo"]);
        expect(packBundle(host.applied).toString("utf8")).toContain(manifest.replaceAll("\ud800", "\ufffd"));
    });
});
