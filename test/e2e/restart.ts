import { diffDumps, until, type Lab } from "../lab";

/** What differs from a dump that was taken before a restart, which empties /run. */
export const changedSince = async (lab: Lab, dump: string): Promise<string[]> => diffDumps(dump, await lab.dump()).filter((line) => !/^. files: \w+ \/run\//.test(line));

/** Waits until nothing differs. @throws Error that names what still does. */
export async function backTo(lab: Lab, dump: string, what: string, timeoutMs = 10_000): Promise<void> {
    let left: string[] = [];
    await until(what, async () => (left = await changedSince(lab, dump)).length === 0, timeoutMs, 300).catch((error: Error) => { throw new Error(`${error.message}\n${left.join("\n")}`); });
}
