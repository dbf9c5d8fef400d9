import { describe, expect, it } from "vitest";
import type { Section } from "../../../provider/host/host";
import { parseSnapshot } from "../../../provider/reconcile/answer";
import type { NviError } from "../../../provider/model/errors";
import { FakeRouter, listing, section } from "./fake-router";
import { diversion, forwarding, guard, manifestOf } from "./things";

const REQUESTS = { requests: "nft\tnvi_nat_main\tnvi_nat_main.want\nroute\t7700\nforward\n", "nvi_nat_main.want": "table inet nvi_nat_main {\n\tchain guard {\n\t\ttype filter hook prerouting priority -150; policy accept;\n\t\tcounter comment \"one\"\n\t}\n}\n" };

const answered = async (change: (router: FakeRouter) => void = () => undefined): Promise<Section[]> => {
    const router = new FakeRouter();
    change(router);
    return await router.call("observe", REQUESTS);
};
const parse = (sections: Section[]) => parseSnapshot("edge", sections);
const refusal = (sections: Section[]): NviError => {
    try {
        parse(sections);
    } catch (error) {
        return error as NviError;
    }
    throw new Error("it was taken for an answer");
};
const with_ = (sections: Section[], one: Section): Section[] => sections.map((section) => (section.name === one.name ? one : section));

const ALWAYS = ["objects", "links", "addresses", "rules4", "rules6", "ra", "neighbours", "sysctls", "networkd", "tables"];
const ASKED = ["nft/nvi_nat_main", "canonical/nvi_nat_main", "route4/7700", "route6/7700", "forward", "legacy/iptables", "legacy/ip6tables"];

