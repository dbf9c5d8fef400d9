import { expect } from "vitest";

/** A message longer than this scrolls away on a terminal of 80 by 24, with the shell's prompt below it. */
const SCREEN_LINES = 24;

/** What pulumi printed under "Diagnostics:" less its own warnings: all that somebody reads when an operation failed. */
export function diagnosticsOf(printed: string): string {
    const [, section = ""] = /^Diagnostics:\n([^]*?)(?=\n(?:Outputs|Resources|Duration|Policies|Summary):|$(?![^]))/m.exec(printed) ?? [];
    const blocks = section.split(/^(?=  \S)/m).map((block) => block.split("\n").filter((line) => line.trim() !== "" && !OWN_LINES.test(line)));
    return blocks.filter((lines) => lines.length > 1).map((lines) => lines.join("\n")).join("\n");
}

/** The engine's own words, the same for every failure. */
const OWN_LINES = /warning: using pulumi-resource-pulumi-nodejs|^ +error: (update|preview|destroy|refresh|update) failed$|^ +error: failed to discover plugin requirements/;

/**
 * The rules of a failure on the screen: it fits, has no stack, and says who, what, why, and what to do; and all is
 * undone. Printed once, so that the test's log shows what people will read.
 */
export function expectOneScreen(what: string, printed: string, says: readonly (string | RegExp)[]): void {
    const shown = diagnosticsOf(printed);
    console.log(`--- ${what}\n${shown}`);
    const seen = `${shown || "no diagnostics"}\n--- all of it\n${printed}`;
    expect(shown.split("\n").length, `lines on the screen of: ${seen}`).toBeLessThanOrEqual(SCREEN_LINES);
    expect(printed, "a stack trace").not.toMatch(/^\s+at .+:\d+:\d+\)?$/m);
    expect(shown, "a fault of ours").not.toContain("a fault of pulumi-nvi itself");
    expect(shown, "the router as it was").not.toContain("UNDOING FAILED");
    for (const each of [...says, /cure: +\S/]) expect(shown, `of ${seen}`).toMatch(each);
}
