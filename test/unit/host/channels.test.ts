import { expect, test } from "vitest";
import { Channels } from "../../../provider/host/channels";
import { ChannelRefused } from "../../../provider/host/exec";

/** A server that opens at most `most` channels, and refuses the rest. */
function server(most: number) {
    const seen = { open: 0, peak: 0, refused: 0, done: 0 };
    const job = async (): Promise<void> => {
        if (seen.open >= most) {
            seen.refused++;
            throw new ChannelRefused("open failed");
        }
        seen.peak = Math.max(seen.peak, ++seen.open);
        await new Promise((resolve) => setTimeout(resolve, 2));
        seen.open--;
        seen.done++;
    };
    return { seen, job };
}

test.each([
    [4, 10, 4],
    [4, 2, 2],
    [4, 1, 1],
    [1, 10, 1],
    [10, 3, 3],
])("limit %i, server opens %i: %i at once, all of 30 done", async (limit, most, peak) => {
    const channels = new Channels(limit);
    const { seen, job } = server(most);
    await Promise.all(Array.from({ length: 30 }, () => channels.run(job)));
    expect(seen.done).toBe(30);
    expect(seen.peak).toBe(peak);
    expect(channels.busy).toBe(false);
});

test("a refusal with nothing else running is tried again: the server may still put away the last one", async () => {
    let left = 3;
    const result = await new Channels(4).run(async () => {
        if (left-- > 0) throw new ChannelRefused("open failed");
        return "done";
    });
    expect(result).toBe("done");
});

test("other errors pass, and free the place", async () => {
    const channels = new Channels(1);
    await expect(channels.run(() => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    expect(await channels.run(async () => 7)).toBe(7);
    expect(channels.busy).toBe(false);
});