describe("an answer that can't be read is never taken for 'nothing there':", () => {
    it.each(["facts", ...ALWAYS])("%s is missing", async (name) => {
        expect(refusal((await answered()).filter((one) => one.name !== name))).toMatchObject({ kind: "protocol", reason: expect.stringMatching(/is missing from the router's answer; nothing was changed/) as string });
    });

    it.each([...ALWAYS, ...ASKED])("the tool of %s crashed", async (name) => {
        const error = refusal(with_(await answered(), section(name, "", 139, "Segmentation fault")));
        expect(error).toMatchObject({ kind: "protocol", output: "Segmentation fault", reason: expect.stringMatching(/failed with exit status 139/) as string });
        // The command as a person can repeat it, not our word for it.
        expect(error.reason).toMatch(/^(?:`|reading |the listing )/);
    });

    it.each(["links", "addresses", "rules4", "rules6", "neighbours"])("the JSON of %s ends in its middle", async (name) => {
        expect(refusal(with_(await answered(), section(name, '[{"ifname":"lan0","fla')))).toMatchObject({ kind: "protocol", reason: expect.stringMatching(/answered something that can't be read/) as string });
    });

    it.each(["rules4", "rules6", "neighbours", "ra", "route4/7700"])("the tool of %s says nothing at all", async (name) => {
        expect(refusal(with_(await answered(), section(name, "")))).toMatchObject({ kind: "protocol", reason: expect.stringMatching(/answered something that can't be read/) as string });
    });

    it("the names of tables end in the middle of a line", async () => {
        expect(refusal(with_(await answered(), section("tables", "table inet nvi_nat_main\ntable ine")))).toMatchObject({ kind: "protocol" });
    });

    it.each([
        ["a table's listing that ends in its middle", section("nft/nvi_nat_main", "table inet nvi_nat_main { # handle 1\n\tchain guard { # handle 1\n")],
        ["a listing of something else", section("nft/nvi_nat_main", "Warning: what is this\n")],
        ["an empty listing", section("nft/nvi_nat_main", "")],
        ["a wanted table whose listing is cut", section("canonical/nvi_nat_main", "table inet nvi_nat_main { # handle 1\n\tchain gu")],
        ["a manifest that is cut", section("objects", 'manifest\tnat-stage.main\t{"version":1,"obj\n')],
        ["a manifest without artifacts", section("objects", 'manifest\tnat-stage.main\t{"version":1,"object":"nat-stage.main","owner":"a","saved":{}}\n')],
        ["a manifest with artifacts of no kind", section("objects", `manifest\tnat-stage.main\t${JSON.stringify({ ...JSON.parse(manifestOf([forwarding])) as object, artifacts: [null] })}\n`)],
        ["a manifest that is nothing", section("objects", "manifest\tnat-stage.main\tnull\n")],
        ["links without flags", section("links", '[{"ifname":"lan0"}]')],
        ["routes that are no list", section("route4/7700", '{"dst":')],
    ])("%s", async (_what, broken) => {
        expect(refusal(with_(await answered(), broken))).toMatchObject({ kind: "protocol" });
    });

    it("a table that is asked for fails with another error than that it isn't there", async () => {
        expect(refusal(with_(await answered(), section("nft/nvi_nat_main", "", 1, "Error: Operation not permitted\n")))).toMatchObject({ kind: "protocol", output: "Error: Operation not permitted\n" });
    });

    it("routes fail with another error than that their table isn't there", async () => {
        expect(refusal(with_(await answered(), section("route6/7700", "", 2, "RTNETLINK answers: Permission denied\n")))).toMatchObject({ kind: "protocol" });
    });
});

describe("a tool that is missing", () => {
    it("is named with its package, before its silence is taken for an answer", async () => {
        const facts = (await answered()).find(({ name }) => name === "facts")!;
        const without = facts.stdout.replace(/^tool (nft|flock)\t.*$/gm, "tool $1\t");
        expect(refusal(with_(await answered(), section("facts", without)))).toMatchObject({ kind: "preflight", reason: expect.stringContaining("`nft`, `flock`") as string, cure: "install nftables and util-linux on the router" });
    });
});

describe("what is proof of absence", () => {
    it("nft and ip say so", async () => {
        const snapshot = parse(await answered());
        expect(snapshot.tables).toEqual(new Map([["nvi_nat_main", undefined]]));
        expect(snapshot.routes).toEqual(new Map([[7700, []]]));
        expect(snapshot.objects).toEqual([]);
    });

    it("what the router's nft refuses is kept with its words, and a crash isn't", async () => {
        const refused = with_(await answered(), section("canonical/nvi_nat_main", "", 1, "Error: syntax error\n"));
        expect(parse(refused).canonical.get("nvi_nat_main")).toEqual({ refused: "Error: syntax error" });
        expect(refusal(with_(await answered(), section("canonical/nvi_nat_main", "", 134, "")))).toMatchObject({ kind: "protocol" });
    });

    it("somebody else's forward chains that can't be listed are known to be unreadable", async () => {
        const sections = [...await answered(), section("foreign/ip/filter", "half", 139, ""), section("foreign/ip6/filter", "table ip6 filter {\n\tchain FORW"), section("foreign/inet/fw", "table inet fw {\n}\n")];
        expect(parse(sections).foreign).toEqual([{ family: "ip", name: "filter", listing: "" }, { family: "ip6", name: "filter", listing: "" }, { family: "inet", name: "fw", listing: "table inet fw {\n}\n" }]);
    });

    it("legacy iptables have no filter table, or one that no tool can list", async () => {
        expect(parse(await answered()).legacy).toEqual([]);
        const sections = with_(with_(await answered(), section("legacy/iptables", "none\n")), section("legacy/ip6tables", "ip6tables\n*filter\nCOMMIT\n"));
        expect(parse(sections).legacy).toEqual([{ protocol: "iptables", listing: "" }, { protocol: "ip6tables", tool: "ip6tables", listing: "*filter\nCOMMIT\n" }]);
    });

    it("networkd deletes nothing where it doesn't run", async () => {
        expect(parse(await answered()).networkd).toBeUndefined();
        expect(parse(await answered((router) => { router.networkd = ""; })).networkd).toEqual({ rules: true, routes: true });
    });
});

describe("objects", () => {
    const objects = async (text: string) => parse(with_(await answered(), section("objects", text))).objects;

    it("are read with their owner and their state", async () => {
        const manifest = manifestOf([forwarding]);
        expect(await objects(`manifest\tnat-stage.main\t${manifest}\n`)).toEqual([{ key: "nat-stage.main", pending: false, manifest: JSON.parse(manifest) as object }]);
    });

    it("whose transaction never ended have all that either version lists, and the values from before both", async () => {
        const [before, after] = [manifestOf([forwarding, guard], { saved: { a: "before" } }), manifestOf([forwarding, diversion], { saved: { a: "after", b: "new" } })];
        const [found, ...others] = await objects(`manifest\tnat-stage.main\t${before}\npending\tnat-stage.main\t${after}\n`);
        expect(others).toEqual([]);
        expect(found).toMatchObject({ pending: true, manifest: { artifacts: [forwarding, guard, diversion], saved: { a: "before", b: "new" } } });
    });
});

describe("addresses", () => {
    it("have the kernel's numbers for scopes as words", async () => {
        const info = (local: string, scope: string) => ({ family: local.includes(":") ? "inet6" : "inet", local, prefixlen: 64, scope });
        const text = JSON.stringify([{ ifname: "isp1", addr_info: [info("198.51.100.2", "0"), info("fe80::1", "253"), info("127.0.0.1", "254"), {}] }, {}]);
        const { addresses } = parse(with_(await answered(), section("addresses", text)));
        expect(addresses.map(({ local, scope }) => `${local} ${scope}`)).toEqual(["198.51.100.2 global", "fe80::1 link", "127.0.0.1 host"]);
    });
});

describe("a listing", () => {
    it("gives rules their ids and handles, and what is no chain a name", async () => {
        const text = 'table inet nvi_nat_main { # handle 9\n\tset few { # handle 3\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1 }\n\t}\n\n\tchain guard { # handle 1\n\t\ttype filter hook prerouting priority -150; policy accept;\n\t\tcounter comment "one" # handle 4\n\t\tdrop # handle 5\n\t}\n}\n';
        const table = parse(with_(await answered(), section("nft/nvi_nat_main", text))).tables.get("nvi_nat_main");
        expect(table).toEqual({ name: "nvi_nat_main", listing: text, others: ["set few"], chains: [{ name: "guard", header: "type filter hook prerouting priority -150; policy accept;", rules: [{ handle: 4, id: "one", text: "counter" }, { handle: 5, id: undefined, text: "drop" }] }] });
        expect(listing("table inet x {\n}\n")).toContain("table inet x {");
    });
});
