import { beforeEach, expect, it, vi } from "vitest";
import { destroy, readResource, update } from "../../../provider/pulumi/adapter";
import type { Bag } from "../../../provider/pulumi/bag";
import { NviError } from "../../../provider/model/errors";
import { manifestOf } from "../reconcile/things";
import { FakeRouter } from "../reconcile/fake-router";
import { wire } from "../resources/samples";

/* A stack was renamed, and the first change after that ended nobody knows how: the router may know the object by either name. */

let router: FakeRouter;
vi.mock("../../../provider/pulumi/hosts", () => ({ hostOf: () => router, inTurn: (_: unknown, change: (host: FakeRouter) => unknown) => change(router) }));

const ID = "edge/ingress-mark/main";
const olds: Bag = { ...wire("ingress-mark", { name: "main", interface: "nvi0", nics: ["lan0"] }), owner: "organization/project/old/office" };
const news: Bag = { ...olds, owner: "organization/project/new/office", rendered: {} };
const ownedBy = (owner: unknown) => router.objects.set("ingress-mark.main", manifestOf([], { object: "ingress-mark.main", owner: owner as string }));

/** What the state has of it after a change whose connection was lost. */
async function interrupted(): Promise<Bag> {
    const call = vi.spyOn(router, "call").mockRejectedValueOnce(new NviError({ kind: "disconnected", operation: "observe", subject: "edge", reason: "the line is dead" }));
    const error: unknown = await update("ingress-mark", ID, olds, news).catch((thrown: unknown) => thrown);
    call.mockRestore();
    return (error as { properties: Bag }).properties;
}

beforeEach(() => {
    router = new FakeRouter();
});

it.each(["old", "new"])("is updated, and forgets the old name: the router has the %s one", async (which) => {
    const state = await interrupted();
    ownedBy((which === "old" ? olds : news).owner);
    const { outs } = await update("ingress-mark", ID, state, news);
    expect(outs).toMatchObject({ owner: news.owner, rendered: { owner: news.owner } });
    expect(outs).not.toHaveProperty("formerOwner");
});

it.each(["old", "new"])("is read, and taken away: the router has the %s one", async (which) => {
    const state = await interrupted();
    ownedBy((which === "old" ? olds : news).owner);
    const { props } = await readResource("ingress-mark", ID, state);
    await destroy("ingress-mark", props);
    expect(router.objects.size).toBe(0);
});
