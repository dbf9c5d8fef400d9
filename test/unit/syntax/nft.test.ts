import { describe, expect, it } from "vitest";
import { parseTable, quote, renderTable, ruleText } from "../../../provider/syntax/nft";
import type { Table } from "../../../provider/syntax/artifact";

describe("quote", () => {
    it.each(['"', "\\", "\n", "\r", "\t", "\0", "\x7f", "é", "\u2028", 'a"; drop; "', "a\nadd rule"])("refuses %j, which nft's strings can't hold", (text) => expect(() => quote(text)).toThrow("not representable in nft"));
    it.each(["", "lan0", "translations[0] from[1]", "$(x) `y` ;{}#*'%"])("takes %j as it is", (text) => expect(quote(text)).toBe(`"${text}"`));

    it("guards a rule's comment", () => expect(() => ruleText({ id: 'x" drop comment "y', text: "accept" })).toThrow("not representable"));
});

const table: Table = {
    kind: "table", phase: "stage1", name: "nvi_nat_office",
    chains: [
        { name: "base", hook: "type nat hook postrouting priority srcnat", rules: [{ id: "elsewhere", text: 'oifname != "nvi0" return' }, { id: "one", text: "jump sub" }] },
        { name: "sub", rules: [{ id: "two", text: "snat ip to 198.51.100.2" }] },
        { name: "empty", rules: [] },
    ],
};

/** As `nft -a -s list table` shows what was written. */
const LISTING = `table inet nvi_nat_office { # handle 4
	set strangers { # handle 9
		type ipv4_addr
		elements = { 10.0.0.1 }
	}

	chain sub { # handle 1
		snat ip to 198.51.100.2 comment "two" # handle 7
	}

	chain empty { # handle 2
	}

	chain base { # handle 3
		type nat hook postrouting priority srcnat; policy accept;
		oifname != "nvi0" return comment "elsewhere" # handle 5
		jump sub comment "one" # handle 6
		drop # handle 8
	}
}
`;

describe("a table", () => {
    it("is written with the chains that are jumped to first", () => {
        expect(renderTable(table).match(/chain \S+/g)).toEqual(["chain sub", "chain empty", "chain base"]);
    });

    it("is read with what is not ours told apart", () => {
        const listed = parseTable(LISTING);
        expect(listed).toMatchObject({ name: "nvi_nat_office", others: ["set strangers"] });
        expect(listed.chains.map(({ name, rules }) => [name, rules.map(({ id, text }) => `${id}: ${text}`)])).toEqual([
            ["sub", ["two: snat ip to 198.51.100.2"]],
            ["empty", []],
            ["base", ['elsewhere: oifname != "nvi0" return', "one: jump sub", "undefined: drop"]],
        ]);
    });

    it("that is switched off is told from one that isn't; a comment is no difference, nor are the flags of a set its own", () => {
        const withLines = (lines: string) => parseTable(LISTING.replace(" # handle 4\n", ` # handle 4\n${lines}`).replace("type ipv4_addr", "type ipv4_addr\n\t\tflags interval"));
        expect(withLines("\tflags dormant\n\tcomment \"mine\"\n\n").others).toEqual(["flags dormant", "set strangers"]);
        expect(withLines("\tcomment \"mine\"\n\n").others).toEqual(["set strangers"]);
    });

    it("is not read from half a listing, wherever it was cut", () => {
        const whole = LISTING.lastIndexOf("}");
        for (let end = 0; end < whole; end++) expect(() => parseTable(LISTING.slice(0, end)), JSON.stringify(LISTING.slice(Math.max(0, end - 30), end))).toThrow();
    });
});
