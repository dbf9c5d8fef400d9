import { describe, expect, it } from "vitest";
import { NviError } from "../../../provider/model/errors";

const parts = { kind: "tool", operation: "apply", subject: "edge1", reason: "nft refused the rules" } as const;

describe("NviError", () => {
    it("says where, what and why on its first line, and nothing else if there is nothing else", () => {
        expect(new NviError(parts).message).toBe("edge1: apply: nft refused the rules");
    });

    it("adds the command, the tool's own words and the cure, in this order", () => {
        const error = new NviError({
            ...parts,
            command: "nft -c -f /run/nvi/main.nft",
            output: "main.nft:3:1: Error: syntax error\nchain x {\n",
            cure: "report it",
        });
        expect(error.message.split("\n")).toEqual([
            "edge1: apply: nft refused the rules",
            "  command: nft -c -f /run/nvi/main.nft",
            "  output:  main.nft:3:1: Error: syntax error",
            "           chain x {",
            "  cure:    report it",
        ]);
    });

    it("leaves out an output of white space", () => {
        expect(new NviError({ ...parts, output: " \n\n" }).message).toBe(new NviError(parts).message);
    });

    it("shows the last lines of a long output, and says how many came before", () => {
        const output = Array.from({ length: 30 }, (_, i) => `line ${i + 1}`).join("\n");
        const [, first, second, ...rest] = new NviError({ ...parts, output }).message.split("\n");
        expect(first).toBe("  output:  (18 lines before these)");
        expect(second).toBe("           line 19");
        expect(rest.at(-1)).toBe("           line 30");
        expect(rest).toHaveLength(11);
    });

    it("keeps its parts and the cause for those who decide by them", () => {
        const cause = new Error("ECONNRESET");
        const error = new NviError({ ...parts, output: "all of it", cause });
        expect(error).toMatchObject({ ...parts, output: "all of it", cause, name: "NviError" });
        expect(error).toBeInstanceOf(Error);
    });
});
